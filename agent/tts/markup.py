"""Takes out of a language model's text what nobody says: markdown, emoji, code. Pure."""

import re
import unicodedata
from enum import Enum

LINE_END = "\n"
"""Given between words where the text breaks its line; words never contain it."""

_FENCE = "```"
_LINK_TARGET = re.compile(r"\]\([^\s)]*\)|\]\[[^\s\]]*\]")
_FOOTNOTE = re.compile(r"\[\^?\d+\]")
_TAG = re.compile(r"</?[a-zA-Z][^<>\s]*>")
_EMPHASIS = re.compile(r"[*`]+|~~|!?\[|\]")
_UNDERSCORES = re.compile(r"(?<!\w)_+(?=\w)|(?<=\w)_+(?!\w)")
_RULE = re.compile(r"[-=_*|:]{2,}|\|")
_BULLETS = frozenset({"-", "*", "+", "•", "‣", "◦", "–"})
_HEADING_OR_QUOTE = re.compile(r"#{1,6}|>+")
_NUMBER_MARK = re.compile(r"\(?(\d{1,2})[.)]")
_EMOTICON = re.compile(r"[:;=8][-^']?[)(DPpOo/\\|\]\[*3]|<3|\^_?\^|[xX]D")
_KEPT_SYMBOLS = frozenset("°©®™€£¥₹₩¢§")


class _Fence(Enum):
    NONE = "prose"
    TEXT = "a fence without a language: as likely the answer itself as code, so it is said"
    CODE = "a fence that names its language"


class MarkupFilter:
    """Streams words out of text as it is generated.

    A word is given once the white space after it is there, so how the text was cut into pieces
    makes no difference.
    """

    def __init__(self) -> None:
        self._partial = ""
        self._is_line_start = True
        self._is_first_line = True
        self._fence = _Fence.NONE

    def push(self, text: str) -> list[str]:
        """Append text; return the words it completes, and `LINE_END` for line breaks."""
        words = []
        for piece in re.findall(r"\s|\S+", text):
            if not piece.isspace():
                self._partial += piece
                continue
            words += self._complete()
            if piece in "\n\r":
                words.append(LINE_END)
                self._is_first_line = self._is_first_line and self._is_line_start
                self._is_line_start = True
        return words

    def finish(self) -> list[str]:
        """Return the word the text ended with, if it did."""
        # A number that ends the text is an answer; before more text it may be a list's mark.
        self._is_line_start = self._is_line_start and not self._partial[:1].isdigit()
        return self._complete()

    def _complete(self) -> list[str]:
        raw, self._partial = self._partial, ""
        if not raw:
            return []
        was_line_start = self._is_line_start
        if was_line_start and self._is_mark(raw):
            return []
        self._is_line_start = False
        if _FENCE in raw:
            return self._on_fence(raw)
        if self._fence is _Fence.CODE:
            return []
        return clean_word(raw)

    def _is_mark(self, raw: str) -> bool:
        """Whether the raw word only says how its line is laid out."""
        if raw in _BULLETS or _HEADING_OR_QUOTE.fullmatch(raw):
            return True
        number = _NUMBER_MARK.fullmatch(raw)
        # "8. That is how many legs it has." begins with its answer.
        return bool(number) and (not self._is_first_line or number[1] == "1") if number else False

    def _on_fence(self, raw: str) -> list[str]:
        before, _, after = raw.partition(_FENCE)
        if _FENCE in after:
            return clean_word(raw)
        if self._fence is not _Fence.NONE:
            was_code, self._fence = self._fence is _Fence.CODE, _Fence.NONE
            return clean_word(after) if was_code else clean_word(before) + clean_word(after)
        self._fence = _Fence.CODE if after else _Fence.TEXT
        return clean_word(before)


def clean_word(raw: str) -> list[str]:
    """Strip one raw word of its markup; none may be left, or more than one."""
    if _RULE.fullmatch(raw) and raw != "--":
        return []
    if _EMOTICON.fullmatch(raw):
        return []
    word = _FOOTNOTE.sub("", raw)
    word = _LINK_TARGET.sub("", word)
    word = _TAG.sub(" ", word)
    word = _EMPHASIS.sub("", word)
    word = _UNDERSCORES.sub("", word)
    word = "".join(char if not _is_picture(char) else " " for char in word)
    return [part for part in word.split() if part.strip("#>|")]


def _is_picture(char: str) -> bool:
    if char.isascii() or char in _KEPT_SYMBOLS:
        return False
    category = unicodedata.category(char)
    # Emoji proper, their skin tones, and the invisible signs that join and colour them.
    return category in {"So", "Sk", "Cf", "Cs", "Co", "Cc", "Me"} or 0xFE00 <= ord(char) <= 0xFE0F
