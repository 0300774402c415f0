"""A call on two tracks of one clock: the caller left, the agent right, as the caller heard it."""

import secrets
import wave
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agent.audio.chunk import Int16Array, samples

_SETTLED_S = 2.0
"""What is older is written: a clear can only take back what has not been heard."""

_GAP_S = 0.1
"""A packet later than this begins a new stretch: nothing was sent in between."""

_EARLY_S = 0.005
_LATE_S = 0.01
_WINDOW_S = 1.0
"""How far a stretch may lie too late, and too early for how long. Together with the packet's own
20 ms these keep both channels within 20 ms of each other."""


class _Stretch:
    """Packets one behind the other. Pure.

    A packet can come late but not early. So the earliest of them shows where all belong: one that
    comes before its place says that the stretch lies too late, and a second in which all come late
    that it lies too early, as when the other side's clock is slow.

    Args:
        start: Of the first, in samples.
        window: In samples.
    """

    def __init__(self, start: int, window: int) -> None:
        self.start = self.end = start
        self._window = window
        self._late: deque[tuple[int, int]] = deque()

    def move(self, by: int) -> None:
        """All of it lies elsewhere."""
        self.start += by
        self.end += by
        self._late.clear()

    def continue_at(self, place: int) -> None:
        """What comes next lies later."""
        self.end = place
        self._late.clear()

    def always_late(self, place: int) -> int:
        """Take a packet that would belong to `place` if it was not late; by how much all are."""
        self._late.append((place, place - self.end))
        if place - self._late[0][0] < self._window:
            return 0
        least = min(late for _, late in self._late)
        self._late.popleft()
        return least


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
        self._stretches: list[_Stretch | None] = [None, None]

    def caller(self, pcm: Int16Array, now_s: float) -> None:
        """Audio of the caller's that has just come, shape (n,): it was spoken before."""
        self._continue(0, self._at(now_s) - len(pcm), pcm)

    def left(self, pcm: Int16Array, now_s: float) -> None:
        """Audio of the agent's that has just left, shape (n,): it sounds from now on."""
        self._continue(1, self._at(now_s), pcm)

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

    def _continue(self, channel: int, place: int, pcm: Int16Array) -> None:
        """Put audio behind what came before, as far as the clock agrees to that."""
        stretch = self._stretches[channel]
        if stretch is None or place - stretch.end > samples(_GAP_S, self._rate):
            stretch = _Stretch(place, samples(_WINDOW_S, self._rate))
            self._stretches[channel] = stretch
        elif (early := stretch.end - place) > samples(_EARLY_S, self._rate):
            self._pull(channel, stretch, early)
        elif (late := stretch.always_late(place)) > samples(_LATE_S, self._rate):
            stretch.continue_at(stretch.end + late)
        self._put(channel, stretch.end, pcm)
        stretch.end += len(pcm)

    def _pull(self, channel: int, stretch: _Stretch, by: int) -> None:
        """Move a stretch's last second to where it belongs: earlier, as far as it is not written.

        What lies before that was right in its time: then it is a clock that runs too fast.
        """
        start = max(stretch.start, stretch.end - samples(_WINDOW_S, self._rate))
        first, end = max(start - self._base, by), max(stretch.end - self._base, by)
        track = self._tracks[:, channel]
        track[first - by : end - by] = track[first:end].copy()
        track[max(first, end - by) : end] = 0
        stretch.move(-by)

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

    def left(self, pcm: Int16Array, now_s: float) -> None:
        """Audio of the agent's that has just left."""
        if self._file:
            self._tracks.left(pcm, now_s)

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
