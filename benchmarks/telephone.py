"""Word errors over the telephone, beside the same recordings at 16 kHz.

A recording goes through G.711 mu-law at 8 kHz in packets of 20 ms, over a network that loses,
delays, reorders and doubles them by seed, into the buffer that telephone calls use, and back to
16 kHz. One line of JSON, and the table for people on stderr; word error rates are exact and need no
quiet machine:

    python -m benchmarks.telephone --every 12

With `--codec opus` the same in Opus at 16 kHz, whose packets hold coarse copies of those before.

Spelled names, in the packaged voice, are counted by letters, numbers it reads out by digits. So are
numbers joined from digits that real people said, where DUPLEX_DATA names their folder.
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
from agent.audio.chunk import SAMPLE_RATE, Float32Array, Int16Array, samples, to_float, to_int16
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
_NUMBERS = 30
_GROUPS = ((4,), (3, 2), (3, 3), (3, 4), (4, 4), (2, 2, 2))
_GAP_S, _PAUSE_S, _TAIL_S = (0.08, 0.15), (0.25, 0.4), 0.5
_EDGE_S = 0.005
_LEVEL_RMS, _ROOM_RMS = 0.06, 0.0003
"""Speech at -24 dBFS, the median of the recordings; room tone 46 dB below."""

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
    """Numbers of four to eight digits, each by one speaker, joined as people say them.

    The recordings are of single digits, cut close: they are brought to one level, faded at the
    seams, put in groups of two to four with pauses between, and laid over room tone that goes on
    behind the last, as it does in a call until its turn has ended.
    """
    chance, tone = random.Random(7), np.random.default_rng(7)
    files = sorted(folder.glob("**/*.wav")) + sorted(folder.glob("**/*.flac"))
    by_speaker: dict[str, dict[str, list[Path]]] = {}
    for path in files:
        digit, speaker, *_ = path.stem.split("_")
        by_speaker.setdefault(speaker, {}).setdefault(digit, []).append(path)
    speakers = sorted(by_speaker)
    numbers = []
    for index in range(count):
        spoken = by_speaker[speakers[index % len(speakers)]]
        groups = chance.choice(_GROUPS)
        wanted = [[str(chance.randrange(10)) for _ in range(size)] for size in groups]
        pieces = [_quiet(_TAIL_S)]
        for group in wanted:
            for digit in group:
                pieces += [_said(chance.choice(spoken[digit])), _quiet(chance.uniform(*_GAP_S))]
            pieces[-1] = _quiet(chance.uniform(*_PAUSE_S))
        pieces[-1] = _quiet(_TAIL_S)
        pcm = np.concatenate(pieces)
        pcm += tone.normal(0.0, _ROOM_RMS, len(pcm)).astype(np.float32)
        text = " ".join(_DIGITS[int(digit)] for group in wanted for digit in group)
        numbers.append(Recording(f"number-{index}", text, to_int16(pcm)))
    return numbers


def _said(path: Path) -> Float32Array:
    """A digit at the common level, 16 kHz, without clicks at its ends."""
    pcm, rate = soundfile.read(path, dtype="int16")
    said = to_float(resample(pcm, rate, SAMPLE_RATE))
    said *= _LEVEL_RMS / max(float(np.sqrt(np.mean(said**2))), 1e-6)
    edge = min(samples(_EDGE_S, SAMPLE_RATE), len(said) // 2)
    ramp = np.linspace(0.0, 1.0, edge, dtype=np.float32)
    said[:edge] *= ramp
    said[-edge:] *= ramp[::-1]
    return said


def _quiet(seconds: float) -> Float32Array:
    return np.zeros(samples(seconds, SAMPLE_RATE), np.float32)


def spelling() -> list[Recording]:
    """Names spelled letter by letter; the text is the letters, each a word."""
    return [
        Recording(f"spelled-{name}", " ".join(name), _in_a_room(", ".join(name.upper())))
        for name in _NAMES
    ]


def read_out() -> list[Recording]:
    """Numbers of four to eight digits that the packaged voice reads in one go."""
    chance = random.Random(8)
    numbers = []
    for index in range(len(_NAMES)):
        groups = [
            " ".join(chance.choice(_DIGITS) for _ in range(size)) for size in chance.choice(_GROUPS)
        ]
        numbers.append(
            Recording(f"number-{index}", " ".join(groups), _in_a_room(", ".join(groups)))
        )
    return numbers


def _in_a_room(text: str) -> Int16Array:
    from tests.speech import dialogue

    return dialogue(_TAIL_S, f"{text}.", _TAIL_S)


def _letters(text: str) -> str:
    """Letters apart, as spelling is compared: a recogniser writes SMITH, S-M-I-T-H or S M I T H."""
    return " ".join("".join(re.findall("[a-z]", text.lower())))


def _apart(text: str) -> str:
    """Digits apart, as numbers are compared: a recogniser writes 0996 or zero, nine, nine, six."""
    return normalise(re.sub(r"\d", lambda digit: f" {_DIGITS[int(digit[0])]} ", text))


_COMPARED = {"spelled": _letters, "number": _apart}


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
        compared = _COMPARED.get(recording.name.partition("-")[0], normalise)
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
        "numbers read out": read_out(),
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
