"""What is logged, where, and in which form."""

import contextlib
import functools
import inspect
import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from loguru import Record

Form = Literal["text", "json"]

_WARNING = 30
_OURS = ("line", "whose", "trace")


@dataclass(frozen=True, slots=True)
class _Bound:
    session: str
    turn: Callable[[], int]


_bound: ContextVar[_Bound | None] = ContextVar("bound", default=None)


@contextlib.contextmanager
def bound(session: str, turn: Callable[[], int]) -> Iterator[None]:
    """Have every line logged in this block, and by tasks begun in it, say whose it is.

    Args:
        session: Its name.
        turn: Asked for each line.
    """
    token = _bound.set(_Bound(session, turn))
    try:
        yield
    finally:
        _bound.reset(token)


def set_up_logging(*, verbose: bool, form: Form = "text") -> None:
    """Log to standard error, without the values of variables: callers have said them."""
    from loguru import logger

    logger.remove()
    logger.add(
        sys.stderr,
        level="DEBUG" if verbose else "INFO",
        filter=_is_worth_showing,
        format=functools.partial(_as_json if form == "json" else _as_text, verbose),
        diagnose=False,
    )
    # Libraries that log the standard way speak through the same sink, in the same form.
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)


def _is_worth_showing(record: "Record") -> bool:
    # Pipecat's DEBUG lines hold what people said; its INFO lines are a banner.
    # This one quotes what a client has sent.
    if "Error parsing JSON message" in record["message"]:
        return False
    return not (record["name"] or "").startswith("pipecat") or record["level"].no >= _WARNING


def _as_text(verbose: bool, record: "Record") -> str:
    whose = _bound.get()
    record["extra"]["whose"] = f"{whose.session}/{whose.turn()} | " if whose else ""
    record["extra"]["trace"] = _trace(record, verbose)
    return (
        "<green>{time:YYYY-MM-DD HH:mm:ss.SSS}</green> | <level>{level: <8}</level> | "
        "<cyan>{name}</cyan>:<cyan>{function}</cyan>:<cyan>{line}</cyan> | {extra[whose]}"
        "<level>{message}</level>\n{extra[trace]}"
    )


def _as_json(verbose: bool, record: "Record") -> str:
    fields: dict[str, object] = {
        "time": record["time"].isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "message": record["message"],
        "where": f"{record['name']}:{record['function']}:{record['line']}",
    }
    if whose := _bound.get():
        fields |= {"session": whose.session, "turn": whose.turn()}
    fields |= {name: value for name, value in record["extra"].items() if name not in _OURS}
    if trace := _trace(record, verbose):
        fields["trace"] = trace
    record["extra"]["line"] = json.dumps(fields, default=str, ensure_ascii=False)
    return "{extra[line]}\n"


def _trace(record: "Record", verbose: bool) -> str:
    """Where an exception came from; its own words, which may quote a caller, only if verbose."""
    error = record["exception"]
    if error is None or error.type is None:
        return ""
    if verbose:
        return "".join(traceback.format_exception(error.type, error.value, error.traceback))
    return "".join([*traceback.format_tb(error.traceback), error.type.__name__, "\n"])


class _Forward(logging.Handler):
    """Hands the standard library's records to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        from loguru import logger

        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        frame, depth = inspect.currentframe(), 0
        while frame and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            frame, depth = frame.f_back, depth + 1
        logger.opt(depth=depth, exception=record.exc_info).log(level, record.getMessage())
