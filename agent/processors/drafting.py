"""Lets a speculative answer out of the language model's service, marked as a draft."""

import asyncio
from typing import Any

from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService

from agent.llm.draft import Draft
from agent.processors.frames import BROKEN_OFF, DraftStartFrame


class Drafting(LLMService[Any]):
    """Holds drafts at the loudspeaker instead of here, so that they are spoken meanwhile.

    Pipecat holds a speculative response inside the service until the turn has ended; its voice
    then starts from nothing. Here the response goes on as a `DraftStartFrame`, and `Playout`
    holds what has become of it. Tools still never run on a draft: Pipecat withdraws it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._draft: Draft | None = None
        self._turn_is_over = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Settle the draft before anyone behind us hears of the turn's end."""
        match frame:
            case LLMContextFrame():
                is_draft = frame.speculation and not self._turn_is_over
                self._draft = Draft() if is_draft else None
            case UserStartedSpeakingFrame():
                self._turn_is_over = False
            case UserStoppedSpeakingFrame():
                self._turn_is_over = True
                if self._draft:
                    self._draft.confirm()
            case EagerEndOfTurnCancelFrame() | InterruptionFrame():
                self._withdraw()
        await super().process_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Start a draft past Pipecat's gate, which then has nothing to hold."""
        match frame:
            case LLMFullResponseStartFrame() if self._draft:
                await super(LLMService, self).push_frame(
                    DraftStartFrame(draft=self._draft), direction
                )
            case LLMFullResponseEndFrame() if _is_being_cancelled():
                # Comes before the interruption that it is of.
                frame.metadata[BROKEN_OFF] = True
                await super().push_frame(frame, direction)
            case EagerEndOfTurnCancelFrame():
                # Pipecat's own: the draft has asked for a tool.
                self._withdraw()
                await super().push_frame(frame, direction)
            case _:
                await super().push_frame(frame, direction)

    async def give_up_draft(self) -> bool:
        """Withdraw the draft that is being made; the turn's end then asks anew.

        Returns:
            Whether there was one.
        """
        if not (self._draft and self._draft.is_pending):
            return False
        await self.broadcast_frame(EagerEndOfTurnCancelFrame)
        return True

    def _withdraw(self) -> None:
        if self._draft:
            self._draft.withdraw()


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return bool(task and task.cancelling())
