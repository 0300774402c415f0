"""Words somebody else said before the caller spoke, taken out of what was understood. Pure.

The first voice of a call opens a turn whoever's it is, a television's too. Once the caller speaks,
his level says what before it was none of his (`agent.vad.foreground`).
"""

from collections import deque
from dataclasses import replace

from agent.asr.hypothesis import Hypothesis
from agent.audio.chunk import samples
from agent.turns.events import SpeechProbability
from agent.vad.foreground import ForegroundSettings
from agent.vad.silero import HOP

_REMEMBERED = samples(30.0) // HOP
"""Where he began is found by then, or never."""

_WITHIN, _AT_LEAST = 6, 3
"""Of so many hops so many must be the caller's where he begins: a clink is shorter."""

_MARGIN = samples(0.1)
"""The recogniser's times of words are no better than this."""


class OwnWords:
    """Follows the levels of a call; asked which words are the caller's. Pure."""

    def __init__(self) -> None:
        self._settings = ForegroundSettings()
        self._levels: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)
        self._latest: SpeechProbability | None = None
        self._found: tuple[int, int | None] = (-1, None)
        """An utterance, and where the caller began in it."""

    def push(self, hop: SpeechProbability) -> None:
        """Take one hop."""
        self._latest = hop
        self._levels.append((hop.at_sample, hop.level_dbfs))

    def of(self, hypothesis: Hypothesis) -> tuple[Hypothesis, int]:
        """Leave out what was said before the caller began.

        Returns:
            What is his, and the sample from which words are his: 0 where all are.
        """
        if hypothesis.words:
            self._look(hypothesis.utterance_id, hypothesis.words[0].start_sample)
        utterance, begins = self._found
        if begins is None or utterance != hypothesis.utterance_id:
            return hypothesis, 0
        before = sum(word.end_sample + _MARGIN <= begins for word in hypothesis.words)
        kept = hypothesis.words[before:]
        if not before or not kept:
            return hypothesis, 0
        # Between two words: the final may place either a little elsewhere.
        words_from = (hypothesis.words[before - 1].start_sample + kept[0].start_sample) // 2
        text = " ".join(word.text for word in kept)
        return replace(hypothesis, text=text, words=kept), words_from

    def _look(self, utterance_id: int, since: int) -> None:
        """Find where the caller began, as long as the levels reach back to the first word."""
        if self._levels and self._levels[0][0] - HOP <= since:
            self._found = (utterance_id, self._begins(since))

    def _begins(self, since: int) -> int | None:
        """The first hop at the caller's level; None where that is not known."""
        latest, settings = self._latest, self._settings
        if latest is None or latest.caller_dbfs is None or latest.behind_dbfs is None:
            return None
        least = min(
            latest.caller_dbfs - settings.below_caller_db,
            latest.behind_dbfs + settings.above_behind_db,
        )
        hops = [(at, level >= least) for at, level in self._levels if at > since]
        for number, (at, is_his) in enumerate(hops):
            following = hops[number : number + _WITHIN]
            if is_his and sum(each for _, each in following) >= _AT_LEAST:
                return at - HOP
        return None
