"""Noise, music and typing: does any of it reach the language model as a turn?

    python -m benchmarks.noise [--minutes 60] [--verbose]

A minute of each kind in turn, at -45 to -15 dBFS. Noises, typing and half of the music are
synthesised; the other half is real: the music on hold of Debian's asterisk-moh-opsound (CC BY-SA
3.0), where apt can fetch it and PyAV can decode it. The agent is silent and nobody speaks. The real
speech detector, recogniser and policy (`benchmarks.ladder`); prints one JSON line.

Turns: COMMITs, each of which would be answered. Drafts: SPECULATEs, each of which costs a request
and is not heard.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.turns.events import DecisionKind
from benchmarks.ladder import Ears, decisions, silent
from benchmarks.machine import describe

MINUTE = samples(60.0)
LEVELS_DBFS = (-45.0, -30.0, -15.0, -22.0)
MUSIC_PACKAGE = "asterisk-moh-opsound-g722"

Random = np.random.Generator
Signal = npt.NDArray[np.float64]


def coloured(random: Random, slope: float, size: int = MINUTE) -> Signal:
    """Noise whose power falls with frequency to the power of `slope`: 1 is pink, 2 brown."""
    spectrum = np.fft.rfft(random.normal(0, 1, size))
    spectrum /= np.arange(1, len(spectrum) + 1) ** (slope / 2)
    return _full(np.fft.irfft(spectrum, size))


def ring(random: Random, hz: float, decay_s: float, partials: int = 1) -> Signal:
    """Something that was struck, with inharmonic partials."""
    time = np.arange(samples(5 * decay_s)) / SAMPLE_RATE
    parts = [
        np.sin(2 * np.pi * hz * random.uniform(1.0, 4.0) ** (number > 0) * time) / (number + 1)
        for number in range(partials)
    ]
    return _sum(parts) * np.exp(-time / decay_s)


def scattered(random: Random, make: Callable[[], Signal], every_s: float) -> Signal:
    """Sounds at random moments."""
    signal = np.zeros(MINUTE)
    at = 0
    while (at := at + samples(random.exponential(every_s))) < MINUTE:
        sound = make()[: MINUTE - at]
        signal[at : at + len(sound)] += random.uniform(0.3, 1.0) * sound
    return signal


def typing(random: Random) -> Signal:
    """Keys of one keyboard: a click, the key's ground, and now and then the space bar."""
    body = ring(random, random.uniform(200, 500), 0.01, 4)

    def key() -> Signal:
        sound = random.normal(0, 1, samples(0.05)) * np.exp(-np.arange(samples(0.05)) / 60)
        sound[: len(body)] += random.uniform(0.5, 2.0) * body[: len(sound)]
        return sound

    return scattered(random, key, 0.14) + 0.02 * coloured(random, 1.0)


def knocks(random: Random) -> Signal:
    """Doors, tables, steps."""
    return scattered(random, lambda: ring(random, random.uniform(70, 250), 0.04, 3), 0.8)


def dishes(random: Random) -> Signal:
    """Plates, glasses, cutlery."""
    return scattered(random, lambda: ring(random, random.uniform(900, 4000), 0.12, 5), 0.5)


def coughs(random: Random) -> Signal:
    """Breath through a throat."""

    def cough() -> Signal:
        size = samples(random.uniform(0.15, 0.35))
        breath = random.normal(0, 1, size) * np.exp(-np.arange(size) / (0.3 * size))
        for hz in random.uniform((500, 1300, 2400), (900, 1900, 3400)):
            formant = np.sin(2 * np.pi * hz * np.arange(160) / SAMPLE_RATE)
            breath = breath + np.convolve(breath, formant * np.exp(-np.arange(160) / 40), "same")
        return _full(breath)

    return scattered(random, cough, 3.0)


def street(random: Random) -> Signal:
    """Cars that pass."""
    time = np.arange(MINUTE) / SAMPLE_RATE
    swell = sum(
        np.exp(-(((time - random.uniform(0, 60)) / random.uniform(1, 4)) ** 2)) for _ in range(12)
    )
    return coloured(random, 1.5) * (0.1 + np.asarray(swell))


def engine(random: Random) -> Signal:
    """A fan, a vacuum cleaner, a car from inside: hum, its harmonics and air."""
    time = np.arange(MINUTE) / SAMPLE_RATE
    hz = random.uniform(45, 140)
    drift = 1 + 0.05 * np.sin(2 * np.pi * random.uniform(0.05, 0.3) * time)
    phase = 2 * np.pi * hz * np.cumsum(drift) / SAMPLE_RATE
    return _sum([np.sin(n * phase) / n for n in range(1, 12)]) + coloured(random, 1.0)


def rain(random: Random) -> Signal:
    """Drops on a window."""
    return 0.3 * coloured(random, 0.5) + scattered(
        random, lambda: ring(random, random.uniform(1000, 5000), 0.004, 2), 0.01
    )


def music(random: Random) -> Signal:
    """Chords, a melody with vibrato, and drums."""
    beat_s = random.uniform(0.35, 0.7)
    root_hz = random.uniform(110, 220)
    signal = np.zeros(MINUTE)
    for beat in range(int(60 / beat_s)):
        at = samples(beat * beat_s)
        chord = (0, 5, 7, 0, 9, 5, 7, 0)[beat // 4 % 8]
        notes = [(chord, 0.3), (chord + 4, 0.3), (chord + 7, 0.3)]
        notes.append((chord + 12 + int(random.choice([0, 2, 4, 7, 9])), 1.0))
        for tone, loudness in notes:
            sound = loudness * _note(random, root_hz * 2 ** (tone / 12), beat_s)
            stretch = sound[: MINUTE - at]
            signal[at : at + len(stretch)] += stretch
        drum = random.normal(0, 1, samples(0.1)) * np.exp(-np.arange(samples(0.1)) / 300)
        stretch = drum[: MINUTE - at]
        signal[at : at + len(stretch)] += (0.8 if beat % 2 else 0.3) * stretch
    return signal


def _full(signal: Signal) -> Signal:
    full: Signal = signal / np.abs(signal).max()
    return full


def _sum(parts: Sequence[Signal]) -> Signal:
    total: Signal = np.sum(parts, axis=0)
    return total


def _note(random: Random, hz: float, lasting_s: float) -> Signal:
    time = np.arange(samples(lasting_s)) / SAMPLE_RATE
    vibrato = 1 + 0.006 * np.sin(2 * np.pi * 5.5 * time)
    phase = 2 * np.pi * hz * np.cumsum(vibrato) / SAMPLE_RATE
    bright = random.uniform(1.0, 2.0)
    tone = _sum([np.sin(n * phase) / n**bright for n in range(1, 9)])
    return tone * np.minimum(1.0, time / 0.02) * np.exp(-1.5 * time / lasting_s)


KINDS: dict[str, Callable[[Random], Signal]] = {
    "white": lambda random: coloured(random, 0.0),
    "pink": lambda random: coloured(random, 1.0),
    "brown": lambda random: coloured(random, 2.0),
    "typing": typing,
    "music": music,
    "knocks": knocks,
    "dishes": dishes,
    "coughs": coughs,
    "street": street,
    "engine": engine,
    "rain": rain,
}


def minute(kind: str, number: int) -> Int16Array:
    """One minute of a kind; the same every time."""
    random = np.random.default_rng([number, *kind.encode()])
    return _at_level(KINDS[kind](random), LEVELS_DBFS[number % len(LEVELS_DBFS)])


def _at_level(signal: Signal, dbfs: float) -> Int16Array:
    gain = 10 ** (dbfs / 20) / max(float(np.sqrt(np.mean(signal**2))), 1e-9)
    # A room behind it: digital silence is nothing a microphone gives.
    heard = signal * gain * 32768 + np.random.default_rng(0).normal(0, 4, len(signal))
    pcm: Int16Array = np.clip(np.rint(heard), -32768, 32767).astype(np.int16)
    return pcm


@cache
def real_music() -> tuple[Int16Array, ...]:
    """Minutes of music on hold; empty where they cannot be had."""
    folder = platformdirs.user_cache_path("duplex-benchmarks") / "music"
    if not folder.is_dir():
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            return ()
        partial = folder.with_name("music-partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        command = ["apt-get", "download", "-q", MUSIC_PACKAGE]
        if subprocess.run(command, cwd=partial, capture_output=True, check=False).returncode:
            return ()
        for package in partial.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(partial)], check=True)
        partial.rename(folder)
    pieces = [_decoded(path) for path in sorted(folder.rglob("*.g722"))]
    return tuple(
        piece[start : start + MINUTE]
        for piece in pieces
        for start in range(0, len(piece) - MINUTE + 1, MINUTE)
    )


def _decoded(path: Path) -> Int16Array:
    try:
        import av
    except ImportError:
        return np.zeros(0, np.int16)
    with av.open(str(path), format="g722") as container:
        blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(blocks).astype(np.int16)


def sounds(minutes: int) -> Iterator[tuple[str, Int16Array]]:
    """So many minutes, a kind after the other; every other minute of music is real if it can be."""
    real = real_music()
    kinds = list(KINDS)
    kinds.insert(kinds.index("music") + 2, "music on hold")
    for number in range(minutes):
        kind = kinds[number % len(kinds)]
        if kind == "music on hold" and real:
            yield kind, real[number // len(kinds) * 3 % len(real)]
        else:
            yield kind, minute("music" if kind == "music on hold" else kind, number)


def main(minutes: int, *, verbose: bool) -> dict[str, Any]:
    """Listen to all of it."""
    ears = Ears()
    heard: Counter[str] = Counter()
    turns: Counter[str] = Counter()
    drafts = dropped = 0
    for kind, pcm in sounds(minutes):
        heard[kind] += 1
        for decision in decisions(ears.listen(pcm), silent, ears):
            turns[kind] += decision.kind is DecisionKind.COMMIT
            drafts += decision.kind is DecisionKind.SPECULATE
            dropped += decision.kind is DecisionKind.HOLD
            if verbose:
                print(kind, decision, file=sys.stderr)
    return {
        "benchmark": "noise",
        "machine": describe(),
        "minutes": dict(heard),
        "turns": sum(turns.values()),
        "turns_by_kind": {kind: count for kind, count in turns.items() if count},
        "drafts": drafts,
        "dropped": dropped,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--verbose", action="store_true", help="every decision, on standard error")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    given = parser.parse_args()
    print(json.dumps(main(given.minutes, verbose=given.verbose)))
