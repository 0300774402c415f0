"""What the user hears when the language model is late, fails or dies. Pure.

Silence is the one answer that is always wrong: on a call it means that the line is dead.
"""

from dataclasses import dataclass
from enum import StrEnum, auto


class Failure(StrEnum):
    """Why a request ended without an answer."""

    UNREACHABLE = auto()
    """Refused, cut off or reset: the server is dead or restarting."""
    BUSY = auto()
    """It asked to come back later (429, 503)."""
    LATE = auto()
    """Nothing within the answer's deadline."""
    REFUSED = auto()
    """It will refuse again: wrong key, unknown model, request too long."""


def failure_of(status: int | None) -> Failure:
    """Sort an HTTP status.

    Args:
        status: None when there was no HTTP answer at all.
    """
    if status is None:
        return Failure.UNREACHABLE
    if status in (408, 504):
        return Failure.LATE
    # 425 and 429 ask for patience; so, in effect, does every fault of the server's own.
    return Failure.BUSY if status in (425, 429) or status >= 500 else Failure.REFUSED


@dataclass(frozen=True, slots=True)
class Lines:
    """The words. Replace them for another language or another voice.

    Attributes:
        filler: While the first word is late.
        still: While it goes on being late.
        lost: The model is gone or overloaded; the answer will follow.
        broken_off: It went in the middle of an answer; the answer begins again.
        give_up: No answer will come; the user may ask again.
        refused: No answer will come until someone changes the settings.
    """

    filler: str = "One moment."
    still: str = "I'm still here, just a moment more."
    lost: str = "Sorry, I lost my train of thought. One moment."
    broken_off: str = "Sorry, I lost the thread. Let me start again."
    give_up: str = "Sorry, I can't answer that right now. Please ask me again."
    refused: str = "Sorry, I can't answer right now. Something is wrong with my set-up."


@dataclass(frozen=True, slots=True)
class FallbackSettings:
    """Patience, in seconds.

    Attributes:
        first_token_s: Without a first word by then the filler is said. People take a second of
            silence for thought and four for a lost call.
        still_s: How long after any of our lines the next one tells that we are still there.
        answer_s: Without a first word by then the request is dropped and counted as failed.
        retry_after_s: Pause before another request to a server that cannot tell when it is back.
        server_back_s: How long a restart may take before the question is given up.
        attempts: Requests for one question in all, the first included.
        stall_s: Longest gap inside an answer. A machine that swaps can take seconds for a word.
    """

    first_token_s: float = 1.5
    still_s: float = 4.5
    answer_s: float = 10.0
    retry_after_s: float = 1.0
    server_back_s: float = 20.0
    attempts: int = 3
    stall_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Say:
    """Speak this now. `reason` is for the turn's record."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Cancel the request in flight; do not report its end as a failure."""

    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Make the request again and report it as started."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The question stays unanswered; take it as a finished turn."""

    reason: str


Action = Say | Drop | Retry | GiveUp


class _State(StrEnum):
    IDLE = auto()
    WAITING = auto()
    """A request is in flight, nothing has come."""
    ANSWERING = auto()
    DOWN = auto()
    """It failed; the next attempt is due at `_retry_at_s`, or when the server is back."""


class Fallback:
    """Watch one session's requests and say what to do about a bad one. Pure.

    Args:
        settings: Patience.
        lines: Words.
        server_tells: Whether `server_ready` will be called when a dead server is back (the
            embedded one). Else an unreachable one is simply asked again after a pause.
    """

    def __init__(
        self,
        settings: FallbackSettings | None = None,
        lines: Lines | None = None,
        server_tells: bool = False,
    ) -> None:
        self._settings = settings or FallbackSettings()
        self._lines = lines or Lines()
        self._server_tells = server_tells
        self._reset()

    def _reset(self) -> None:
        self._state = _State.IDLE
        self._attempts = 0
        self._heard_from_s = 0.0
        self._retry_at_s = 0.0
        self._has_spoken = False
        self._spoke_s = 0.0
        self._waits_for_server = False

    @property
    def is_open(self) -> bool:
        """Whether a question waits for its answer, or for the rest of it."""
        return self._state is not _State.IDLE

    def request_started(self, now_s: float) -> list[Action]:
        """A request has left, the first of a question or the retry that was asked for."""
        if self._state is not _State.DOWN:
            self._reset()
        self._state = _State.WAITING
        self._attempts += 1
        self._heard_from_s = now_s
        return []

    def token(self, now_s: float) -> list[Action]:
        """A piece of the answer has come, the first or another; a piece of a tool call counts."""
        if self._state in (_State.WAITING, _State.ANSWERING):
            self._state = _State.ANSWERING
            self._heard_from_s = now_s
        return []

    def finished(self, now_s: float) -> list[Action]:
        """The request has ended.

        An answer without a single word is given up, aloud: an end of text as the first token, or a
        filter on the far side.
        """
        was_waiting = self._state is _State.WAITING
        self._reset()
        if was_waiting:
            return self._give_up("empty answer", self._lines.give_up)
        return []

    def cancelled(self, now_s: float) -> list[Action]:
        """The user spoke: whatever was pending is no longer wanted."""
        self._reset()
        return []

    def failed(self, failure: Failure, now_s: float) -> list[Action]:
        """The request in flight has ended without an answer, or in the middle of one."""
        if self._state not in (_State.WAITING, _State.ANSWERING):
            return []
        if failure is Failure.REFUSED:
            return self._give_up(failure, self._lines.refused)
        if self._attempts >= self._settings.attempts:
            return self._give_up(failure, self._lines.give_up)
        said = self._apologise(failure)
        if said:
            self._spoke_s = now_s
        self._state = _State.DOWN
        self._waits_for_server = self._server_tells and failure is Failure.UNREACHABLE
        pause_s = self._settings.retry_after_s
        if failure is Failure.LATE:
            pause_s = 0.0
        elif self._waits_for_server:
            pause_s = self._settings.server_back_s
        self._retry_at_s = now_s + pause_s
        return said

    def server_ready(self, now_s: float) -> list[Action]:
        """The embedded server answers again."""
        if self._state is _State.DOWN and self._waits_for_server:
            self._waits_for_server = False
            return self._retry("server is back")
        return []

    def tick(self, now_s: float) -> list[Action]:
        """Time has passed; call about ten times a second while a question is open."""
        if self._state is _State.WAITING:
            return self._tick_waiting(now_s)
        if self._state is _State.ANSWERING:
            is_stalled = now_s - self._heard_from_s >= self._settings.stall_s
            return self._late(now_s) if is_stalled else []
        if self._state is _State.DOWN:
            if now_s < self._retry_at_s:
                return self._still(now_s)
            if self._waits_for_server:
                return self._give_up("server did not come back", self._lines.give_up)
            return self._retry("pause is over")
        return []

    def _tick_waiting(self, now_s: float) -> list[Action]:
        waited_s = now_s - self._heard_from_s
        if waited_s >= self._settings.answer_s:
            return self._late(now_s)
        if waited_s >= self._settings.first_token_s and not self._has_spoken:
            self._has_spoken, self._spoke_s = True, now_s
            return [Say(self._lines.filler, "first word is late")]
        return self._still(now_s)

    def _still(self, now_s: float) -> list[Action]:
        if not self._has_spoken or now_s - self._spoke_s < self._settings.still_s:
            return []
        self._spoke_s = now_s
        return [Say(self._lines.still, "nothing was said for long")]

    def _retry(self, reason: str) -> list[Action]:
        # Asked for once, should the shell be slow to start the request.
        self._retry_at_s = float("inf")
        return [Retry(reason)]

    def _late(self, now_s: float) -> list[Action]:
        return [Drop(Failure.LATE), *self.failed(Failure.LATE, now_s)]

    def _apologise(self, failure: Failure) -> list[Action]:
        """Say why there is a pause: once, unless an answer broke off in the meantime."""
        if self._state is _State.ANSWERING:
            self._has_spoken = True
            return [Say(self._lines.broken_off, failure)]
        # After the filler too: the second pause would otherwise have no words at all.
        if self._attempts == 1:
            self._has_spoken = True
            return [Say(self._lines.lost, failure)]
        return []

    def _give_up(self, reason: str, line: str) -> list[Action]:
        self._reset()
        return [Say(line, reason), GiveUp(reason)]
