"""Take our own voice out of the microphone, where the client does not do it.

WebRTC's audio processing (AEC3, as in browsers; BSD) from the wheel of pywebrtc-audio (Apache-2.0).
"""

import numpy as np

from agent.audio.chunk import SAMPLE_RATE, Int16Array, PcmChunk, samples
from agent.audio.ring import PreRoll
from agent.errors import AudioFormatError, DegradedError

BLOCK = samples(0.01)
"""WebRTC works in blocks of 10 ms."""

_REFERENCE_S = 4.0
"""Speech that may be handed over before it sounds."""

_HEARD_FAR = 100
_HEARD_NEAR = 3
"""Peaks, in steps of 16 bits: far-end speech, and more than the digital silence of a program."""

_NO_PATH_BLOCKS = 100
"""Far-end speech of which the near end holds nothing: 1 s, longer than any echo takes."""

_PATH_BLOCKS = 50
"""Sound together with the far end after which there may be a path after all: 0.5 s. Who speaks over
the agent pauses it sooner."""


class EchoPath:
    """Whether what the loudspeaker plays can reach the microphone. Pure.

    A program, a gate or a headset that sends digital silence while the agent speaks has no echo,
    and a canceller that never heard one takes the first words over the agent for it.
    """

    def __init__(self) -> None:
        self._silent = self._loud = 0

    @property
    def exists(self) -> bool:
        """Whether it must be reckoned with."""
        return self._silent < _NO_PATH_BLOCKS

    def push(self, near: Int16Array, far: Int16Array) -> None:
        """Take one block of both ends, int16."""
        if np.abs(far.astype(np.int32)).max() < _HEARD_FAR:
            return
        if np.abs(near.astype(np.int32)).max() <= _HEARD_NEAR:
            self._silent, self._loud = self._silent + 1, 0
            return
        self._loud += 1
        if self._loud >= _PATH_BLOCKS or self.exists:
            self._silent = 0


class Reference:
    """What the loudspeaker plays, by the sample at which it plays it. Pure.

    Keeps 4 s; what was never handed over reads as silence, so a pause or a cut needs no word.
    """

    def __init__(self) -> None:
        self._ring = PreRoll(samples(_REFERENCE_S))

    def play(self, pcm: Int16Array, at_sample: int) -> None:
        """Note that `pcm` (shape (n,), int16, 16 kHz) sounds from `at_sample` on."""
        self._ring.push(PcmChunk(pcm, at_sample))

    def cut(self, at_sample: int) -> None:
        """Nothing handed over before sounds from `at_sample` on."""
        left = self._ring.since(at_sample)
        if left.start_sample >= at_sample and len(left.pcm):
            self._ring.push(PcmChunk(np.zeros_like(left.pcm), left.start_sample))

    def read(self, start_sample: int, count: int) -> Int16Array:
        """What sounds in [start_sample, start_sample + count).

        Returns:
            Shape (count,), int16; silence where nothing is known to play.
        """
        pcm: Int16Array = np.zeros(count, np.int16)
        known = self._ring.since(start_sample)
        first = known.start_sample - start_sample
        if 0 <= first < count:
            part = known.pcm[: count - first]
            pcm[first : first + len(part)] = part
        return pcm


class EchoCanceller:
    """Removes the far end from the near end of one stream.

    Not for several threads at once. It learns the room within about a second of far-end speech;
    until then, and for what no linear filter explains, `agent.turns.echo` stands behind it.
    """

    def __init__(self, delay_s: float = 0.0) -> None:
        """Begin without knowledge of the room.

        Args:
            delay_s: From a sample's place in the reference to its sounding, where it is known: a
                hint, the canceller searches for it.

        Raises:
            DegradedError: pywebrtc-audio is not installed: no wheel for this platform.
        """
        try:
            from pywebrtc_audio import AudioProcessor
        except ImportError as missing:
            raise DegradedError(
                "no echo canceller on this machine: pip install pywebrtc-audio, or use headphones"
            ) from missing
        self._processor = AudioProcessor(
            sample_rate=SAMPLE_RATE,
            echo_cancellation=True,
            high_pass_filter=True,
            stream_delay_ms=round(1000 * delay_s),
        )
        self._path = EchoPath()
        self._near: Int16Array = np.zeros(0, np.int16)
        self._far: Int16Array = np.zeros(0, np.int16)

    def process(self, near: Int16Array, far: Int16Array) -> Int16Array:
        """Clean the next stretch.

        Args:
            near: What the microphone took, shape (n,), int16, 16 kHz.
            far: What the loudspeaker played meanwhile, same shape; silence where nothing.

        Returns:
            Shape (m,), int16: every complete block of 10 ms so far, so that less than one is held
            back and nothing is when `near` comes in multiples of it.

        Raises:
            AudioFormatError: Both differ in length, or are not mono int16.
        """
        if near.shape != far.shape or near.ndim != 1:
            raise AudioFormatError(
                f"near and far end must be mono and of one length, got {near.shape}, {far.shape}"
            )
        if near.dtype != np.int16 or far.dtype != np.int16:
            raise AudioFormatError(f"expected int16, got {near.dtype} and {far.dtype}")
        self._near = np.concatenate([self._near, near])
        self._far = np.concatenate([self._far, far])
        whole = len(self._near) // BLOCK * BLOCK
        cleaned: Int16Array = np.zeros(whole, np.int16)
        for start in range(0, whole, BLOCK):
            stop = start + BLOCK
            near_block, far_block = self._near[start:stop], self._far[start:stop]
            # Also where it is not needed: it goes on learning.
            block = self._processor.process(near_block, far_block)
            self._path.push(near_block, far_block)
            cleaned[start:stop] = block if self._path.exists else near_block
        self._near, self._far = self._near[whole:], self._far[whole:]
        return cleaned
