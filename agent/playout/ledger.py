"""Which words have left the server, and which have been heard. Pure."""

from collections import deque
from dataclasses import dataclass

from agent.tts.speech import SpokenWord


@dataclass(frozen=True, slots=True)
class LedgerWord:
    """A word of the agent's and where it sounds.

    Attributes:
        text: As written.
        start: First sample, as a playout position.
        end: Just after its last sample.
    """

    text: str
    start: int
    end: int

    @property
    def middle(self) -> float:
        """From here on it counts as heard."""
        return (self.start + self.end) / 2


class Ledger:
    """The words of the agent's speech, crossed off as they sound. Pure.

    A word counts as heard once more than half of it has sounded: a listener completes a word
    from its first half (Marslen-Wilson 1987), and the context must not lose it.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._waiting: deque[LedgerWord] = deque()
        self._unsent: deque[LedgerWord] = deque()
        self._heard: list[str] = []

    @property
    def heard_text(self) -> str:
        """The words heard of the current response."""
        return " ".join(self._heard)

    @property
    def unheard_text(self) -> str:
        """The words made but not yet heard."""
        return " ".join(word.text for word in self._waiting)

    def begin(self) -> None:
        """Start a response: nothing of it has been heard."""
        self._waiting.clear()
        self._unsent.clear()
        self._heard.clear()

    def add(self, words: tuple[SpokenWord, ...], start: int) -> None:
        """Enter the words of a stretch of speech that begins at playout position `start`."""
        for word in words:
            entered = LedgerWord(
                text=word.text,
                start=start + round(word.start_s * self._rate),
                end=start + round(word.end_s * self._rate),
            )
            self._waiting.append(entered)
            self._unsent.append(entered)

    def heard_until(self, position: int) -> list[str]:
        """Cross off what has sounded up to `position`; return the newly heard words."""
        new: list[str] = []
        while self._waiting:
            if position <= self._waiting[0].middle:
                break
            new.append(self._waiting.popleft().text)
        self._heard += new
        return new

    def sent_until(self, position: int) -> list[LedgerWord]:
        """Words more than half of which has newly left the server with what ends at `position`."""
        new: list[LedgerWord] = []
        while self._unsent and self._unsent[0].middle < position:
            new.append(self._unsent.popleft())
        return new

    def cut(self) -> str:
        """Forget the words that were not heard; return them."""
        unheard = self.unheard_text
        self._waiting.clear()
        self._unsent.clear()
        return unheard
