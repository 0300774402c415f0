"""Why a request has no transcript, as every protocol of the service tells it."""

from agent.errors import DuplexError
from agent.parakeet.engine import Failure, FailureKind


class RequestError(DuplexError):
    """One request has no transcript.

    Attributes:
        code: The native protocol's name for it (docs/parakeet.md).
        status: As HTTP tells it.
        retryable: Whether the same audio may succeed later or elsewhere.
        retry_after_s: When to try again, where that is known.
    """

    code = "internal"
    status = 500
    retryable = True

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class InternalError(RequestError):
    """Recognition failed."""


class BadInputError(RequestError):
    """The audio or an option cannot be used."""

    code, status, retryable = "bad_input", 400, False


class TooLongError(RequestError):
    """More audio than one utterance, or one file, may have."""

    code, status, retryable = "too_long", 413, False


class OverloadedError(RequestError):
    """The queue is full."""

    code, status = "overloaded", 503


class DrainingError(RequestError):
    """This server is going away."""

    code, status = "draining", 503


class DeadlineError(RequestError):
    """No transcript in time."""

    code, status = "deadline", 504


def from_failure(failure: Failure) -> RequestError:
    """The error for what an engine said."""
    match failure.kind:
        case FailureKind.BAD_INPUT:
            return BadInputError(failure.message)
        case FailureKind.TOO_LONG:
            return TooLongError(failure.message)
        case FailureKind.INTERNAL:
            return InternalError(failure.message)
