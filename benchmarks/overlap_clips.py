"""The sounds that `benchmarks.overlap` puts over the agent, and what each of them is.

Interruptions are spoken orders of real people; nods are synthesised; noises are synthesised coughs,
keys and knocks, and the desktop sounds of Debian's sound-theme-freedesktop where apt can fetch
them; echoes are the agent's own words, faint, as a poor canceller leaves them.

Four sets that share no speaker's recording, no voice and, for the last two, no nod:

* tuned: numbers in `agent.turns.overlap` were chosen on it
* judged, fresh: rules were changed after they were seen, numbers were not
* last: no rule was made for it. Its orders are those recordings of the same project
  that the other sets do not draw from, in a folder `commands-others/`
"""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import platformdirs
import soundfile

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.audio.resample import resample
from agent.playout.ledger import Ledger
from agent.turns.events import AgentFloor
from benchmarks.ladder import Ears
from benchmarks.voices import Spoken, spoken

LEAD_S, CLIP_S = 0.6, 2.6
"""Room tone before the user's speech, and the whole of a clip."""

SPEEDS = (0.9, 1.1, 1.3)
SNRS_DB = (0.0, 10.0, 20.0)

VOICES = ("af_bella", "af_nicole", "am_michael", "am_fenrir")

_NODS = (
    "Yeah.", "Mm-hmm.", "Uh-huh.", "Okay.", "Right.", "I see.", "Sure.", "Oh, really?", "Got it.",
    "Mhm.", "Oh.", "Of course.", "Yes.", "Makes sense.", "Exactly.", "Great.",
)  # fmt: skip

_OTHER_NODS = (
    "Yep.", "Ah, okay.", "All right.", "Good.", "I know.", "Hmm.", "Yeah, yeah.", "That's right.",
    "Oh wow.", "True.", "Fine.", "Uh-huh, yeah.",
)  # fmt: skip

_LAST_NODS = (
    "Yup.", "Wow.", "Nice.", "Cool.", "Perfect.", "Sounds good.", "Right, right.", "Oh, I see.",
    "Interesting.", "Thank you.", "Oh, okay.", "Sure, yeah.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Set:
    """Who speaks in a set.

    Attributes:
        orders: Share of the recordings, by the hash of their name in quarters.
        voices: That nod.
        nods: What they say.
        answer: What the agent says, in the clips where it hears itself.
        seed: Of the synthesised noises.
        folder: Of the recordings.
    """

    orders: tuple[int, ...]
    voices: tuple[str, ...]
    nods: tuple[str, ...]
    answer: str
    seed: int
    folder: str = "commands"


ANSWER = (
    "the museum was built in nineteen twelve by an architect from Vienna whose name nobody "
    "remembers and it has been closed for repairs since the spring of last year"
)

SETS = {
    "tuned": Set((0, 2), ("af_bella", "am_fenrir"), _NODS, ANSWER, 1000),
    "judged": Set((1,), ("af_nicole", "am_michael"), _NODS, ANSWER, 2000),
    "fresh": Set(
        (3,),
        ("am_puck", "bf_emma", "bm_fable", "bm_george"),
        _OTHER_NODS,
        "the ferry to the island leaves at ten past eight from the northern harbour and it takes "
        "about forty minutes unless the sea is rough so please bring a warm coat and some water",
        3000,
    ),
    "last": Set(
        (0, 1, 2, 3),
        ("af_heart", "student"),
        _LAST_NODS,
        "we have two sizes of that lamp and the smaller one costs eighteen euros without the bulb "
        "while the larger one comes with a dimmer and can be hung on a wall or stood on a table",
        4000,
        "commands-others",
    ),
}


@dataclass(frozen=True, slots=True)
class Clip:
    """One overlap as the microphone hears it.

    Attributes:
        name: Unique.
        kind: interruption, backchannel, noise or echo.
        onset: Of the user's sound; 0 where there is none.
        pcm: Mono, shape (n,), int16, 16 kHz.
        answer: What the agent is saying.
        begin: The sample of the answer that sounds with the clip's first.
        is_heard: Whether the answer comes back into the microphone.
    """

    name: str
    kind: str
    onset: int
    pcm: Int16Array
    answer: Spoken
    begin: int
    is_heard: bool = False

    @property
    def far(self) -> Int16Array | None:
        """What our loudspeaker plays meanwhile, as long as `pcm`; None where it is not heard."""
        return self.answer.pcm[self.begin :][: len(self.pcm)] if self.is_heard else None

    def floors(self) -> Callable[[int], AgentFloor]:
        """How far the agent has come by each sample of the clip, asked in order."""
        ledger = Ledger(SAMPLE_RATE)
        ledger.add(self.answer.words, 0)

        def floor(at: int) -> AgentFloor:
            ledger.heard_until(self.begin + at)
            return AgentFloor(
                at, is_speaking=True, said=ledger.heard_text, unsaid=ledger.unheard_text
            )

        return floor


def clips_of(folder: Path, name: str, orders: int, ears: Ears) -> list[Clip]:
    """The clips of a set: `orders` interruptions, and as many sounds that are none."""
    chosen = SETS[name]
    interruptions = list(_interruptions(folder, chosen, orders, ears))
    count = len(interruptions)
    return [
        *interruptions,
        *_backchannels(chosen, count // 2, ears),
        *_noises(chosen, count // 4),
        *_echoes(chosen, count // 4, ears),
    ]


def _quarter(name: str) -> int:
    return hashlib.sha256(name.encode()).digest()[0] % 4


def _answer(chosen: Set) -> Spoken:
    return spoken("student", chosen.answer + ".")


def _middle(answer: Spoken) -> int:
    """Where a clip begins in the answer, so that the middle of both sounds at once."""
    return (len(answer.pcm) - samples(CLIP_S)) // 2


def _interruptions(folder: Path, chosen: Set, count: int, ears: Ears) -> Iterator[Clip]:
    """Spoken orders from their first word on, in pink noise at one of three levels."""
    paths = sorted((folder / chosen.folder).glob("*.flac"))
    mine = [path for path in paths if _quarter(path.stem) in chosen.orders]
    answer = _answer(chosen)
    for number, path in enumerate(mine[:count]):
        pcm, _ = soundfile.read(path, dtype="int16")
        onset = ears.first_speech(pcm)
        if onset is None:
            continue
        start = max(0, onset - samples(LEAD_S))
        speech = pcm[start : start + samples(CLIP_S)]
        snr = SNRS_DB[number % len(SNRS_DB)]
        yield Clip(
            f"{path.stem}/{snr:g} dB", "interruption", onset - start,
            _noisy(speech, snr, path.stem), answer, _middle(answer),
        )  # fmt: skip


def _backchannels(chosen: Set, count: int, ears: Ears) -> Iterator[Clip]:
    """Short words of listeners in several voices."""
    every = list(product(chosen.voices, chosen.nods, SPEEDS))
    answer = _answer(chosen)
    for number in np.linspace(0, len(every) - 1, min(count, len(every))).astype(int):
        name, text, speed = every[number]
        # Faster and higher, slower and lower: another speaker, near enough.
        word = resample(spoken(name, text).pcm, round(SAMPLE_RATE * speed), SAMPLE_RATE)
        snr = SNRS_DB[number % len(SNRS_DB)]
        pcm = np.zeros(samples(CLIP_S), np.int16)
        at = samples(LEAD_S)
        pcm[at : at + len(word)] = word[: len(pcm) - at]
        label = f"{name}/{text}/{speed}/{snr:g} dB"
        onset = ears.first_speech(pcm)
        heard = _noisy(pcm, snr, label)
        yield Clip(label, "backchannel", onset or at, heard, answer, _middle(answer))


def _noises(chosen: Set, count: int) -> Iterator[Clip]:
    """Coughs, keys, knocks and desktop sounds."""
    made = list(_made_noises(count - count // 4, chosen.seed))
    quarter = list(SETS.values()).index(chosen)
    answer = _answer(chosen)
    desktop = [item for item in _desktop_sounds() if _quarter(item[0]) == quarter]
    for number, (name, sound) in enumerate((*made, *desktop[: count // 4])):
        pcm = np.zeros(samples(CLIP_S), np.int16)
        at = samples(LEAD_S)
        part = sound[: len(pcm) - at]
        pcm[at : at + len(part)] = part
        snr = SNRS_DB[number % len(SNRS_DB)]
        heard = _noisy(pcm, snr, name)
        yield Clip(f"{name}/{snr:g} dB", "noise", at, heard, answer, _middle(answer))


def _echoes(chosen: Set, count: int, ears: Ears) -> Iterator[Clip]:
    """The agent's own words, faint, as a poor canceller leaves them."""
    answer = _answer(chosen)
    for number in range(count):
        level_db = (-30.0, -20.0, -10.0)[number % 3]
        begin = (number * samples(0.37)) % max(1, len(answer.pcm) - samples(CLIP_S))
        far = answer.pcm[begin : begin + samples(CLIP_S)]
        faint = (far * 10 ** (level_db / 20)).astype(np.int16)
        heard = _noisy(faint, 20.0, str(number))
        onset = ears.first_speech(heard) or 0
        name = f"echo/{number}/{level_db:g} dB"
        yield Clip(name, "echo", onset, heard, answer, begin, is_heard=True)


def _noisy(pcm: Int16Array, snr_db: float, name: str) -> Int16Array:
    """With pink noise, `snr_db` below the level of the clip's loudest half second."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft(random.normal(0, 1, len(pcm)))
    spectrum /= np.sqrt(np.arange(len(spectrum)) + 10.0)
    noise = np.fft.irfft(spectrum, len(pcm))
    block = samples(0.5)
    levels = [
        float(np.mean(pcm[at : at + block].astype(np.float64) ** 2))
        for at in range(0, max(1, len(pcm) - block), block // 2)
    ]
    power = max(max(levels), 1.0) / 10 ** (snr_db / 10)
    noise *= np.sqrt(power / max(float(np.mean(noise**2)), 1e-12))
    mixed: Int16Array = np.clip(np.rint(pcm + noise), -32768, 32767).astype(np.int16)
    return mixed


def _made_noises(count: int, seed: int) -> Iterator[tuple[str, Int16Array]]:
    """Coughs (a burst of breath through a throat, sometimes twice), clicks and knocks."""
    for number in range(count):
        random = np.random.default_rng(seed + number)
        kind = ("cough", "keys", "knock")[number % 3]
        signal = np.zeros(samples(1.0))
        if kind == "cough":
            for burst in range(random.integers(1, 3)):
                size = samples(random.uniform(0.15, 0.3))
                breath = random.normal(0, 1, size) * np.exp(-np.arange(size) / (0.3 * size))
                for resonance_hz in random.uniform((500, 1300, 2400), (900, 1900, 3400)):
                    phase = 2 * np.pi * resonance_hz * np.arange(160) / SAMPLE_RATE
                    breath = breath + np.convolve(
                        breath, np.sin(phase) * np.exp(-np.arange(160) / 40), "same"
                    )
                at = burst * samples(0.35)
                signal[at : at + size] += breath / np.abs(breath).max()
        elif kind == "keys":
            for at in random.integers(0, len(signal) - 400, 8):
                signal[at : at + 200] += random.normal(0, 1, 200) * np.exp(-np.arange(200) / 25)
        else:
            for at in (0, samples(0.2), samples(0.4)):
                tone = np.sin(2 * np.pi * random.uniform(90, 240) * np.arange(1600) / SAMPLE_RATE)
                signal[at : at + 1600] += tone * np.exp(-np.arange(1600) / 300)
        level = random.uniform(4000, 20000)
        yield f"{kind}/{number}", (signal / np.abs(signal).max() * level).astype(np.int16)


def _desktop_sounds() -> list[tuple[str, Int16Array]]:
    """Real recorded and designed sounds: a bell, a camera, a plug; empty where apt cannot."""
    folder = platformdirs.user_cache_path("duplex-benchmarks") / "desktop-sounds"
    if not folder.is_dir():
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            return []
        partial = folder.with_name("desktop-sounds-partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        command = ["apt-get", "download", "-q", "sound-theme-freedesktop"]
        if subprocess.run(command, cwd=partial, capture_output=True, check=False).returncode:
            return []
        for package in partial.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(partial)], check=True)
        partial.rename(folder)
    found = []
    for path in sorted(folder.rglob("*.oga")):
        # These speak: "front left".
        if path.is_symlink() or path.stem.startswith("audio-channel"):
            continue
        signal, rate = soundfile.read(path, dtype="int16", always_2d=True)
        found.append((path.stem, resample(signal[:, 0].copy(), rate, SAMPLE_RATE)))
    return found
