"""A call on two tracks of one clock: the caller left, the agent right, as the caller heard it."""

import secrets
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agent.audio.chunk import Int16Array, samples

_SETTLED_S = 2.0
"""What is older is written: a clear can only take back what has not been heard."""

_DRIFT_S = 0.1
"""The caller's packets come unevenly, and belong one behind the other; only a larger difference
from the clock is a gap."""


class TwoTracks:
    """Samples of two channels by their time. Pure.

    Args:
        sample_rate: Of both, in Hz.
        began_s: When sample 0 is.
    """

    def __init__(self, sample_rate: int, began_s: float) -> None:
        self._rate = sample_rate
        self._began_s = began_s
        self._base = 0
        self._tracks: Int16Array = np.zeros((0, 2), np.int16)
        self._caller_end = 0

    def caller(self, pcm: Int16Array, now_s: float) -> None:
        """Audio of the caller's that has just come, shape (n,)."""
        start = self._at(now_s) - len(pcm)
        if abs(start - self._caller_end) <= samples(_DRIFT_S, self._rate):
            start = self._caller_end
        self._put(0, start, pcm)
        self._caller_end = start + len(pcm)

    def agent(self, pcm: Int16Array, sounds_at_s: float) -> None:
        """Audio of the agent's, shape (n,), and when the provider begins to play it."""
        self._put(1, self._at(sounds_at_s), pcm)

    def cleared(self, now_s: float) -> None:
        """What the agent was going to say from now on is not heard."""
        self._tracks[max(0, self._at(now_s) - self._base) :, 1] = 0

    def take(self, until_s: float) -> Int16Array:
        """Both channels up to a time, shape (n, 2); they are forgotten here."""
        count = min(max(0, self._at(until_s) - self._base), len(self._tracks))
        taken, self._tracks = self._tracks[:count], self._tracks[count:]
        self._base += count
        return taken

    def _at(self, time_s: float) -> int:
        return samples(time_s - self._began_s, self._rate)

    def _put(self, channel: int, start: int, pcm: Int16Array) -> None:
        first = max(start, self._base)
        pcm = pcm[first - start :]
        missing = first + len(pcm) - self._base - len(self._tracks)
        if missing > 0:
            self._tracks = np.concatenate([self._tracks, np.zeros((missing, 2), np.int16)])
        at = first - self._base
        self._tracks[at : at + len(pcm), channel] = pcm


class Recording:
    """Two tracks on their way into a WAV file.

    Args:
        directory: Where it is kept; made if it is not there.
        sample_rate: In Hz.
        now_s: When it begins.
        is_secret: Asked whether what the caller says now is kept as silence.
    """

    def __init__(
        self,
        directory: Path,
        sample_rate: int,
        now_s: float,
        is_secret: Callable[[], bool] = lambda: False,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Nobody finds one call's recording from the name of another's.
        self.path = directory / f"{secrets.token_hex(16)}.wav"
        self.path.touch(mode=0o600)
        self._rate = sample_rate
        self._is_secret = is_secret
        self._tracks = TwoTracks(sample_rate, now_s)
        self._file: wave.Wave_write | None = wave.open(str(self.path), "wb")  # noqa: SIM115
        self._file.setnchannels(2)
        self._file.setsampwidth(2)
        self._file.setframerate(sample_rate)
        self._written_s = now_s

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self._file is not None

    def caller(self, pcm: Int16Array, now_s: float) -> None:
        """Audio of the caller's that has just come."""
        if self._file:
            self._tracks.caller(np.zeros_like(pcm) if self._is_secret() else pcm, now_s)
            self._write(now_s - _SETTLED_S)

    def agent(self, pcm: Int16Array, sounds_at_s: float) -> None:
        """Audio of the agent's, and when it begins to sound."""
        if self._file:
            self._tracks.agent(pcm, sounds_at_s)

    def cleared(self, now_s: float) -> None:
        """What the agent was going to say from now on is not heard."""
        self._tracks.cleared(now_s)

    def close(self, now_s: float) -> None:
        """The call is over: nothing after this is kept."""
        if self._file:
            self._tracks.cleared(now_s)
            self._file.writeframes(self._tracks.take(now_s).astype("<i2").tobytes())
            self._file.close()
            self._file = None

    def _write(self, until_s: float) -> None:
        if self._file and until_s - self._written_s >= _SETTLED_S:
            self._written_s = until_s
            self._file.writeframes(self._tracks.take(until_s).astype("<i2").tobytes())
