"""False cut-offs against dead air, as eot-bench defines them. Pure.

Every silence is judged alone. At the end of a turn a system's latency is the silence until it
fires; inside a turn it makes a false cut-off if it fires before the speaker goes on. Pauses that
were put there have no length of their own: in the place of drawing one, the share of them that the
law of pauses lets last longer is counted, which is the mean over all draws.

A system is a table of the moments at which it fires: one row for each setting, one column for each
pause. Sweeping is choosing among rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.turns.survival import surprise
from benchmarks.turns_cache import SHORTEST_S, Pause

Floats = npt.NDArray[np.float64]

LONGEST_HOLD_S = 5.0
"""Longer silences inside a turn do not count, as in eot-bench."""

HOP_S = 0.032
"""Nothing is decided between two readings of the posterior."""

BACKSTOP_S = 4.0
"""A system that has not fired by then does."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What every setting of a system does to every pause.

    Attributes:
        latency_s: Shape (settings, pauses that end a turn).
        cut: Shape (settings, pauses inside a turn): chance of a cut-off.
        end_clips: Clip of each end.
        hold_clips: Clip of each pause inside a turn.
        settings: Of each row, in words.
    """

    latency_s: Floats
    cut: Floats
    end_clips: tuple[str, ...]
    hold_clips: tuple[str, ...]
    settings: tuple[str, ...]


def outcomes(pauses: Sequence[Pause], fires_s: Floats, settings: Sequence[str]) -> Outcomes:
    """Count.

    Args:
        pauses: What was judged.
        fires_s: Silence after which each setting fires, shape (settings, pauses).
        settings: Of each row, in words.
    """
    fires_s = np.minimum(np.ceil(np.round(fires_s / HOP_S, 6)) * HOP_S, BACKSTOP_S)
    ends = [index for index, pause in enumerate(pauses) if pause.is_end]
    holds = [
        index
        for index, pause in enumerate(pauses)
        if not pause.is_end
        and (pause.is_made or SHORTEST_S <= (pause.lasts_s or 0.0) <= LONGEST_HOLD_S)
    ]
    cut = np.empty((len(fires_s), len(holds)))
    for column, index in enumerate(holds):
        pause = pauses[index]
        if pause.is_made:
            cut[:, column] = np.exp(-SURPRISE(fires_s[:, index]))
        else:
            cut[:, column] = fires_s[:, index] < (pause.lasts_s or 0.0)
    return Outcomes(
        fires_s[:, ends],
        cut,
        tuple(pauses[index].clip for index in ends),
        tuple(pauses[index].clip for index in holds),
        tuple(settings),
    )


SURPRISE = np.vectorize(surprise, otypes=[float])


def best_cut_share(latency_s: Floats, cut_share: Floats, within_s: float) -> tuple[float, int]:
    """Fewest false cut-offs with a mean dead air of at most `within_s`, and the row."""
    return _best(cut_share, latency_s <= within_s, latency_s)


def best_latency(latency_s: Floats, cut_share: Floats, within: float) -> tuple[float, int]:
    """Least mean dead air with at most a share `within` of pauses cut off, and the row."""
    return _best(latency_s, cut_share <= within, cut_share)


def _best(value: Floats, allowed: npt.NDArray[np.bool_], then: Floats) -> tuple[float, int]:
    rows = np.flatnonzero(allowed)
    if not len(rows):
        return float("nan"), -1
    row = int(rows[np.lexsort((then[rows], value[rows]))[0]])
    return float(value[row]), row


METRICS = ("fc_300", "fc_600", "lat_5", "lat_10")


def summary(found: Outcomes) -> Floats:
    """The four figures of `METRICS`: two shares and two times in seconds."""
    return _figures(found.latency_s.mean(axis=1), found.cut.mean(axis=1))


def _figures(latency: Floats, cut: Floats) -> Floats:
    return np.array(
        [
            best_cut_share(latency, cut, 0.3)[0],
            best_cut_share(latency, cut, 0.6)[0],
            best_latency(latency, cut, 0.05)[0],
            best_latency(latency, cut, 0.10)[0],
        ]
    )


def frontier(found: Outcomes) -> list[tuple[float, float, str]]:
    """Settings that no other beats in both respects: (mean dead air, cut-off share, setting)."""
    latency, cut = found.latency_s.mean(axis=1), found.cut.mean(axis=1)
    kept = []
    least = np.inf
    for row in np.lexsort((cut, latency)):
        if cut[row] < least - 1e-9:
            least = cut[row]
            kept.append((float(latency[row]), float(cut[row]), found.settings[row]))
    return kept


def resampled(found: Sequence[Outcomes], draws: int, seed: int = 0) -> Floats:
    """Figures of several systems on the same draws of clips.

    Clips are drawn with replacement, each with all its pauses, so that what two systems share
    cancels out in their differences.

    Returns:
        Shape (draws, systems, figures).
    """
    clips = sorted({*found[0].end_clips, *found[0].hold_clips})
    place = {clip: index for index, clip in enumerate(clips)}
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(clips), np.full(len(clips), 1 / len(clips)), draws).astype(float)
    ends = counts[:, [place[clip] for clip in found[0].end_clips]]
    holds = counts[:, [place[clip] for clip in found[0].hold_clips]]
    figures = np.empty((draws, len(found), len(METRICS)))
    for system, one in enumerate(found):
        latency = one.latency_s @ ends.T / ends.sum(axis=1)
        cut = one.cut @ holds.T / holds.sum(axis=1)
        for draw in range(draws):
            figures[draw, system] = _figures(latency[:, draw], cut[:, draw])
    return figures
