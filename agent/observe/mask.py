"""Numbers that must not be read in a log: of cards, of telephones, as keys or as speech."""

import re
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record

_NUMBER = re.compile(r"(?<![0-9a-fA-F])\+?\d(?:[ .\-]?\d){5,}(?![0-9a-fA-F])")
"""Six digits or more, with a space, a dot or a dash between any two; not inside an identifier in
hexadecimal."""


def masked(text: str) -> str:
    """Replace each long number by how many digits it had."""
    return _NUMBER.sub(lambda found: f"[{sum(map(str.isdigit, found[0]))} digits]", text)


def mask_logs() -> None:
    """From now on, no log of this process shows a long number, whoever writes it."""
    logger.configure(patcher=_mask_record)


def _mask_record(record: "Record") -> None:
    record["message"] = masked(record["message"])
