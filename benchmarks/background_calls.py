"""A caller before other people, for `benchmarks.background`: babble, a television, softer ends.

All voices are recordings of real people; who talks behind whom follows from the clip's name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.vad.endpointer import Endpointer, EndpointerSettings, SpeechStarted, SpeechStopped
from agent.vad.silero import HOP
from benchmarks.ladder import Ears, Sound
from benchmarks.turns_data import LONGEST_S, seeded

Signal = npt.NDArray[np.float64]

SNRS_DB = {"babble": (10, 15, 20, 25), "television": (15, 20)}
SECOND_DB = 20
LEAD_S = 1.2
"""The line is open before the caller speaks."""

WAITS_S = 5.0
SHORTEST_S = 0.15
"""A shorter sound at the end of a recording is the recorder being switched off."""


@dataclass(frozen=True, slots=True)
class Take:
    """One order.

    Attributes:
        name: Of its recording.
        voice: From its first word to its last, int16 values.
        tone: Of its room, half a second.
        level: Root mean square of its speech.
    """

    name: str
    voice: Signal
    tone: Signal
    level: float


@dataclass(frozen=True, slots=True)
class Call:
    """One order on a line.

    Attributes:
        pcm: Mono, int16, 16 kHz.
        start: Its first sample.
        end: Just after its last.
        earlier: What was heard before, by the ears alone.
    """

    pcm: Int16Array
    start: int
    end: int
    earlier: Int16Array


def takes(data: Path, ears: Ears, names: Sequence[str]) -> Iterator[Take]:
    """The orders, cut to their speech."""
    for name in names:
        pcm, _ = soundfile.read(data / "commands" / f"{name}.flac", dtype="int16")
        pcm = pcm[: samples(LONGEST_S)]
        spans = _spans(ears.detect(pcm))
        if not spans:
            continue
        start, end = spans[0][0], spans[-1][1]
        signal = pcm.astype(np.float64)
        width = samples(0.5)
        places = range(end, len(pcm) - width, width // 5)
        tones = [signal[at : at + width] for at in places] or [np.zeros(0)]
        tone = min(tones, key=lambda tone: float(np.mean(tone**2)) if len(tone) else 0.0)
        if len(tone) < width or tone.std() < 1.0:
            tone = np.random.default_rng(0).normal(0.0, 10.0, width)
        yield Take(name, signal[start:end], tone, _level(signal[start:end]))


def _spans(sound: Sound) -> list[tuple[int, int]]:
    endpointer, spans, start = Endpointer(EndpointerSettings(), SAMPLE_RATE, HOP), [], 0
    for hop in sound.hops:
        change = endpointer.push(hop.probability, hop.at_sample)
        if isinstance(change, SpeechStarted):
            start = change.start_sample
        elif isinstance(change, SpeechStopped):
            spans.append((start, change.end_sample))
    return [span for span in spans if span[1] - span[0] > samples(SHORTEST_S)]


def _level(signal: Signal) -> float:
    """Of its speech, without the pauses: frames less than 25 dB below the loudest."""
    frames = signal[: len(signal) // HOP * HOP].reshape(-1, HOP)
    power = np.mean(frames**2, axis=1)
    return float(np.sqrt(power[power > power.max() / 10**2.5].mean()))


def _talk(others: Sequence[Take], length: int, gaps_s: tuple[float, float], chance: Any) -> Signal:
    """One person after the other, at level 1."""
    parts: list[Signal] = []
    while sum(map(len, parts)) < length + SAMPLE_RATE:
        other = others[chance.integers(len(others))]
        parts += [other.voice / other.level, np.zeros(samples(chance.uniform(*gaps_s)))]
    begin = chance.integers(SAMPLE_RATE)
    return np.concatenate(parts)[begin : begin + length]


def babble(others: Sequence[Take], length: int, chance: Any) -> Signal:
    """Four talk at once."""
    mixed = np.sum([_talk(others, length, (0.05, 0.4), chance) for _ in range(4)], axis=0)
    return np.asarray(mixed / np.sqrt(np.mean(mixed**2)))


def television(others: Sequence[Take], length: int, chance: Any) -> Signal:
    """One talks, with short pauses."""
    return _talk(others, length, (0.15, 0.7), chance)


def call(
    take: Take,
    behind: Signal | float = 0.0,
    gains: Signal | float = 1.0,
    earlier: Call | None = None,
) -> Call:
    """Lay an order into a line.

    Args:
        take: The order.
        behind: What else is heard on the line, as long as the line; `length` tells it.
        gains: On the voice alone, as long as it.
        earlier: The line before; None where it opens now.
    """
    tone = np.resize(np.concatenate([take.tone, take.tone[::-1]]), length(take))
    start = samples(LEAD_S)
    end = start + len(take.voice)
    tone[start:end] *= np.sqrt(1 - np.minimum(1.0, np.square(gains)))
    tone[start:end] += take.voice * gains
    mixed = np.clip(np.rint(tone + behind), -32768, 32767)
    before = earlier.pcm if earlier else np.zeros(0, np.int16)
    return Call(mixed.astype(np.int16), start, end, before[: len(before) // HOP * HOP])


def length(take: Take) -> int:
    """Samples of a line with this order."""
    return samples(LEAD_S) + len(take.voice) + samples(WAITS_S)


def calls(take: Take, others: Sequence[Take]) -> Iterator[tuple[str, Call]]:
    """The same order in every situation."""
    chance = np.random.default_rng(seeded(take.name).getrandbits(32))
    yield "alone", call(take)
    for name, talk in (("babble", babble), ("television", television)):
        behind = talk(others, length(take), chance) * take.level
        for snr_db in SNRS_DB[name]:
            yield f"{name}, {snr_db} dB", call(take, behind * 10 ** (-snr_db / 20))
        # He has said the same before, and was heard then.
        again = talk(others, length(take), chance) * take.level
        yield (
            f"{name}, {SECOND_DB} dB, second turn",
            call(
                take,
                again * 10 ** (-SECOND_DB / 20),
                earlier=call(take, behind * 10 ** (-SECOND_DB / 20)),
            ),
        )
    count = len(take.voice)
    for fall_db in (12, 18):
        last = np.ones(count)
        last[-samples(0.8) :] = 10 ** (-fall_db / 20)
        yield f"last words {fall_db} dB softer", call(take, gains=last)
    rest = np.where(np.arange(count) < count // 3, 1.0, 10 ** (-15 / 20))
    yield "15 dB softer after a third", call(take, gains=rest)
    slam = np.zeros(length(take))
    burst = np.exp(-np.arange(samples(0.3)) / samples(0.08)) * chance.normal(0, 1, samples(0.3))
    slam[samples(0.5) :][: len(burst)] = 16_000 * burst / np.abs(burst).max()
    yield "a door slams before", call(take, slam, np.full(count, 10 ** (-10 / 20)))
