"""What somebody hears who waits: a quiet tune, made here note by note. Pure."""

from collections.abc import Iterator

import numpy as np

from agent.audio.chunk import Float32Array, Int16Array, samples

_NOTE_S = 0.45
_RING_S = 1.6
"""A note fades over the next ones, as on a harp."""

_LEVEL = 0.09
"""Peak of a note, -21 dBFS: it must not tire, nor be taken for a person."""

_CHORDS = ((48, 55, 60, 64), (45, 52, 57, 60), (41, 53, 57, 60), (43, 50, 55, 59))
"""C, A minor, F and G, as MIDI numbers, an octave up when played."""

_ORDER = (0, 1, 2, 3, 2, 1)


def tune(sample_rate: int, packet_s: float) -> Iterator[Int16Array]:
    """Music without an end, in packets; shape (n,), int16."""
    size = samples(packet_s, sample_rate)
    step = samples(_NOTE_S, sample_rate)
    ringing = np.zeros(samples(_RING_S, sample_rate), np.float32)
    waiting = np.zeros(0, np.float32)
    while True:
        for chord in _CHORDS:
            for place in _ORDER:
                ringing[:] += _note(12 + chord[place], sample_rate)
                waiting = np.concatenate([waiting, ringing[:step]])
                ringing = np.concatenate([ringing[step:], np.zeros(step, np.float32)])
                while len(waiting) >= size:
                    packet, waiting = waiting[:size], waiting[size:]
                    yield (packet * 32767).clip(-32768, 32767).astype(np.int16)


def _note(midi: int, sample_rate: int) -> Float32Array:
    """One plucked note with two overtones, all within a telephone's band."""
    at = np.arange(samples(_RING_S, sample_rate)) / sample_rate
    hertz = 440.0 * 2 ** ((midi - 69) / 12)
    sound = sum(
        np.sin(2 * np.pi * k * hertz * at) * np.exp(-3.0 * k * at) / k**2 for k in (1, 2, 3)
    )
    onset = np.minimum(1.0, at / 0.01)
    note: Float32Array = (_LEVEL * onset * sound).astype(np.float32)
    return note
