"""Our decisions as Pipecat's turn strategies: the aggregator does what the policy decided."""

from pipecat.frames.frames import EagerEndOfTurnCancelFrame, Frame, TranscriptionFrame
from pipecat.turns.types import ProcessFrameResult, UserTurnSpeculation
from pipecat.turns.user_start import BaseUserTurnStartStrategy
from pipecat.turns.user_stop import BaseUserTurnStopStrategy, NormalizedMatch
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from agent.processors.frames import TurnDecisionFrame
from agent.turns.events import DecisionKind

_OPENING = {DecisionKind.BARGE_IN, DecisionKind.SPECULATE, DecisionKind.COMMIT}
_DROPPING = {DecisionKind.HOLD, DecisionKind.BACKCHANNEL}


class DecidedTurnStart(BaseUserTurnStartStrategy):
    """Opens the user's turn when it takes the floor or when its end is in sight.

    Not at the first speech: a turn that turns out to be a cough need then never be closed.
    """

    async def process_frame(self, frame: Frame) -> ProcessFrameResult | None:
        """Open the turn. `TurnTaking` interrupts the agent itself: a turn may be open already."""
        if isinstance(frame, TurnDecisionFrame) and frame.decision.kind in _OPENING:
            await self.trigger_user_turn_started(enable_interruptions=False)
        return ProcessFrameResult.CONTINUE


class DecidedTurnStop(BaseUserTurnStopStrategy):
    """Speculates, withdraws, and ends the turn once its final transcript is in the context."""

    def __init__(self) -> None:
        super().__init__()
        self._speculation: UserTurnSpeculation | None = None
        self._same = NormalizedMatch()

    async def process_frame(self, frame: Frame) -> ProcessFrameResult | None:
        """Follow the policy's decisions."""
        if isinstance(frame, TurnDecisionFrame):
            await self._on_decision(frame)
        elif isinstance(frame, EagerEndOfTurnCancelFrame):
            # The model has given its draft up: it failed, or wants a tool. Ask anew at the end.
            self._speculation = None
        elif isinstance(frame, TranscriptionFrame):
            await self._on_final(frame.text)
        return ProcessFrameResult.CONTINUE

    async def _on_decision(self, frame: TurnDecisionFrame) -> None:
        kind = frame.decision.kind
        if kind is DecisionKind.SPECULATE:
            await self._withdraw()
            self._speculation = UserTurnSpeculation(text=frame.text)
            await self.trigger_user_turn_inference_triggered(speculation=self._speculation)
        elif kind in (DecisionKind.RESUME, DecisionKind.BARGE_IN):
            await self._withdraw()
        elif kind in _DROPPING:
            await self._withdraw()
            await self.trigger_user_turn_finalized()

    async def _on_final(self, text: str) -> None:
        speculation, self._speculation = self._speculation, None
        if speculation and self._same.matches(speculation.text, text):
            await self.trigger_user_turn_finalized(confirms_speculation=True)
            return
        if speculation:
            await self.trigger_user_turn_speculation_cancelled()
        await self.trigger_user_turn_stopped()

    async def _withdraw(self) -> None:
        if self._speculation:
            self._speculation = None
            await self.trigger_user_turn_speculation_cancelled()


def decided_turns() -> UserTurnStrategies:
    """Strategies for `LLMUserAggregatorParams` that leave every decision to `TurnTaking`."""
    return UserTurnStrategies(start=[DecidedTurnStart()], stop=[DecidedTurnStop()])
