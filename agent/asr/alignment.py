"""From attention to time: which stretch of audio each token was read from. Pure."""

import numpy as np
import numpy.typing as npt

from agent.audio.chunk import Float32Array


def monotonic_path(attention: Float32Array) -> npt.NDArray[np.intp]:
    """Lay the tokens along the audio in order, each where it was most attended to.

    Dynamic time warping with two steps, stay with the token or go to the next, over the logarithm
    of the attention. Every token gets at least one frame where there are enough frames.

    Args:
        attention: Shape (tokens, frames), rows non-negative, in the order the tokens were spoken.

    Returns:
        Shape (tokens,): the first frame of each token, never decreasing, the first always 0.
    """
    tokens, frames = attention.shape
    if tokens == 0:
        return np.zeros(0, np.intp)
    if frames < tokens:
        # More tokens than frames: nothing to align, so share the frames out evenly.
        return np.arange(tokens, dtype=np.intp) * frames // tokens
    gain = np.log(attention + np.float32(1e-6)).astype(np.float64)
    best = np.full(tokens, -np.inf)
    best[0] = gain[0, 0]
    entered = np.zeros((frames, tokens), bool)
    for frame in range(1, frames):
        from_previous = np.concatenate(([-np.inf], best[:-1]))
        entered[frame] = from_previous > best
        best = np.maximum(best, from_previous) + gain[:, frame]

    starts = np.zeros(tokens, np.intp)
    token = tokens - 1
    for frame in range(frames - 1, 0, -1):
        if token and entered[frame, token]:
            starts[token] = frame
            token -= 1
    return starts
