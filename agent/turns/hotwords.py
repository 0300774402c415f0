"""Words that act on the floor by themselves: "stop", "wait", a wake phrase. Pure.

Matching is by sound, not by letters, because a recogniser spells what it has not learnt in its own
way ("hey jarvis", "hey Jervis", "a jar of this"). Where a word may act is a question of its place:
"stop" at the head of words spoken over the agent silences it; the "stop" of "the bus stop" is a
word like any other.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from agent.asr.hypothesis import Word
from agent.audio.chunk import samples
from agent.errors import SettingsError
from agent.turns.sounds import distance, sound, tokens


class HotwordAction(Enum):
    """What a hotword does to the floor."""

    STOP = "STOP"
    """The agent falls silent and does not go on by itself."""

    WAIT = "WAIT"
    """The user keeps the floor, silent or not, until speaking again."""

    GO_ON = "GO_ON"
    """The agent goes on from where it was paused or cut."""

    REPEAT = "REPEAT"
    """The agent says its last utterance again."""

    DONE = "DONE"
    """The user's turn is over now."""

    WAKE = "WAKE"
    """A new turn begins after the phrase; never an end of turn."""


PHRASES: Mapping[HotwordAction, tuple[str, ...]] = {
    HotwordAction.STOP: (
        "stop", "stop it", "stop that", "stop talking", "stop speaking", "stop there", "be quiet",
        "quiet", "shut up", "silence", "that's enough", "enough", "cancel that", "never mind",
    ),
    HotwordAction.WAIT: (
        "wait", "wait up", "hold on", "hang on", "one moment", "just a moment", "one second",
        "just a second", "one sec", "just a sec", "one minute", "just a minute", "a moment",
        "give me a moment", "give me a second", "give me a minute", "bear with me", "let me think",
    ),
    HotwordAction.GO_ON: (
        "go on", "go ahead", "continue", "carry on", "keep going", "please continue", "resume",
    ),
    HotwordAction.REPEAT: (
        "repeat", "repeat that", "say that again", "say it again", "come again", "pardon",
        "pardon me", "what did you say", "what was that", "once more", "one more time",
        "can you repeat that", "could you repeat that", "can you say that again",
        "could you say that again",
    ),
    HotwordAction.DONE: (
        "i'm done", "i am done", "that's all", "that is all", "that's it", "i'm finished",
        "i am finished", "that would be all", "that'll be all", "end of message",
    ),
}  # fmt: skip
"""Closed lists: an action that nobody asked for costs more than one that must be said again."""

_FILLERS = frozenset(
    (
        "um uh er ah oh hmm mm well so ok okay yeah yes no now just please hey sorry right alright "
        "then actually there for me a second moment minute thanks thank you"
    ).split()
)
"""What may stand around a phrase that is the whole of an utterance."""


@dataclass(frozen=True, slots=True)
class HotwordSettings:
    """Which phrases, and how strictly."""

    wake_phrases: tuple[str, ...] = ()
    """Any words; two or more of them, or one of three syllables, or it will wake by itself."""

    phrases: Mapping[HotwordAction, tuple[str, ...]] = field(default_factory=lambda: PHRASES)

    wake_tolerance: float = 0.2
    """Sounds of a wake phrase that may be wrong, as a share of them all."""

    pause_s: float = 0.25
    """Silence before a word that makes it the head of a new phrase."""

    tail_s: float = 0.3
    """Silence after the last word before it counts as the end of what is being said."""


@dataclass(frozen=True, slots=True)
class Hotword:
    """One hotword that was found.

    Attributes:
        action: What it does.
        phrase: As listed in the settings.
        first_word: Index of its first word among the words given.
        last_word: Index of its last word.
        start_sample: First sample of the first word, on the media clock.
        end_sample: Just after the last sample of the last word.
        distance: Share of its sounds that were wrong.
    """

    action: HotwordAction
    phrase: str
    first_word: int
    last_word: int
    start_sample: int
    end_sample: int
    distance: float


@dataclass(frozen=True, slots=True)
class _Phrase:
    action: HotwordAction
    text: str
    words: tuple[str, ...]
    key: str


class Hotwords:
    """Find the hotword in an utterance's words, if they hold one where it may act. Pure.

    | action | over the agent's speech | while the user holds the floor |
    |---|---|---|
    | STOP, WAIT | at the head of the utterance | the whole utterance; WAIT also as its tail |
    | GO_ON, REPEAT | the whole utterance | the whole utterance |
    | DONE | never | the whole utterance, or its tail behind a pause or a full stop |
    | WAKE | behind a pause or at the head | behind a pause or at the head |

    "The whole" and "tail" are known only once speech has stopped.
    """

    def __init__(self, settings: HotwordSettings | None = None) -> None:
        """Prepare the phrases.

        Raises:
            SettingsError: A phrase has no words.
        """
        self._settings = settings or HotwordSettings()
        listed = [
            (action, phrase)
            for action, phrases in self._settings.phrases.items()
            for phrase in phrases
        ] + [(HotwordAction.WAKE, phrase) for phrase in self._settings.wake_phrases]
        phrases = [_phrase(action, text) for action, text in listed]
        # The longest first: "stop talking" is not "stop" with a word behind it.
        phrases.sort(key=lambda phrase: -len(phrase.words))
        self._wake = [phrase for phrase in phrases if phrase.action is HotwordAction.WAKE]
        self._commands: dict[str, list[_Phrase]] = {}
        for phrase in phrases:
            if phrase.action is not HotwordAction.WAKE:
                self._commands.setdefault(phrase.words[0], []).append(phrase)

    def find(
        self, words: Sequence[Word], at_sample: int, *, agent_speaking: bool
    ) -> Hotword | None:
        """Look at an utterance as heard so far.

        Args:
            words: Tentative or final, with times on the media clock.
            at_sample: Now, on the media clock: what tells an ended phrase from a breath.
            agent_speaking: Whether they are spoken over the agent.

        Returns:
            The hotword that acts, or None. Of several the one that begins first.
        """
        heard = [token for index, word in enumerate(words) for token in _heard(word, index)]
        utterance = _Utterance(tuple(words), heard, at_sample, self._settings)
        for start, token in enumerate(heard):
            for phrase in (*self._commands.get(token.text, ()), *self._wake):
                match = self._match(utterance, start, phrase)
                if match and _may_act(phrase.action, match, utterance, agent_speaking):
                    return utterance.hotword(phrase, match)
        return None

    def may_become(self, words: Sequence[Word], actions: Collection[HotwordAction]) -> bool:
        """Whether more words could make an utterance one of these hotwords: "hold", "just give".

        Args:
            words: All that was said so far.
            actions: Of the phrases to look for.
        """
        said = [token for index, word in enumerate(words) for token in _heard(word, index)]
        texts = tuple(token.text for token in said)
        return any(
            phrase.words[: len(texts) - skipped] == texts[skipped:]
            for skipped in range(len(texts))
            if all(text in _FILLERS for text in texts[:skipped])
            for phrase in self._commands.get(texts[skipped], ())
            if phrase.action in actions
        )

    def _match(self, utterance: "_Utterance", start: int, phrase: _Phrase) -> "_Match | None":
        if phrase.action is HotwordAction.WAKE:
            return self._sounds_like(utterance, start, phrase)
        # Commands are short common words with close neighbours: as recognised, or not at all.
        stop = start + len(phrase.words)
        said = tuple(token.text for token in utterance.heard[start:stop])
        return _Match(start, stop, 0.0) if said == phrase.words else None

    def _sounds_like(self, utterance: "_Utterance", start: int, phrase: _Phrase) -> "_Match | None":
        best: _Match | None = None
        # A recogniser may join two words it does not know, or split one.
        for count in range(max(1, len(phrase.words) - 1), len(phrase.words) + 2):
            stop = start + count
            if stop > len(utterance.heard):
                break
            said = "".join(token.text for token in utterance.heard[start:stop])
            wrong = distance(sound(said), phrase.key) / len(phrase.key)
            if wrong <= self._settings.wake_tolerance and (best is None or wrong < best.wrong):
                best = _Match(start, stop, wrong)
        return best


@dataclass(frozen=True, slots=True)
class _Token:
    """A normalised word and the index of the word it came from."""

    text: str
    word: int


@dataclass(frozen=True, slots=True)
class _Match:
    """Tokens [start, stop) and how wrong they sound."""

    start: int
    stop: int
    wrong: float


@dataclass(frozen=True, slots=True)
class _Utterance:
    words: tuple[Word, ...]
    heard: list[_Token]
    at_sample: int
    settings: HotwordSettings

    @property
    def has_ended(self) -> bool:
        silent = self.at_sample - self.words[-1].end_sample
        return silent >= samples(self.settings.tail_s)

    def is_head(self, match: _Match) -> bool:
        """Whether nothing but fillers stands before."""
        return all(token.text in _FILLERS for token in self.heard[: match.start])

    def is_tail(self, match: _Match) -> bool:
        """Whether the utterance has ended with it, fillers aside."""
        rest = self.heard[match.stop :]
        return self.has_ended and all(token.text in _FILLERS for token in rest)

    def is_apart(self, match: _Match) -> bool:
        """Whether a pause or the end of a sentence stands before."""
        if match.start == 0:
            return True
        word = self.words[self.heard[match.start].word]
        before = self.words[self.heard[match.start - 1].word]
        pause = word.start_sample - before.end_sample
        return pause >= samples(self.settings.pause_s) or before.text.endswith((".", "!", "?"))

    def is_repeated(self, match: _Match) -> bool:
        """Whether all that follows is the phrase again: "stop, stop, stop"."""
        phrase = [token.text for token in self.heard[match.start : match.stop]]
        rest = [token.text for token in self.heard[match.stop :]]
        rest = [text for text in rest if text not in _FILLERS]
        return self.has_ended and all(
            rest[i : i + len(phrase)] == phrase for i in range(0, len(rest), len(phrase))
        )

    def hotword(self, phrase: _Phrase, match: _Match) -> Hotword:
        first, last = self.heard[match.start].word, self.heard[match.stop - 1].word
        return Hotword(
            action=phrase.action,
            phrase=phrase.text,
            first_word=first,
            last_word=last,
            start_sample=self.words[first].start_sample,
            end_sample=self.words[last].end_sample,
            distance=round(match.wrong, 3),
        )


def _may_act(
    action: HotwordAction, match: _Match, utterance: _Utterance, agent_speaking: bool
) -> bool:
    is_head = utterance.is_head(match)
    is_whole = is_head and (utterance.is_tail(match) or utterance.is_repeated(match))
    is_tail = utterance.is_tail(match) and utterance.is_apart(match)
    match action:
        case HotwordAction.STOP:
            return is_head if agent_speaking else is_whole
        case HotwordAction.WAIT:
            return is_head if agent_speaking else is_whole or is_tail
        case HotwordAction.GO_ON | HotwordAction.REPEAT:
            return is_whole
        case HotwordAction.DONE:
            return not agent_speaking and (is_whole or is_tail)
        case HotwordAction.WAKE:
            return is_head or utterance.is_apart(match)


def _heard(word: Word, index: int) -> list[_Token]:
    return [_Token(text, index) for text in tokens(word.text)]


def _phrase(action: HotwordAction, text: str) -> _Phrase:
    words = tuple(tokens(text))
    if not words:
        raise SettingsError(f"a hotword must have words to say, {text!r} has none")
    return _Phrase(action, text, words, sound("".join(words)))
