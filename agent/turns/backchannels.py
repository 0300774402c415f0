"""What the words spoken over the agent are: a nod, an answer, a wish for the floor. Pure."""

from collections.abc import Sequence
from enum import Enum

from agent.turns.sounds import alike, sound, tokens

BACKCHANNELS = frozenset(
    tuple(phrase.split())
    for phrase in (
        "yeah", "yes", "yep", "yup", "ya", "yah", "ok", "okay", "k", "kay", "mhm", "mm", "mmm",
        "mm hmm", "mm hm", "mhmm", "hmm", "hm", "um", "uh", "uh huh", "huh", "uhhuh", "ah",
        "oh", "aha", "ha", "right", "sure", "good", "great", "nice", "cool", "wow", "alright",
        "all right", "fine", "true", "exactly", "indeed", "really", "i see", "i know", "got it",
        "gotcha", "of course", "that's right", "that's true", "makes sense", "that makes sense",
        "sounds good", "i understand", "understood", "perfect", "interesting", "oh really",
        "oh wow", "thanks", "thank you", "very good", "oh my", "oh dear", "well",
        "excellent", "definitely", "absolutely", "make sense",
    )
)  # fmt: skip
"""What listeners say to leave the floor (after the backchannels tagged in Switchboard, Jurafsky et
al. 1997: uh-huh, yeah, right, oh, okay, really, hm), and "makes sense" as it is heard."""

_BEGINNINGS = frozenset(
    phrase[:length] for phrase in BACKCHANNELS for length in range(1, len(phrase))
)

_FIRST = frozenset(sound(phrase[0]) for phrase in _BEGINNINGS)

_JOINED = frozenset(sound("".join(phrase)) for phrase in BACKCHANNELS if len(phrase) > 1)
"""Nods of several words in one breath: of "I see" a recogniser hears "ice" first, of "makes sense"
"make"."""

_SINGLE = frozenset(sound(phrase[0]) for phrase in BACKCHANNELS if len(phrase) == 1)

_TAKES_FLOOR = frozenset(
    (
        "no nope stop wait but actually sorry excuse pardon what why how when where who which can "
        "could would hello hey cancel listen hold"
    ).split()
)
"""One of these as the first word is enough: nobody nods with it."""

_SAYS_NOTHING = frozenset(
    "um uh er ah oh mm mmm hmm hm mhm huh a an the and so well i it is of in to you".split()
)
"""Words that do not count as content."""


class Reading(Enum):
    """What an overlap's words are."""

    NONE = "no reading yet"
    EMPTY = "no words"
    OWN = "the agent's own words"
    UNSURE = "words the recogniser doubts"
    BEGINNING = "what may become a backchannel"
    LIKELY_BACKCHANNEL = "a backchannel, most likely"
    BACKCHANNEL = "a backchannel"
    ANSWER = "an answer"
    FLOOR_WORD = "a word that takes the floor"
    WORD = "a word"
    CONTENT = "content"


def read(words: Sequence[str], *, asked: bool, content_words: int = 2) -> Reading:
    """Say what the words of an overlap are.

    Args:
        words: As recognised, without those that are doubted or the agent's own.
        asked: Whether the agent has just asked something.
        content_words: How many words with content take the floor.
    """
    said = [token for word in words for token in tokens(word.replace("-", " "))]
    if not said:
        return Reading.EMPTY
    rest = _without_backchannel(said)
    if not rest:
        return Reading.ANSWER if asked else Reading.BACKCHANNEL
    if said[0] in _TAKES_FLOOR:
        return Reading.FLOOR_WORD
    if tuple(rest) in _BEGINNINGS or (len(rest) == 1 and _begins_nod(sound(rest[0]))):
        return Reading.BEGINNING
    content = [token for token in rest if token not in _SAYS_NOTHING]
    if len(content) >= content_words:
        return Reading.CONTENT
    if len(rest) == 1 and any(alike(sound(rest[0]), nod) for nod in _SINGLE):
        return Reading.BEGINNING  # "Green" was "great", most likely.
    return Reading.WORD if content else Reading.UNSURE


def _begins_nod(key: str) -> bool:
    return key in _FIRST or (len(key) > 1 and any(nod.startswith(key) for nod in _JOINED))


def _without_backchannel(said: Sequence[str]) -> Sequence[str]:
    """What is left after the backchannels at its head."""
    while said:
        heads = (said[:length] for length in (3, 2, 1))
        head = next((head for head in heads if tuple(head) in BACKCHANNELS), None)
        if head is None:
            break
        said = said[len(head) :]
    return said
