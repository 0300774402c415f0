"""Values as people say them: yes and no, digits, dates, e-mail addresses, choices. Pure.

Each says how it is likely to be spoken: in one breath, or in groups with pauses between them.
"""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from agent.errors import RetryError


@dataclass(frozen=True, slots=True)
class Expects:
    """How an answer is likely to be spoken, for the turn policy.

    Attributes:
        profile: ``short`` for one breath, ``continuous`` for dictation and open speech.
        digits: How many are asked for, where that is known: the last of them ends the turn.
        secret: Whether nobody but who asked may see what is said.
        private: Whether what is said is recognised on this machine only. A secret is private too.
    """

    profile: str
    digits: int | None = None
    secret: bool = False
    private: bool = False


BRIEF = Expects("short")
OPEN = Expects("continuous")

Value_co = TypeVar("Value_co", covariant=True)
Item = TypeVar("Item")


class NotUnderstoodError(RetryError):
    """The words hold no such value; the message is what the caller is asked next."""


class Answer(Protocol[Value_co]):
    """What a step waits for."""

    @property
    def expects(self) -> Expects:
        """How it is likely to be spoken."""
        ...

    def read(self, heard: str, today: datetime.date) -> Value_co:
        """Find the value in what was heard.

        Raises:
            NotUnderstoodError: There is none.
        """
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """Anything that was said."""

    expects: Expects = OPEN

    def read(self, heard: str, today: datetime.date) -> str:
        """Return the words."""
        if not heard.strip():
            raise NotUnderstoodError("Sorry, I did not hear anything.")
        return heard.strip()


_NO = re.compile(
    r"\b(no|nope|nah|not|never|don't|do not|wrong|incorrect|negative|stop|cancel|wait)\b"
)
_YES = re.compile(
    r"\b(yes|yeah|yep|yup|sure|ok|okay|correct|right|exactly|please|absolutely|definitely|fine|"
    r"go ahead|of course|that's it|affirmative|do it)\b"
)


@dataclass(frozen=True, slots=True)
class YesNo:
    """A yes or a no. Words of both kinds are a no: what is asked may cost something."""

    expects: Expects = BRIEF

    def read(self, heard: str, today: datetime.date) -> bool:
        """Return whether it is a yes."""
        words = heard.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        # "No problem" and "why not" are the two denials that agree.
        words = re.sub(r"\bno (problem|worries)\b|\bwhy not\b", "yes", words)
        if _NO.search(words):
            return False
        if _YES.search(words):
            return True
        raise NotUnderstoodError("Sorry, was that a yes or a no?")


_DIGIT_NAMES = {
    "zero": "0",
    "nought": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
}
# What people say for zero, and what recognisers write for a digit said alone.
_SOUNDS_LIKE = {"oh": "0", "o": "0", "to": "2", "too": "2", "for": "4", "won": "1", "ate": "8"}
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_REPEATS = {"double": 2, "triple": 3}


@dataclass(frozen=True, slots=True)
class Digits:
    """A number that is read out digit by digit or in groups, as text: zeros in front count.

    Attributes:
        least: Fewest digits.
        most: Most digits; None for exactly `least`.
    """

    least: int = 1
    most: int | None = None

    @property
    def expects(self) -> Expects:
        """Dictation, whose length may be known."""
        is_exact = self.most is None or self.most == self.least
        return Expects(OPEN.profile, self.least if is_exact else None)

    def read(self, heard: str, today: datetime.date) -> str:
        """Return the digits."""
        found = digits(heard)
        most = self.most or self.least
        if self.least <= len(found) <= most:
            return found
        wanted = f"{self.least} digits" if most == self.least else f"{self.least} to {most} digits"
        heard_count = f"{len(found)} digits" if len(found) != 1 else "one digit"
        raise NotUnderstoodError(f"I heard {heard_count} and need {wanted}. Please say it again.")


def digits(heard: str) -> str:
    """Return every digit that was said: "oh seven, double five, twenty-one" is 075521."""
    found = ""
    repeat = 1
    tens = 0
    for word in re.findall(r"[a-z]+|\d", heard.lower()):
        digit = word if word.isdigit() else _DIGIT_NAMES.get(word, _SOUNDS_LIKE.get(word))
        if tens and _DIGIT_NAMES.get(word, "0") != "0":
            assert digit is not None
            found, tens, digit = found[:-1] + digit, 0, None
        elif word in _TENS:
            tens, digit = 1, str(_TENS.index(word) + 2) + "0"
        elif word in _TEENS:
            tens, digit = 0, str(_TEENS.index(word) + 10)
        else:
            tens = 0
        found += (digit or "") * repeat
        repeat = _REPEATS.get(word, 1)
    return found


_MONTHS = (
    "january february march april may june july august september october november december"
).split()
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
_CARDINALS = "one two three four five six seven eight nine".split() + _TEENS + ["twenty"]
_DATE_RETRY = "Sorry, which day is that? Please say the month and the day."


@dataclass(frozen=True, slots=True)
class Date:
    """A day: "tomorrow", "next Friday", "the second of January", "2027-01-02".

    Attributes:
        past: Whether a day without a year may lie behind us, as a birthday does.
    """

    past: bool = False
    expects: Expects = OPEN

    def read(self, heard: str, today: datetime.date) -> datetime.date:
        """Return the day; without a year, the next one of that name."""
        words = heard.lower()
        for found in (_relative(words, today), self._absolute(words, today)):
            if found:
                return found
        raise NotUnderstoodError(_DATE_RETRY)

    def _absolute(self, words: str, today: datetime.date) -> datetime.date | None:
        if written := re.search(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b", words):
            return _day(int(written[1]), int(written[2]), int(written[3]))
        named = re.search(rf"\b({'|'.join(_MONTHS)})\b", words)
        if not named:
            return None
        rest = f"{words[: named.start()]} ; {words[named.end() :]}"
        month, years = _MONTHS.index(named[1]) + 1, re.search(r"\b(19|20)\d\d\b", rest)
        day = _ordinal(rest.replace(years[0], "") if years else rest)
        if day is None:
            return None
        if years:
            return _day(int(years[0]), month, day)
        # The 29th of February may be years away.
        candidates = (_day(today.year + ahead, month, day) for ahead in range(-8, 9))
        days = [found for found in candidates if found]
        if self.past:
            return max((found for found in days if found <= today), default=None)
        return min((found for found in days if found >= today), default=None)


def _relative(words: str, today: datetime.date) -> datetime.date | None:
    for name, ahead in (("day after tomorrow", 2), ("tomorrow", 1), ("today", 0), ("tonight", 0)):
        if re.search(rf"\b{name}\b", words):
            return today + datetime.timedelta(days=ahead)
    if re.search(rf"\b({'|'.join(_MONTHS)})\b", words):
        return None  # "Friday the second of January": the date says more than the weekday.
    weekday = re.search(rf"\b({'|'.join(_WEEKDAYS)})\b", words)
    if not weekday:
        return None
    ahead = (_WEEKDAYS.index(weekday[1]) - today.weekday()) % 7 or 7
    return today + datetime.timedelta(days=ahead)


def _ordinal(words: str) -> int | None:
    """Find a day of a month: "2", "2nd", "second", "two", "twenty-second"."""
    if figure := re.search(r"\b(\d{1,2})(st|nd|rd|th)?\b", words):
        return int(figure[1])
    tens = {"twenty": 20, "thirty": 30, "thirtieth": 30}
    names = re.findall(r"[a-z]+", words)
    for i, name in enumerate(names):
        following = names[i + 1] if i + 1 < len(names) else ""
        if name in tens:
            for units in (_ORDINALS, _CARDINALS):
                if following in units[:9]:
                    return tens[name] + units.index(following) + 1
            return tens[name]
        for units in (_ORDINALS, _CARDINALS):
            if name in units:
                return units.index(name) + 1
    return None


def _day(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None


_SYMBOLS = (
    (r"\s*\b(?:at sign|at)\b\s*|\s*@\s*", "@"),
    (r"\s*\b(?:dot|period|point|full stop)\b\s*", "."),
    (r"\s*\b(?:dash|hyphen|minus)\b\s*", "-"),
    (r"\s*\b(?:underscore|under score)\b\s*", "_"),
    (r"\s*\bplus\b\s*", "+"),
)
_EMAIL = re.compile(r"[a-z0-9][a-z0-9._+-]*@[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\.[a-z]{2,24}")
_LEAD_IN = re.compile(
    r"^.*?\b(?:address is|mail is|email is|it's|it is|that's|that is|is)\b[\s,:]*"
)


@dataclass(frozen=True, slots=True)
class Email:
    """An e-mail address: "j dot smith at example dot com", "A N N A at mail dot org"."""

    expects: Expects = OPEN

    def read(self, heard: str, today: datetime.date) -> str:
        """Return the address in lower case."""
        words = _LEAD_IN.sub("", heard.lower().strip().rstrip(".!?"))
        for spoken, symbol in _SYMBOLS:
            words = re.sub(spoken, symbol, words)
        words = re.sub(
            rf"\b({'|'.join(_DIGIT_NAMES)})\b", lambda found: _DIGIT_NAMES[found[1]], words
        )
        written = re.sub(r"[\s,]+", "", words)
        if _EMAIL.fullmatch(written):
            return written
        raise NotUnderstoodError(
            "Sorry, I did not get that address. Please spell it, with at and dot."
        )


@dataclass(frozen=True, slots=True)
class Choice(Generic[Item]):
    """One of a few things, by a word of its name.

    Attributes:
        options: Names and what they stand for.
    """

    options: Sequence[tuple[str, Item]]
    expects: Expects = BRIEF

    @staticmethod
    def of(*names: str) -> "Choice[str]":
        """A choice among names that stand for themselves."""
        return Choice(tuple((name, name) for name in names))

    def read(self, heard: str, today: datetime.date) -> Item:
        """Return what was chosen; two named are none."""
        words = heard.lower()
        found = [
            item
            for name, item in self.options
            if re.search(rf"\b{re.escape(name.lower())}\b", words)
        ]
        if len(found) == 1:
            return found[0]
        names = [name for name, _ in self.options]
        raise NotUnderstoodError(f"Please say {', '.join(names[:-1])} or {names[-1]}.")
