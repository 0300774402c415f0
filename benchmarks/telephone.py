"""Word errors over the telephone, beside the same recordings at 16 kHz.

A recording goes through G.711 mu-law at 8 kHz in packets of 20 ms, over a network that loses,
delays, reorders and doubles them by seed, into the buffer that telephone calls use, and back to
16 kHz. One line of JSON, and the table for people on stderr; word error rates are exact and need no
quiet machine:

    python -m benchmarks.telephone --every 12

With `--codec opus` the same in Opus at 16 kHz, whose packets hold coarse copies of those before.

Spelled names, in the packaged voice, are counted by letters. Recorded digits are joined to numbers
of four to eight and counted apart where the folder of recordings is given by DUPLEX_DATA.
"""

import argparse
import json
import os
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

import jiwer
import numpy as np
import soundfile

from agent.asr.moonshine import Moonshine
from agent.audio.chunk import SAMPLE_RATE, Int16Array, to_float
from agent.audio.resample import resample
from agent.eval.impairment import Impairment
from agent.models.store import locate
from agent.transports.jitter import AudioPacket, JitterBuffer
from agent.transports.phone.inbound import InboundAudio
from agent.transports.sip.codecs import OPUS, OpusTerms
from agent.transports.sip.coding import coder
from agent.transports.sip.g711 import PCMU
from agent.transports.sip.hearing import Hearing
from agent.transports.sip.sdp import Agreement, Direction
from benchmarks.corpus import Recording, load, normalise
from benchmarks.machine import describe

RATE = 8_000
PACKET = RATE // 50

LINES = {
    "whole": Impairment(),
    "loss_1": Impairment(loss=0.01, jitter_s=0.02, double=0.01),
    "loss_3": Impairment(loss=0.03, jitter_s=0.04, double=0.01),
    "loss_5": Impairment(loss=0.05, jitter_s=0.06, double=0.01),
    "loss_10": Impairment(loss=0.10, jitter_s=0.06, double=0.01),
}

_NAMES = (
    "smith garcia nowak murphy johansson weber rossi fischer novak silva dubois walsh "
    "quinn zhang ivanov jimenez kowalski hughes baxter yildiz"
).split()
_NUMBERS = 20

_DIGITS = "zero one two three four five six seven eight nine".split()


def in_opus(line: Impairment, pcm: Int16Array) -> Int16Array:
    """What we hear of a recording in Opus, both 16 kHz."""
    agreement = Agreement(("", 0), OPUS, 96, None, Direction.BOTH, terms=OpusTerms(has_copies=True))
    step = SAMPLE_RATE // 50
    speaker, hearing, jitter = (
        coder(agreement, SAMPLE_RATE),
        Hearing(SAMPLE_RATE),
        JitterBuffer(),
    )
    hearing.agree(agreement, coder(agreement, SAMPLE_RATE))
    padded = np.pad(pcm, (0, -len(pcm) % step)).reshape(-1, step)
    heard: list[Int16Array | str] = []
    for _, number, payload in line.arrivals([speaker.encode(packet) for packet in padded]):
        heard += hearing.take(jitter.push(AudioPacket(1, number, number * 960, 96, payload)))
    heard += hearing.take(jitter.flush())
    return np.concatenate([pcm for pcm in heard if not isinstance(pcm, str)])


def over(line: Impairment, pcm: Int16Array) -> Int16Array:
    """What we hear of a recording in G.711, both 16 kHz."""
    narrow = resample(pcm, SAMPLE_RATE, RATE)
    padded = np.pad(narrow, (0, -len(narrow) % PACKET))
    inbound = InboundAudio(RATE)
    heard = [
        inbound.push(number, PCMU.decode(PCMU.encode(packet)), at_s)
        for at_s, number, packet in line.arrivals(padded.reshape(-1, PACKET))
    ]
    heard.append(inbound.overdue(PACKET))
    return resample(np.concatenate(heard), RATE, SAMPLE_RATE)


def digits(folder: Path, count: int) -> list[Recording]:
    """Numbers of four to eight digits by one speaker each, with pauses between."""
    chance = random.Random(7)
    files = sorted(folder.glob("**/*.wav")) + sorted(folder.glob("**/*.flac"))
    by_speaker: dict[str, dict[str, list[Path]]] = {}
    for path in files:
        digit, speaker, *_ = path.stem.split("_")
        by_speaker.setdefault(speaker, {}).setdefault(digit, []).append(path)
    numbers = []
    for index in range(count):
        speaker = chance.choice(sorted(by_speaker))
        wanted = [str(chance.randrange(10)) for _ in range(chance.randint(4, 8))]
        pieces: list[Int16Array] = []
        for digit in wanted:
            pcm, rate = soundfile.read(chance.choice(by_speaker[speaker][digit]), dtype="int16")
            quiet = np.zeros(round(chance.uniform(0.1, 0.35) * SAMPLE_RATE), np.int16)
            pieces += [resample(pcm, rate, SAMPLE_RATE), quiet]
        text = " ".join(_DIGITS[int(digit)] for digit in wanted)
        numbers.append(Recording(f"number-{index}", text, np.concatenate(pieces)))
    return numbers


def spelling() -> list[Recording]:
    """Names spelled letter by letter; the text is the letters, each a word."""
    from tests.speech import spoken

    return [
        Recording(f"spelled-{name}", " ".join(name), spoken(", ".join(name.upper()) + "."))
        for name in _NAMES
    ]


def _letters(text: str) -> str:
    """Letters apart, as spelling is compared: a recogniser writes SMITH, S-M-I-T-H or S M I T H."""
    return " ".join("".join(re.findall("[a-z]", text.lower())))


def errors(
    model: Moonshine,
    recordings: list[Recording],
    line: Impairment | None,
    carried: Callable[[Impairment, Int16Array], Int16Array] = over,
) -> float:
    """Word error rate over all recordings, each with a network of its own."""
    said, understood = [], []
    for index, recording in enumerate(recordings):
        pcm = recording.pcm
        if line:
            network = Impairment(line.loss, line.delay_s, line.jitter_s, line.double, index)
            pcm = carried(network, pcm)
        compared = _letters if recording.name.startswith("spelled") else normalise
        said.append(compared(recording.text))
        understood.append(compared(model.transcribe(to_float(pcm)).text))
    return round(float(jiwer.wer(said, understood)), 4)


def _table(rates: dict[str, dict[str, float]]) -> str:
    """Error rates in per cent, as Markdown."""
    columns = ["wide_16k", *LINES]
    rows = [["", *columns]] + [
        [f"{name} ({rate['words']})", *(f"{100 * rate[column]:.1f} %" for column in columns)]
        for name, rate in rates.items()
    ]
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1, help="take every n-th prompt")
    parser.add_argument("--codec", choices=["mulaw", "opus"], default="mulaw")
    parser.add_argument("--model", default="moonshine-base-en")
    given = parser.parse_args()
    model = Moonshine(locate(given.model))
    carried = in_opus if given.codec == "opus" else over
    source, recordings = load()
    sets = {
        "prompts": recordings[:: given.every],
        "spelling": spelling(),
    }
    if data := os.environ.get("DUPLEX_DATA"):
        sets["numbers"] = digits(Path(data) / "digits", _NUMBERS)
    rates = {
        name: {
            "recordings": len(chosen),
            "words": sum(len(normalise(recording.text).split()) for recording in chosen),
            "wide_16k": errors(model, chosen, None),
            **{line: errors(model, chosen, network, carried) for line, network in LINES.items()},
        }
        for name, chosen in sets.items()
    }
    print(_table(rates), file=sys.stderr)
    print(
        json.dumps(
            {
                "wer": rates,
                "codec": given.codec,
                "model": given.model,
                "source": source,
                **describe(),
            }
        )
    )


if __name__ == "__main__":
    main()
