"""What is said over the agent: words for the floor, a nod, or what the agent says itself. Pure."""

from collections.abc import Sequence

from agent.asr.hypothesis import Word
from agent.turns.backchannels import Reading, read
from agent.turns.echo import EchoVeto
from agent.turns.overlap_evidence import AgentSpeech, OverlapWords
from agent.turns.overlap_settings import OverlapSettings
from agent.turns.sounds import tokens

_WORDS = (Reading.CONTENT, Reading.WORD)

DOUBTED = {
    Reading.BACKCHANNEL: Reading.LIKELY_BACKCHANNEL,
    Reading.BEGINNING: Reading.BEGINNING,
}
"""What words are that would be so if the recogniser did not doubt them."""


class OverlapReading:
    """Reads the recogniser's words for one overlap, as they grow and change. Pure.

    Attributes:
        reading: What the words are.
        early: What they are together with the word that is still being spoken.
        share: Share of them that the agent may have said, 0 to 1.
        end_sample: Just after the last sample they take into account; None before any came.
        texts: The words.
    """

    def __init__(self, agent: AgentSpeech, settings: OverlapSettings) -> None:
        """Begin with none.

        Args:
            agent: What the agent says.
            settings: How much evidence is needed.
        """
        self._agent = agent
        self._settings = settings
        self._veto = EchoVeto(settings.echo_share)
        self._nod: list[str] = []
        self.reading = self.early = Reading.NONE
        self.share = 0.0
        self.end_sample: int | None = None
        self.texts: list[str] = []

    def push(self, heard: OverlapWords) -> None:
        """Take the recogniser's latest words."""
        self.end_sample = heard.end_sample
        self.texts = [word.text for word in heard.words]
        self.reading = self._read(heard.words, self._settings.least_confidence)
        self.early = self._read_early(heard)
        self._hold_against_nod(heard.words)
        self.share = self._veto.share(self.texts, self._agent.around)

    def _hold_against_nod(self, words: Sequence[Word]) -> None:
        """Take words that come in a nod's place for one, unless the recogniser is sure of them.

        A hum is read as "Huh" first, and then as "Come on".
        """
        texts = [token for word in words for token in tokens(word.text)]
        if self.reading is Reading.BACKCHANNEL:
            self._nod = texts
        elif self.reading in _WORDS and self._nod and texts[: len(self._nod)] != self._nod:
            confidence = sum(word.confidence for word in words) / len(words)
            if confidence < self._settings.sure:
                self.reading = self.early = Reading.LIKELY_BACKCHANNEL

    def _read_early(self, heard: OverlapWords) -> Reading:
        """What the words are together with the one that is still being spoken.

        It may become another, but two words in a row that no listener says tell an order from a nod
        a reading sooner: "make m", "I w".
        """
        if heard.unfinished is None:
            return self.reading
        words = (*heard.words, heard.unfinished)
        confidence = sum(word.confidence for word in words) / len(words)
        is_heard = confidence >= self._settings.least_confidence
        return self._read(words, 0.0) if is_heard else self.reading

    def _read(self, words: Sequence[Word], least: float) -> Reading:
        texts = [word.text for word in words]
        own = [False] * len(words)
        if self._settings.echo_share <= 1.0:
            if texts and self._veto.repeats(texts, self._agent.around):
                return Reading.OWN
            own = self._veto.own(texts, self._agent.around)
        sure = [word.text for word in words if word.confidence >= least]
        theirs = [
            word.text
            for word, is_own in zip(words, own, strict=True)
            if word.confidence >= least and not is_own
        ]
        reading = read(theirs, asked=self._agent.asks, content_words=self._settings.content_words)
        if reading is not Reading.EMPTY or not texts:
            return reading
        if sure:
            return Reading.OWN
        # A doubted nod is still more likely to be one than not.
        return DOUBTED.get(read(texts, asked=False), Reading.UNSURE)
