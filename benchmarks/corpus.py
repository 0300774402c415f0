"""Recordings with their text, for benchmarks that count recognition errors.

Telephone prompts of one studio speaker, from two Debian packages (CC BY-SA 3.0), fetched with apt
into a cache folder and never copied into the project. Clean read speech: word error rates on it
are a floor, good for comparing recognisers on equal terms, not for telling what a caller will see.
"""

import gzip
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import soxr
from num2words import num2words

from agent.audio.chunk import SAMPLE_RATE, Int16Array, to_int16

SOUNDS_PACKAGE = "asterisk-core-sounds-en-g722"
TEXT_PACKAGE = "asterisk-core-sounds-en"

SENTENCES = (
    "I would like to book a table for two people tomorrow evening.",
    "What time does the last train to the airport leave tonight?",
    "Please send the invoice to my new address in Manchester.",
    "No, I said the blue one, not the green one.",
    "The appointment is on Thursday at half past nine in the morning.",
    "Can you tell me how far it is from the station to the museum?",
    "My order never arrived, and nobody has answered my letters.",
    "It rained all night, so we stayed inside and played cards.",
)
"""Spoken by the student voice where the recordings cannot be had."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording and what is said in it.

    Attributes:
        name: Of the file it came from.
        text: As published with it.
        pcm: Mono samples, shape (n,), int16, 16 kHz.
    """

    name: str
    text: str
    pcm: Int16Array


class CorpusUnavailableError(Exception):
    """The recordings cannot be had here; the message says what is missing."""


def load(least_words: int = 4) -> tuple[str, list[Recording]]:
    """Give the telephone prompts, or synthesised sentences where they cannot be had.

    Args:
        least_words: Shorter prompts are left out: most are fragments to be joined by a machine.

    Returns:
        Where the recordings come from, for the record, and the recordings.
    """
    try:
        return f"debian {SOUNDS_PACKAGE}", telephone_prompts(least_words)
    except CorpusUnavailableError as missing:
        return f"synthesised by hibari-tts ({missing})", synthesised()


def telephone_prompts(least_words: int = 4) -> list[Recording]:
    """Fetch, unpack and decode the prompts whose text is plain speech, sorted by name.

    Raises:
        CorpusUnavailableError: No apt, no network, or no decoder for G.722.
    """
    root = _unpacked()
    folder = root / "usr/share/asterisk/sounds/en_US_f_Allison"
    listing = root / f"usr/share/doc/{TEXT_PACKAGE}/core-sounds-en.txt.gz"
    recordings = []
    with gzip.open(listing, "rt", errors="replace") as lines:
        for line in lines:
            name, colon, text = line.strip().partition(":")
            # Brackets describe a noise; folders hold fragments to be joined.
            if not colon or name.startswith(";") or re.search(r"[\[(/]", name + text):
                continue
            path = folder / f"{name}.g722"
            if len(text.split()) >= least_words and path.is_file():
                recordings.append(Recording(name, text.strip(), _decode_g722(path)))
    return sorted(recordings, key=lambda recording: recording.name)


def synthesised() -> list[Recording]:
    """Speak `SENTENCES` with the student voice."""
    from hibari import Hibari

    voice = Hibari(threads=1)
    return [
        Recording(
            f"sentence-{number}",
            sentence,
            to_int16(soxr.resample(np.asarray(voice(sentence), np.float32), 24_000, SAMPLE_RATE)),
        )
        for number, sentence in enumerate(SENTENCES)
    ]


def normalise(text: str) -> str:
    """Bring text to the words that are spoken: no case, no punctuation, numbers spelled."""
    text = re.sub(r"\d+", lambda digits: f" {num2words(digits[0])} ", text.lower())
    text = text.replace("’", "'")
    return " ".join(re.sub(r"[^a-z' ]", " ", text).split())


def _unpacked() -> Path:
    cache = platformdirs.user_cache_path("duplex-benchmarks") / "recordings"
    done = cache / "unpacked"
    if done.is_dir():
        return done
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise CorpusUnavailableError("no apt-get and dpkg to fetch the recordings")
    partial = cache / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        subprocess.run(
            ["apt-get", "download", "-q", SOUNDS_PACKAGE, TEXT_PACKAGE],
            cwd=partial,
            check=True,
            capture_output=True,
        )
        for package in sorted(partial.glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(partial / "tree")], check=True)
    except subprocess.CalledProcessError as failure:
        raise CorpusUnavailableError(f"apt-get could not fetch {SOUNDS_PACKAGE}") from failure
    (partial / "tree").rename(done)
    return done


def _decode_g722(path: Path) -> Int16Array:
    try:
        import av
    except ImportError as missing:
        raise CorpusUnavailableError("PyAV (extra `webrtc`) decodes G.722") from missing
    with av.open(str(path), format="g722") as container:
        blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(blocks).astype(np.int16)
