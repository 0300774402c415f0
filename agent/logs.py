"""What is logged, and where."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loguru import Record

_WARNING = 30


def set_up_logging(*, verbose: bool) -> None:
    """Log to standard error, without the values of variables: callers have said them."""
    from loguru import logger

    logger.remove()
    level = "DEBUG" if verbose else "INFO"
    logger.add(sys.stderr, level=level, filter=_is_worth_showing, diagnose=False)


def _is_worth_showing(record: "Record") -> bool:
    # Pipecat's DEBUG lines hold what people said; its INFO lines are a banner.
    return not (record["name"] or "").startswith("pipecat") or record["level"].no >= _WARNING
