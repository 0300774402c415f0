"""Silence on the line, step by step: ask, ask again, say goodbye. Pure: time is an argument."""

from dataclasses import dataclass

from agent.settings import LadderSettings


@dataclass(frozen=True, slots=True)
class Step:
    """What to say, and whether the call ends with it."""

    text: str
    is_last: bool
    reason: str


class SilenceLadder:
    """Count the silence of both parties, and the length of the call. Pure.

    Args:
        settings: Steps.
        now_s: When the call began.
    """

    def __init__(self, settings: LadderSettings, now_s: float) -> None:
        self._settings = settings
        self._began_s = now_s
        self._quiet_since_s: float | None = now_s
        self._asked = 0
        self._is_over = False

    def floor(self, *, user: bool, agent: bool, now_s: float) -> None:
        """Somebody has begun or ceased to speak, or to think of an answer.

        Args:
            user: Whether the caller speaks.
            agent: Whether the agent speaks or is about to.
            now_s: When.
        """
        if user:
            self._asked = 0
        if user or agent:
            self._quiet_since_s = None
        elif self._quiet_since_s is None:
            self._quiet_since_s = now_s

    def key(self, now_s: float) -> None:
        """The caller has pressed a key: somebody is there."""
        self._asked = 0
        if self._quiet_since_s is not None:
            self._quiet_since_s = now_s

    def tick(self, now_s: float) -> Step | None:
        """What is due now, once."""
        settings = self._settings
        if self._is_over:
            return None
        if now_s - self._began_s >= settings.longest_s:
            self._is_over = True
            return Step(settings.time_is_up, True, f"the call lasted {settings.longest_s:g} s")
        if self._quiet_since_s is None or now_s - self._quiet_since_s < settings.ask_after_s:
            return None
        self._quiet_since_s = now_s
        self._asked += 1
        if self._asked <= settings.asks:
            return Step(settings.question, False, f"{settings.ask_after_s:g} s of silence")
        self._is_over = True
        return Step(settings.farewell, True, f"no word after {settings.asks} questions")
