"""What to say for each written word, before the pronunciation library reads it. Pure.

The library reads numbers, money, dates, times, units and titles. Here is what it gets wrong:
addresses, telephone numbers, long or zero-led numbers, version numbers, scripts it has no letters
for, and words longer than its spelling model takes.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from anyascii import anyascii

LONGEST_WORD = 24
"""Letters the spelling model reads; it would drop the rest of the word."""

NOT_A_WORD = 100
"""Letters and digits without a space: a key, a checksum or noise, of which the start is enough."""

_DOMAIN = r"(?:[\w-]+\.)+[a-z]{2,}"
_EMAIL = re.compile(rf"[\w.+-]+@{_DOMAIN}", re.IGNORECASE)
_TOP_LEVEL = "com|org|net|edu|gov|io|co|uk|de|fr|info|biz|us|ca|au|tv|me|ly|ai|dev|app|eu"
_URL = re.compile(
    rf"(?:https?://|ftp://|www\.)\S+|(?:[\w-]+\.)+(?:{_TOP_LEVEL})(?::\d+)?(?:/\S*)?",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"^(?:https?://|ftp://)?(?:www\.)?", re.IGNORECASE)
_ADDRESS_SIGNS = {
    ".": "dot",
    "@": "at",
    "/": "slash",
    "-": "dash",
    "_": "underscore",
    "+": "plus",
    ":": "colon",
    "?": "question mark",
    "=": "equals",
    "&": "and",
    "#": "hash",
    "%": "percent",
    "~": "tilde",
}
_ADDRESS_PART = re.compile(r"[^\W\d_]+|\d+|[^\s]")
# Spelled although they have a vowel: nobody says "io" or "uk" as a word.
_SPELLED_PARTS = frozenset({"io", "uk", "us", "eu", "au", "ai", "id", "ui"})

_PHONE = re.compile(
    r"(?<![\w.,$£€/-])"
    r"(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,5}\)[ .-]?|\d{1,5}[ .-])(?:\d{2,5}[ .-])*\d{2,5}"
    r"(?![\w/%]|[.,-]\d)"
)
_LONG_DIGITS = re.compile(r"\+?\d{7,}|0\d+")
_DOTTED_NUMBERS = re.compile(r"([vV]?)(\d+(?:\.\d+){2,})")
_FEET_INCHES = re.compile(r"(\d)['’′](\d{1,2})(?:[\"”″]|'')?")
_TIME_RANGE = re.compile(r"(\d{1,2}:\d{2})[-–](\d{1,2}:\d{2})")
_NO_WORD = re.compile(rf"[A-Za-z0-9]{{{NOT_A_WORD},}}")
_SHARP = re.compile(r"\b([A-G])#")
_EDGES = re.compile(r"^([(\[{\"'“‘«<]*)(.*?)([)\]}\"'”’»>.,;:!?…]*)$", re.DOTALL)
_SPOKEN_SIGNS = frozenset("%&+=@$£€¥₹₩¢°×÷±<>§©→")
_BRACKETS = str.maketrans("[]{}", "()()")


@dataclass(frozen=True, slots=True)
class Reading:
    """A written word and the text to say for it.

    Attributes:
        written: As it stands in the clause.
        spoken: Words separated by single spaces; empty when there is nothing to say.
    """

    written: str
    spoken: str


def read_aloud(clause: str, is_known: Callable[[str], bool]) -> tuple[Reading, ...]:
    """Give every written word of the clause its reading, in order.

    Args:
        clause: One line of text; words are what white space separates.
        is_known: Whether the pronunciation dictionary has this spelling.
    """
    words = clause.split()
    digits = _telephone_words(words)
    return tuple(
        Reading(
            word,
            _spell_digits(word, index + 1 == len(words))
            if index in digits
            else _speak(word, is_known),
        )
        for index, word in enumerate(words)
    )


def is_speakable(text: str) -> bool:
    """Whether there is a letter, a number or a sign with a name to say."""
    return any(char.isalnum() or char in _SPOKEN_SIGNS for char in text)


def _telephone_words(words: list[str]) -> set[int]:
    starts: list[int] = []
    position = 0
    for word in words:
        starts.append(position)
        position += len(word) + 1
    found: set[int] = set()
    for match in _PHONE.finditer(" ".join(words)):
        if _is_telephone(match.group()):
            found |= {i for i, at in enumerate(starts) if match.start() <= at < match.end()}
    return found


def _is_telephone(text: str) -> bool:
    groups = re.findall(r"\d+", text)
    if not 7 <= sum(map(len, groups)) <= 15:
        return False
    if text.startswith("+") or "(" in text:
        return True
    sizes = [len(group) for group in groups]
    # 2024-03-14 and "2019 2020 2021" are no telephone numbers.
    return sizes[-2:] == [3, 4] or (sizes[0] > 1 and groups[0][0] == "0")


def _spell_digits(word: str, is_last: bool) -> str:
    # A comma after each group is the pause people make; the last pause is the clause's own.
    groups = [" ".join(group) for group in re.findall(r"\d+", word)]
    sign = "plus " if "+" in word else ""
    tail = word[-1] if word[-1] in ".!?;:" else "" if is_last else ","
    return sign + ", ".join(groups) + tail


def _speak(word: str, is_known: Callable[[str], bool]) -> str:
    if not is_speakable(word):
        return "".join(char for char in word.translate(_BRACKETS) if char in ".,;:!?…—–-()")
    edges = _EDGES.match(word)
    before, core, after = edges.groups() if edges else ("", word, "")
    spoken = _speak_core(core, is_known) if core else ""
    return (before + spoken + after).translate(_BRACKETS)


def _speak_core(core: str, is_known: Callable[[str], bool]) -> str:
    if _EMAIL.fullmatch(core):
        return _speak_address(core)
    if _URL.fullmatch(core) and not is_known(core):
        return _speak_address(_SCHEME.sub("", core).rstrip("/"))
    if _LONG_DIGITS.fullmatch(core):
        return _spell_long(core)
    if dotted := _DOTTED_NUMBERS.fullmatch(core):
        version = "version " if dotted[1] else ""
        return version + dotted[2].replace(".", " point ")
    core = _NO_WORD.sub(lambda match: match.group()[: 2 * LONGEST_WORD], core)
    core = _FEET_INCHES.sub(r"\1 foot \2", core)
    core = _TIME_RANGE.sub(r"\1 to \2", core)
    core = _SHARP.sub(r"\1 sharp", core)
    if core == "24/7":
        return "24 7"
    return " ".join(_split_long(_latin(piece, is_known)) for piece in core.split())


def _speak_address(address: str) -> str:
    said = []
    for part in _ADDRESS_PART.findall(address):
        if part.isdigit():
            said.append(" ".join(part) if len(part) > 2 or part[0] == "0" else part)
        elif part in _ADDRESS_SIGNS:
            said.append(_ADDRESS_SIGNS[part])
        elif _is_spelled(part):
            said.append(" ".join(part.upper()))
        else:
            said.append(part)
    return " ".join(said)


def _is_spelled(part: str) -> bool:
    has_vowel = re.search(r"[aeiouyà-ÿ]", part.lower())
    return len(part) == 1 or part.lower() in _SPELLED_PARTS or not has_vowel


def _spell_long(digits: str) -> str:
    sign, digits = ("plus ", digits[1:]) if digits[0] == "+" else ("", digits)
    # Threes, and a last group of up to four, as telephone and order numbers are read out.
    groups = [digits[i : i + 3] for i in range(0, max(len(digits) - 4, 0), 3)]
    groups.append(digits[3 * len(groups) :])
    return sign + ", ".join(" ".join(group) for group in groups)


def _latin(word: str, is_known: Callable[[str], bool]) -> str:
    """Spell the word with letters the pronunciation models know."""
    if word.isascii():
        return word
    plain = anyascii(word)
    if is_known(plain):
        return plain
    kept = []
    for char in unicodedata.normalize("NFC", word):
        is_latin = char.isascii() or char in _KNOWN_LATIN or not char.isalpha()
        kept.append(char if is_latin else _nearest(char))
    return "".join(kept)


_KNOWN_LATIN = frozenset(
    "ÀÁÂÃÄÅÆÇÉÊÌÍÎÏÑÒÓÔÕÖØÚÜÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿĀāĂăąĆćČčĎďĐđĒēĕĖėęěĝĞğġģīĭİıķļĽľŁłńņňŋ"
    "ŌōŏőŒœŘřŚśŞşŠšţťūŭŮůŰųŵźŻżŽžƒơưǎǐǒǔǚșț’‘“”—–…£€¥¢°½¼¾²³×÷±µ"
)
"""Beyond ASCII, what the library's spelling model was taught or its normaliser has a word for."""


def _nearest(char: str) -> str:
    # Vietnamese stacks two marks on a letter: dropping only the last keeps more of the sound.
    decomposed = unicodedata.normalize("NFD", char)
    for kept in range(len(decomposed) - 1, 0, -1):
        nearer = unicodedata.normalize("NFC", decomposed[:kept])
        if nearer.isascii() or nearer in _KNOWN_LATIN:
            return nearer
    ascii_text = anyascii(char)
    # Ideographs become syllables, each a word of its own.
    return f" {ascii_text} " if len(ascii_text) > 2 and not _is_alphabetic(char) else ascii_text


def _is_alphabetic(char: str) -> bool:
    return unicodedata.category(char) in {"Ll", "Lu", "Lt"}


def _split_long(word: str) -> str:
    word = " ".join(word.split())
    return re.sub(
        rf"[^\W\d_]{{{LONGEST_WORD + 1},}}", lambda match: _in_pieces(match.group()), word
    )


def _in_pieces(letters: str) -> str:
    """Cut a very long word so that each piece begins as a syllable does."""
    pieces = []
    while len(letters) > LONGEST_WORD:
        cut = next(
            (
                at
                for at in range(LONGEST_WORD - 4, 8, -1)
                if letters[at].lower() not in "aeiouy" and letters[at + 1].lower() in "aeiouy"
            ),
            LONGEST_WORD - 4,
        )
        pieces.append(letters[:cut])
        letters = letters[cut:]
    return " ".join([*pieces, letters])
