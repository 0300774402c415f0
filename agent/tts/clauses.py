"""Cuts a language model's text into clauses while it is being written. Pure."""

import re
from dataclasses import dataclass

from agent.tts.markup import LINE_END, MarkupFilter


@dataclass(frozen=True, slots=True)
class ClauseLengths:
    """How long clauses may get, in words.

    Attributes:
        mark: From here on a comma or its like ends the clause.
        phrase: From here on it also ends before a word that opens a phrase.
        soft: From here on it ends after any word that can stand last.
        hard: It ends here, whatever the word.
    """

    mark: int
    phrase: int
    soft: int
    hard: int


FIRST = ClauseLengths(mark=2, phrase=5, soft=7, hard=10)
"""Of an answer's first clause: each word in it delays the first sound by a token and more."""

LATER = ClauseLengths(mark=8, phrase=16, soft=20, hard=25)
"""Of the others: longer ones sound better, and the one before is still being heard."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CLOSERS = "\"'”’)]}»*"
_SENTENCE_MARKS = (".", "!", "?", "…", "。", "！", "？")
_CLAUSE_MARKS = (",", ";", ":", "—", "–", "，", "、")

_TITLES = _words("""
    dr mr mrs ms mx prof st mt ft gen gov sen rep capt lt col sgt cmdr rev hon pres supt cpl maj
    adm fr msgr messrs jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs
    fri e.g i.e vs cf viz approx fig figs vol pp ed eds est nos ca resp incl excl tel ext
""")
"""Before a full stop: abbreviations with something to follow."""

_MAYBE_LAST = _words(
    "inc ltd co corp etc jr sr ave rd blvd ln hwy apt bldg dept univ assn a.m p.m al"
)
"""Abbreviations that end a sentence only if a capital follows."""

_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]?", re.ASCII)

_OPENS_PHRASE = _words("""
    and but or nor so yet because although though while when where whether if unless until since
    before after that which who whom whose what how why than as for with without from into onto
    over under between among through during about against to in on at by of
""")
_NEVER_LAST = _OPENS_PHRASE | _words("""
    a an the my your his her its our their this these those some any no every each very more most
    not i you he she we they it is are was were be been am do does did have has had can could will
    would shall should may might must i'm you're he's she's it's we're they're i'll you'll we'll
    i've you've we've i'd you'd let's there's that's don't doesn't can't won't please dear
""")

_OBJECTS = _words("you it her us them this that these those one some any")
"""Words that may stand last where the next one opens a phrase: "help you | with"."""


class ClauseSplitter:
    """Gives clauses as soon as their end is certain.

    Joined by single spaces they are the text without its markup, word for word, and they are the
    same however the text was cut into deltas.
    """

    def __init__(self, first: ClauseLengths = FIRST, later: ClauseLengths = LATER) -> None:
        self._filter = MarkupFilter()
        self._first = first
        self._later = later
        self._words: list[str] = []
        self._has_given = False

    def push(self, text_delta: str) -> list[str]:
        """Append generated text; return the clauses it completes."""
        return self._take(self._filter.push(text_delta))

    def finish(self) -> list[str]:
        """End the text; return what is left. The splitter is then as new."""
        clauses = self._take([*self._filter.finish(), LINE_END])
        self._filter = MarkupFilter()
        self._words = []
        self._has_given = False
        return clauses

    def _take(self, words: list[str]) -> list[str]:
        clauses = []
        for word in words:
            if word == LINE_END:
                clauses += self._give()
                continue
            if self._words and self._ends_before(word):
                clauses += self._give()
            self._words.append(word)
            if self._ends_after_last():
                clauses += self._give()
        return clauses

    def _give(self) -> list[str]:
        words, self._words = self._words, []
        if not any(char.isalnum() for word in words for char in word):
            # Signs alone are not worth a clause; they go with the next one.
            self._words = words if self._has_given else []
            return []
        self._has_given = True
        return [" ".join(words)]

    @property
    def _lengths(self) -> ClauseLengths:
        return self._later if self._has_given else self._first

    def _ends_after_last(self) -> bool:
        last, count, lengths = self._words[-1], len(self._words), self._lengths
        bare = last.rstrip(_CLOSERS)
        if bare.endswith(_SENTENCE_MARKS):
            if not _ends_sentence(bare, is_alone=count == 1):
                return count >= lengths.hard
            return True
        if bare.endswith(_CLAUSE_MARKS) and count >= lengths.mark:
            return True
        if count >= lengths.hard:
            return not _wants_more(bare) or count >= lengths.hard + 2
        return count >= lengths.soft and _can_stand_last(bare)

    def _ends_before(self, word: str) -> bool:
        last = self._words[-1].rstrip(_CLOSERS)
        stem = last.rstrip(".").lower()
        if last.endswith(".") and stem in _MAYBE_LAST:
            return word[:1].isupper()
        count = len(self._words)
        opens = word.lower().strip(_CLOSERS + "\"'“‘(") in _OPENS_PHRASE
        can_end = last.lower() in _OBJECTS or _can_stand_last(last)
        return count >= self._lengths.phrase and opens and can_end


def _ends_sentence(word: str, is_alone: bool) -> bool:
    if not word.endswith("."):
        return True
    stem = word.rstrip(".").lstrip("(\"'“‘")
    if word.endswith("..") or not stem:
        return True
    lower = stem.lower()
    if lower in _TITLES or lower in _MAYBE_LAST:
        return False
    if lower == "no":
        # "No." is an answer; "room No. 5" is not.
        return is_alone
    return not _DOTTED.fullmatch(stem + ".")


def _can_stand_last(word: str) -> bool:
    return word.lower() not in _NEVER_LAST and not _wants_more(word)


def _wants_more(word: str) -> bool:
    """Whether the next word belongs to this one: "5 km", "7:30 pm", "Dr. Smith"."""
    stem = word.rstrip(".").lower()
    return (
        (word.endswith(".") and (stem in _TITLES or stem == "no"))
        or word[-1:].isdigit()
        or word[:1] in "$£€¥"
    )
