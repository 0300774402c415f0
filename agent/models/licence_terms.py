"""Which licences a default install may hold. Pure.

Refused are those that would bind what people build with Duplex (GPL, AGPL and kin) or forbid them
to earn with it. LGPL is fine: its libraries can be exchanged.
"""

import re

_REFUSED = re.compile(
    r"""
      (?<![a-z])a?gpl(?![a-z])            # GPL, AGPL, GPLv3 is caught by the next line
    | (?<![a-z])a?gplv?\d
    | gnu\ (affero\ )?general\ public     # not "GNU Lesser General Public"
    | (?<![a-z])sspl | server\ side\ public
    | (?<![a-z])bus?l-1 | business\ source
    | cc[ -]by[ -]nc | non-?\s?commercial
    """,
    re.IGNORECASE | re.VERBOSE,
)
_EXCEPTION = re.compile(r"with[ -](gcc|classpath|autoconf|bootloader)[\w.-]*", re.IGNORECASE)
_LESSER = re.compile(r"(?<![a-z])lgpl|lesser general public|library general", re.IGNORECASE)
_TOKEN = re.compile(r"\(|\)|[^\s()]+")

HEAD_CHARACTERS = 400
"""A licence names itself at its beginning; further down others are quoted."""


def is_refused(expression: str) -> bool:
    """Whether an SPDX expression leaves no way to use the thing freely.

    Where the licensor offers a choice (``MIT OR GPL-2.0-only``) one acceptable offer is enough.
    Names that are not SPDX are judged likewise: ``GPLv3``, ``Apache 2.0``.
    """
    return not _Choice(_TOKEN.findall(expression)).is_acceptable()


def offers_choice(expression: str) -> bool:
    """Whether the licensee may choose between licences."""
    return " or " in expression.lower()


def is_lesser(text: str) -> bool:
    """Whether `text` names the LGPL, which is published together with the text of the GPL."""
    return _LESSER.search(text) is not None


def refused_text(text: str) -> str | None:
    """Name the refused licence that a licence file begins with, or that a phrase names."""
    head = " ".join(text[: 2 * HEAD_CHARACTERS].split())[:HEAD_CHARACTERS]
    match = _REFUSED.search(head)
    if match is None or _EXCEPTION.search(head):
        return None
    # A file that mentions the GPL after having named another licence quotes it.
    lesser = _LESSER.search(head)
    return None if lesser and lesser.start() < match.start() else match.group()


class _Choice:
    """Recursive descent over ``A AND (B OR C WITH D)``; AND binds tighter than OR."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens

    def is_acceptable(self) -> bool:
        acceptable = self._all_of()
        while self._take("or"):
            # Not short-circuited: the tokens must be consumed either way.
            acceptable = self._all_of() or acceptable
        return acceptable

    def _all_of(self) -> bool:
        acceptable = self._one()
        while self._take("and"):
            acceptable = self._one() and acceptable
        return acceptable

    def _one(self) -> bool:
        if self._take("("):
            acceptable = self.is_acceptable()
            self._take(")")
            return acceptable
        words = []
        while self._tokens and self._tokens[0].lower() not in ("and", "or", ")"):
            words.append(self._tokens.pop(0))
        return refused_text(" ".join(words)) is None

    def _take(self, token: str) -> bool:
        if self._tokens and self._tokens[0].lower() == token:
            self._tokens.pop(0)
            return True
        return False
