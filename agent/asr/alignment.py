"""From attention to time: which stretch of audio each token was read from. Pure."""

import numpy as np
import numpy.typing as npt

from agent.audio.chunk import SAMPLE_RATE, Float32Array

QUIET_HOP = SAMPLE_RATE // 100
"""Samples over which loudness is taken: 10 ms."""

QUIET_RATIO = 0.03
"""Amplitude under which a hop is not part of a word, against the word's loudest hop: 30 dB."""


def monotonic_path(attention: Float32Array) -> npt.NDArray[np.intp]:
    """Lay the tokens along the audio in order, each where it was most attended to.

    Dynamic time warping with two steps, stay or go on, over the logarithm of the attention. The
    first token takes all that comes before it: it is seen to attend to the quiet there.

    Args:
        attention: Shape (tokens, frames), rows non-negative and summing to about one, in the
            order the tokens were spoken.

    Returns:
        Shape (tokens,): the first frame of each token, never decreasing, the first always 0.
    """
    tokens, frames = attention.shape
    if frames <= tokens:
        # Nothing to align: share the frames out evenly.
        shared: npt.NDArray[np.intp] = np.arange(tokens, dtype=np.intp) * frames // max(tokens, 1)
        return shared
    starts = np.zeros(tokens, np.intp)
    if tokens == 0:
        return starts
    gain = np.log(attention.astype(np.float64) + 1e-6)
    best = np.full(tokens, -np.inf)
    best[0] = gain[0, 0]
    entered = np.zeros((frames, tokens), bool)
    for frame in range(1, frames):
        from_previous = np.concatenate(([-np.inf], best[:-1]))
        entered[frame] = from_previous > best
        best = np.maximum(best, from_previous) + gain[:, frame]

    token = tokens - 1
    for frame in range(frames - 1, 0, -1):
        if entered[frame, token]:
            starts[token] = frame
            token -= 1
    return starts


def trim_quiet(signal: Float32Array, start: int, end: int) -> tuple[int, int]:
    """Draw a word's borders in to where it sounds.

    Attention gives the pause between two words to one of them. Where the pause is as loud as the
    words, in noise, the borders stay.

    Args:
        signal: Mono samples, shape (n,), float32, 16 kHz.
        start: First sample of the word.
        end: Just after its last.

    Returns:
        New start and end, within the old ones and at least one hop apart where these were.
    """
    hops = (end - start) // QUIET_HOP
    if hops < 2:
        return start, end
    span = signal[start : start + hops * QUIET_HOP].reshape(hops, QUIET_HOP)
    loudness = np.sqrt(np.mean(np.square(span - span.mean()), axis=1))
    loud = np.flatnonzero(loudness >= QUIET_RATIO * loudness.max())
    first, last = int(loud[0]), int(loud[-1])
    return start + first * QUIET_HOP, start + (last + 1) * QUIET_HOP
