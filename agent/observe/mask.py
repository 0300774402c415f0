"""Numbers that must not be read where others read: of cards, of telephones, written or spoken."""

import re
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record

_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_ADDRESS = rf"(?<![\d.])(?:{_BYTE}\.){{3}}{_BYTE}(?![\d.])"
"""Of a machine (IPv4): whoever reads a log must see who was refused."""

_NUMBER = re.compile(rf"{_ADDRESS}|(?<![0-9a-fA-F])\+?\d(?:[ .\-]?\d){{5,}}(?![0-9a-fA-F])")
"""Six digits or more, with a space, a dot or a dash between any two; not inside an identifier in
hexadecimal. Addresses are found as well, or their ends would be taken for numbers."""

_PRESSED = re.compile(r"(?<=\(tone: )[^)]*|(?<=\(buttons: )[^)]*")
"""What Pipecat writes of a key's frame: line by line, a number of any length."""

_NAMES = {
    name: str(value)
    for value, name in enumerate("zero one two three four five six seven eight nine".split())
} | {"oh": "0", "nought": "0"}
_REPEATS = {"double": 2, "triple": 3}

_WORD = rf"(?:(?:double|triple)[ -])?(?:{'|'.join(_NAMES)})"
_SPOKEN = re.compile(rf"\b{_WORD}(?:[ ,.\-]+(?:{_WORD}|\d+))+\b", re.IGNORECASE)
"""Names of digits one behind the other, figures among them."""

_WRITTEN = re.compile(r"\d(?:[ ,.\-]{0,2}\d)+")

_FEWEST_SPOKEN = 6
_CARD_DIGITS = range(13, 20)
"""ISO/IEC 7812."""


def masked(text: str) -> str:
    """Replace each long number by how many digits it had, and the keys of Pipecat's frames."""
    text = _PRESSED.sub("[keys]", text)
    text = _NUMBER.sub(_number_masked, text)
    return _SPOKEN.sub(_spoken_masked, text)


def without_cards(text: str) -> str:
    """Replace what can be the number of a card: 13 to 19 digits whose checksum is right."""
    for pattern in (_WRITTEN, _SPOKEN):
        text = pattern.sub(lambda found: "[card number]" if _is_card(found[0]) else found[0], text)
    return text


def mask_logs() -> None:
    """From now on, no log of this process shows a long number, whoever writes it."""
    logger.configure(patcher=_mask_record)


def _mask_record(record: "Record") -> None:
    record["message"] = masked(record["message"])


def _number_masked(found: re.Match[str]) -> str:
    is_address = found[0].count(".") == 3 and re.fullmatch(_ADDRESS, found[0])
    return found[0] if is_address else f"[{sum(map(str.isdigit, found[0]))} digits]"


def _spoken_masked(found: re.Match[str]) -> str:
    count = len(_digits(found[0]))
    return f"[{count} digits]" if count >= _FEWEST_SPOKEN else found[0]


def _is_card(text: str) -> bool:
    """Whether digits, in any form, have a card's length and checksum (Luhn)."""
    digits = _digits(text)
    if len(digits) not in _CARD_DIGITS:
        return False
    doubled = [int(digit) * (1 + i % 2) for i, digit in enumerate(reversed(digits))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _digits(text: str) -> str:
    found, repeat = "", 1
    for word in re.findall(r"[a-z]+|\d", text.lower()):
        found += _NAMES.get(word, word if word.isdigit() else "") * repeat
        repeat = _REPEATS.get(word, 1)
    return found
