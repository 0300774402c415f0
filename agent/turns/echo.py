"""How much of the agent's own voice comes back, and words that are only that. Pure."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.audio.chunk import Int16Array, samples, seconds
from agent.turns.sounds import alike, sound, tokens

Float64Array = npt.NDArray[np.float64]

SILENT_DBFS = -96.0
"""Level given for digital silence: one step of 16 bits."""

_FLOOR = 10 ** (SILENT_DBFS / 10)

_FRAME = samples(0.008)
"""Levels are followed in frames of 8 ms: the delay's resolution."""

_HOP_FRAMES = 4
"""Frames of a hop."""

_LAGS = samples(0.6) // _FRAME + 1
"""Delays looked at, in frames from 0 on. The longest is that from loudspeaker to microphone by way
of the slowest usual path: two jitter buffers and a room."""

_CORRELATION_S = 2.0
"""Time over which near and far levels are compared to find the delay."""

_DECAY_DB = 0.6
"""What a room's tail loses in a frame: 60 dB in 0.8 s, a large room."""

_ACTIVE_DBFS = -50.0
"""Far-end level from which an echo could be measured at all."""

_MEMORY_FRAMES = 1000
"""Frames of far-end speech whose return is remembered: 8 s."""

_LOUD_RETURNS = 0.9
"""One frame in ten exceeds the return that is given. Behind a canceller the echo comes in bursts,
and their level counts, not the silence between; a user who talks over the agent does so for a
fraction of a second before it pauses, which is less than a tenth of what is remembered."""

_LEAST_FRAMES = 125
"""Frames of far-end speech before the measured return is believed: 1 s. The first of them say
nothing, as the echo has yet to come."""

_CORRELATED_FRAMES = 25
"""Frames before the delay is believed: 0.2 s."""

_JUDGED_FRAMES = 125
"""The latest frames that are not yet taken for echo: 1 s, in which it is known whether they were
somebody who speaks over the agent. At the beginning of an answer they would be most of what is
remembered, and nobody can be louder than himself."""

_SPEECHLESS = 0.2
"""Posterior below which a hop holds nobody's voice, so that its level is the room's."""

_ROOM_FRAMES = 500
"""Frames without a voice whose level is remembered: 4 s."""

_LEAST_ROOM_FRAMES = 62
"""Of them, before the room's level is believed: 0.5 s."""

_QUIETER_DB = 6.0
"""So far below the room's lower decile that of the latest second lies once the room is quieter."""

_ABOVE_ROOM_DB = 3.0
"""How far out of the room's noise a frame must stand while the agent speaks to be its echo. The
level of steady noise spreads by less from frame to frame, past its own ninth decile."""


def level_dbfs(pcm: Int16Array) -> float:
    """Root mean square of `pcm` (shape (n,), int16) in dB below a full-scale square wave."""
    signal = pcm.astype(np.float64)
    return _dbfs(float(signal @ signal), len(pcm))


def _dbfs(energy: float, count: int) -> float:
    return 10 * math.log10(max(energy / (max(count, 1) * 32768.0**2), _FLOOR))


@dataclass(frozen=True, slots=True)
class EchoHop:
    """One hop of the microphone beside what our own voice explains of it.

    Attributes:
        at_sample: Just after the hop, on the media clock (16 kHz).
        near_dbfs: What the microphone took.
        echo_dbfs: The level our own voice is expected to come back with.
        return_db: Echo's level less the far end's, the running estimate.
        delay_s: Of the echo, the running estimate.
    """

    at_sample: int
    near_dbfs: float
    echo_dbfs: float
    return_db: float
    delay_s: float


class EchoLevel:
    """Follows the echo's return level and delay. Pure.

    Needs no canceller, and works as well behind one: then it measures what is left. An echo comes
    and goes with what is played: what is as loud while nobody speaks is the room, and no echo.
    """

    def __init__(self, unknown_return_db: float = 0.0) -> None:
        """Begin without knowledge of the path.

        Args:
            unknown_return_db: Return assumed until the agent has spoken for 2 s.
        """
        self._unknown = unknown_return_db
        self._far = np.full(_LAGS + _HOP_FRAMES - 1, SILENT_DBFS)
        """Newest last: the far end's level by frame, held up by the room's decay."""
        self._delayed = np.lib.stride_tricks.sliding_window_view(self._far, _LAGS)
        """A row for each frame of the hop: the levels it may be an echo of, the longest delay
        first."""
        self._silent_frames = _LAGS
        """Since the far end was loud enough for an echo."""
        self._weight = self._near_sum = 0.0
        self._sums: Float64Array = np.zeros((3, _LAGS))
        """Of far levels, of their products with near ones, and of their squares, by delay as
        above."""
        self._lag: int | None = 0
        """At which both go together best; None where it must be looked for again."""
        self._room: deque[float] = deque(maxlen=_ROOM_FRAMES)
        """Levels of the near end while neither end speaks."""
        self._room_range: tuple[float, float] | None = None
        """What few and what nearly all of them stay below; None where it must be looked for again.
        """
        self._lately: deque[float] = deque(maxlen=_JUDGED_FRAMES)
        """Levels of the near end in the latest second, whoever speaks."""
        self._latest: deque[float] = deque()
        self._returns: Float64Array = np.zeros(_MEMORY_FRAMES)
        self._returned = 0
        """Returns noted so far: the newest lie before this place in the ring."""
        self._loud: float | None = None
        """Of the returns remembered; None where it must be looked for again."""
        self._keep = 1.0 - 1.0 / (samples(_CORRELATION_S) / _FRAME)

    @property
    def delay_s(self) -> float:
        """Of the echo: the lag at which near and far levels go together best."""
        return seconds(self._best_lag() * _FRAME)

    @property
    def return_db(self) -> float:
        """Echo's level less the far end's."""
        if self._returned < _LEAST_FRAMES:
            return self._unknown
        if self._loud is None:
            self._loud = _quantile(self._returns[: self._returned], _LOUD_RETURNS)
        return self._loud

    def push(
        self, at_sample: int, near: Int16Array, far: Int16Array, probability: float = 1.0
    ) -> EchoHop:
        """Take one hop of both ends.

        Args:
            at_sample: Just after the hop, on the media clock.
            near: From the microphone, shape (512,), int16, 16 kHz.
            far: Played meanwhile, same shape.
            probability: That the near end holds speech.
        """
        lag = self._best_lag()
        expected = SILENT_DBFS
        if self._room_is_quieter:
            self._room.clear()
            self._room_range = None
        near_energies, far_energies = _energies(near, far)
        near_levels = [_dbfs(energy, _FRAME) for energy in near_energies]
        can_echo = self._play([_dbfs(energy, _FRAME) for energy in far_energies])
        self._correlate(near_levels, can_echo)
        for nth, near_db in enumerate(near_levels):
            self._lately.append(near_db)
            if probability < _SPEECHLESS and not can_echo[nth]:
                self._room.append(near_db)
                self._room_range = None
            delayed = self._far.item(nth - _HOP_FRAMES - lag)
            expected = max(expected, delayed)
            if delayed > _ACTIVE_DBFS:
                is_room = near_db <= self._room_dbfs[1] + _ABOVE_ROOM_DB
                self._latest.append(SILENT_DBFS if is_room else near_db - delayed)
                if len(self._latest) > _JUDGED_FRAMES:
                    self._remember(self._latest.popleft())
        return_db = self.return_db
        return EchoHop(
            at_sample=at_sample,
            near_dbfs=_dbfs(sum(near_energies), len(near)),
            echo_dbfs=max(SILENT_DBFS, expected + return_db)
            if expected > _ACTIVE_DBFS
            else SILENT_DBFS,
            return_db=return_db,
            delay_s=seconds(lag * _FRAME),
        )

    @property
    def _room_dbfs(self) -> tuple[float, float]:
        """What few and what nearly all frames of the room's stay below."""
        if len(self._room) < _LEAST_ROOM_FRAMES:
            return SILENT_DBFS, SILENT_DBFS
        if self._room_range is None:
            room = np.array(self._room)
            self._room_range = _quantile(room, 1 - _LOUD_RETURNS), _quantile(room, _LOUD_RETURNS)
        return self._room_range

    @property
    def _room_is_quieter(self) -> bool:
        """Whether a noise has stopped, below which echoes would still be overlooked."""
        if len(self._room) < _LEAST_ROOM_FRAMES or self._silent_frames >= _LAGS:
            return False
        quieter = self._room_dbfs[0] - _QUIETER_DB
        # A decile is no less than the least, which is found in a tenth of the time.
        if min(self._lately) >= quieter:
            return False
        return _quantile(np.array(self._lately), 1 - _LOUD_RETURNS) < quieter

    def _remember(self, return_db: float) -> None:
        self._returns[self._returned % _MEMORY_FRAMES] = return_db
        self._returned += 1
        self._loud = None

    def _play(self, levels: list[float]) -> list[bool]:
        """Take a hop of the far end; whether an echo of anything may be in each of its frames."""
        held, can_echo = self._far.item(-1), []
        self._far[:-_HOP_FRAMES] = self._far[_HOP_FRAMES:]
        for nth, level in enumerate(levels):
            held = max(level, held - _DECAY_DB)
            self._far[nth - _HOP_FRAMES] = held
            self._silent_frames = 0 if held > _ACTIVE_DBFS else self._silent_frames + 1
            can_echo.append(self._silent_frames < _LAGS)
        return can_echo

    def _correlate(self, near: list[float], can_echo: list[bool]) -> None:
        if not any(can_echo):
            return
        # A hop at once: this runs for each caller on the loop from which all speech leaves, and
        # four frames one by one cost three times as much.
        kept, weights = 1.0, [0.0] * _HOP_FRAMES
        for nth in reversed(range(_HOP_FRAMES)):
            if can_echo[nth]:
                weights[nth] = kept
                kept *= self._keep
        weighted = [weight * level for weight, level in zip(weights, near, strict=True)]
        self._weight = kept * self._weight + sum(weights)
        self._near_sum = kept * self._near_sum + sum(weighted)
        self._sums *= kept
        self._sums[:2] += np.array((weights, weighted)) @ self._delayed
        self._sums[2] += np.array(weights) @ (self._delayed * self._delayed)
        self._lag = None

    def _best_lag(self) -> int:
        if self._lag is not None:
            return self._lag
        self._lag = 0
        if self._weight >= _CORRELATED_FRAMES:
            far, cross, squares = self._sums / self._weight
            # The near end's spread is the same for all delays.
            spread = np.maximum(squares - far * far, 1e-3)
            together = (cross - far * (self._near_sum / self._weight)) / np.sqrt(spread)
            self._lag = int(together[::-1].argmax())
        return self._lag


class EchoVeto:
    """Tells which words of a partial only repeat what the agent is saying. Pure."""

    def __init__(self, least_share: float = 0.7) -> None:
        """Compare from now on.

        Args:
            least_share: Of a partial's sounds, those that must be the agent's for all of it to be.
        """
        self._least = least_share

    def own(self, words: Sequence[str], spoken: Sequence[str]) -> list[bool]:
        """Which words are the agent's.

        Args:
            words: Of the partial, as recognised.
            spoken: What the agent said lately and is saying, in order: from 3 s before the
                partial's first word to now.

        Returns:
            One for each word: whether it is found, in order with the others, in what was spoken.
        """
        keys = [_key(word) for word in words]
        found = _aligned(keys, [_key(word) for word in spoken])
        return [bool(key) and found[index] > 0.0 for index, key in enumerate(keys)]

    def share(self, words: Sequence[str], spoken: Sequence[str]) -> float:
        """How much of a partial is the agent's own.

        Returns:
            Share of the partial's sounds that lie, in order, in what was spoken; 0.0 without words.
        """
        keys = [_key(word) for word in words]
        found = _aligned(keys, [_key(word) for word in spoken])
        total = sum(len(key) for key in keys)
        return sum(found) / total if total else 0.0

    def repeats(self, words: Sequence[str], spoken: Sequence[str]) -> bool:
        """Whether a partial is the agent's own voice. One short word is too little to say so."""
        if sum(len(_key(word)) for word in words) < _LEAST_SOUNDS:
            return False
        return self.share(words, spoken) >= self._least


_LEAST_SOUNDS = 4

_NUMBERS = frozenset(
    (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy "
        "eighty ninety hundred thousand million"
    ).split()
)


def _key(word: str) -> str:
    """How a word sounds; all numbers alike, as one side may spell what the other has in digits."""
    said = tokens(word.replace("-", " "))
    if said and all(token.isdigit() or token in _NUMBERS for token in said):
        return _NUMBER
    return "".join(sound(token) for token in said)


_NUMBER = "1234"
"""As long as a word, for the weight it has."""


def _aligned(said: Sequence[str], own: Sequence[str]) -> list[float]:
    """Sounds of each word of `said` that are found in `own`, by the best alignment in order."""
    best = np.zeros((len(said) + 1, len(own) + 1))
    gain = np.array([[len(mine) * alike(mine, theirs) for theirs in own] for mine in said])
    for i in range(1, len(said) + 1):
        for j in range(1, len(own) + 1):
            best[i, j] = max(
                best[i - 1, j], best[i, j - 1], best[i - 1, j - 1] + gain[i - 1, j - 1]
            )
    found = [0.0] * len(said)
    i, j = len(said), len(own)
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            found[i] = float(gain[i, j])
    return found


def _quantile(values: Float64Array, share: float) -> float:
    """As numpy's, at an eighth of its price."""
    place, part = divmod(share * (len(values) - 1), 1.0)
    ordered = values.copy()
    ordered.partition((int(place), int(place) + 1))
    low, high = ordered[int(place) : int(place) + 2].tolist()
    return float(low + part * (high - low))


def _energies(near: Int16Array, far: Int16Array) -> tuple[list[float], list[float]]:
    """Sums of squares by frame, of one hop of both ends."""
    frames = np.concatenate((near, far)).astype(np.float64).reshape(-1, _FRAME)
    energies: list[float] = np.einsum("ij,ij->i", frames, frames).tolist()
    return energies[:_HOP_FRAMES], energies[_HOP_FRAMES:]
