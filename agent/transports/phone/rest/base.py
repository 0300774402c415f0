"""What providers have in common that do things with a call on request."""

from abc import ABC, abstractmethod
from typing import ClassVar

import httpx
from loguru import logger

from agent.errors import RetryError
from agent.transports.phone.call import CallFacts
from agent.transports.phone.documents import Answer, MovingDocuments

_PATIENCE_S = 5.0

RING_S = 25
"""How long somebody who is to take a call may ring; the caller listens to music meanwhile."""


class TransferError(RetryError):
    """The provider did not transfer the call; the conversation goes on."""


class Rest(ABC):
    """A provider's requests, beside its media stream.

    Attributes:
        provider: Its name, for people.
        documents: What it understands.
        can_call: Whether what a call needs is set.
    """

    provider: ClassVar[str]
    documents: ClassVar[MovingDocuments]
    can_call: bool = True

    @abstractmethod
    async def hang_up(self, call_id: str) -> None:
        """End the call. One that is over already is no fault."""

    @abstractmethod
    async def call(self, to: str, ours: str, url: str) -> str:
        """Call somebody.

        Args:
            to: Who is called.
            ours: The number that is shown there.
            url: Where the provider asks what to do once somebody has answered.

        Returns:
            The provider's name of the call.

        Raises:
            TransferError: The provider does not.
        """

    @abstractmethod
    async def status(self, call_id: str) -> str:
        """What has become of a call, in the provider's word; empty if it does not say."""

    async def transfer(self, call: CallFacts, to: str) -> None:
        """Connect the caller to another number; its stream ends.

        Raises:
            TransferError: The provider does not.
        """
        if not await self._direct(call.id, self.documents.connect(to, call)):
            raise TransferError(f"{self.provider} did not transfer the call; see the log")

    async def meet(self, call_id: str, room: str) -> None:
        """Send a call into a room; its stream ends.

        Raises:
            TransferError: The provider does not.
        """
        if not await self._direct(call_id, self.documents.meet(room)):
            raise TransferError(f"{self.provider} did not put the call through; see the log")

    @abstractmethod
    async def _direct(self, call_id: str, document: Answer) -> bool:
        """Let a call go on with another document; whether the provider does."""

    async def _placed(self, request: httpx.Request, name: str) -> str:
        """Send a request for a call; what the answer calls it in the field `name`."""
        answer = await answered(request, "call")
        if answer is None or not isinstance(call_id := answer.get(name), str):
            raise TransferError(f"{self.provider} did not call; see the log")
        return call_id


async def answered(request: httpx.Request, what: str) -> dict[str, object] | None:
    """Send a request; the JSON object it is answered with, or None."""
    response = await send(request, what)
    try:
        answer = response.json() if response else None
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else None


async def send(request: httpx.Request, what: str) -> httpx.Response | None:
    """Send a request; None if it could not be, or was refused, which the log tells."""
    try:
        async with httpx.AsyncClient(timeout=_PATIENCE_S) as client:
            response = await client.send(request)
    except httpx.HTTPError as error:
        logger.error("could not {}: {}", what, type(error).__name__)
        return None
    if response.is_success:
        return response
    logger.error("could not {}: the provider answered {}", what, response.status_code)
    return None


def word(answer: dict[str, object] | None, name: str) -> str:
    """A field's text; empty if it is none."""
    value = (answer or {}).get(name)
    return value if isinstance(value, str) else ""
