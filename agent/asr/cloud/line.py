"""One open connection to our own service, and the utterances that are heard over it."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from loguru import logger
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from agent.asr.cloud import wire
from agent.asr.cloud.client import CloudLostError, CloudRefusedError
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples

STALL_S = 2.0
"""Without a word from the server while `_OWED` waits to be confirmed: the network swallows it."""

_OWED = SAMPLE_RATE
"""A second of audio; the server confirms every half."""

_WRONG_KEY = 4401

PIECE = samples(0.5)
"""Samples of a message when a replay has more: each is confirmed, so a slow uplink is no stall."""


@dataclass
class Hearing:
    """One utterance on this connection.

    Attributes:
        final: Its final; fails with the connection.
        sent: Samples sent so far.
        confirmed: Samples the server holds.
    """

    final: "asyncio.Future[wire.Finished]"
    sent: int = 0
    confirmed: int = 0


@dataclass
class Line:
    """Sends for many utterances, and hands each what the server says of it."""

    socket: ClientConnection
    welcome: wire.Welcome
    is_leaving: bool = False
    _seq: int = 0
    _heard_s: float = 0.0
    _hearings: dict[int, Hearing] = field(default_factory=dict)
    _unclaimed: dict[int, wire.Finished] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        self._keep(self._read())

    @property
    def is_usable(self) -> bool:
        """Whether an utterance may begin here."""
        return not self.is_leaving and self.socket.close_code is None

    @property
    def is_silent(self) -> bool:
        """Whether the server has said nothing for `STALL_S`."""
        return asyncio.get_running_loop().time() - self._heard_s > STALL_S

    def begin(self, number: int) -> Hearing:
        """Take an utterance on, from where the server already holds it."""
        held = self.welcome.held.get(number, 0)
        hearing = Hearing(asyncio.get_running_loop().create_future(), held, held)
        self._hearings[number] = hearing
        if finished := self._unclaimed.pop(number, None):
            hearing.final.set_result(finished)
        return hearing

    def end(self, number: int, *, is_answered: bool) -> None:
        """Let the server forget an utterance."""
        hearing = self._hearings.pop(number, None)
        if hearing and hearing.final.done() and not hearing.final.cancelled():
            hearing.final.exception()
        self._keep(self._post(wire.received(number) if is_answered else wire.abort(number)))

    async def send_audio(self, number: int, pcm: Int16Array) -> None:
        """Send the next samples of an utterance."""
        hearing = self._hearings[number]
        self._seq += 1
        message = wire.audio(number, self._seq, hearing.sent, pcm)
        hearing.sent += len(pcm)
        await self.socket.send(message)

    async def finalize(self, number: int, deadline_s: float) -> None:
        """Ask for an utterance's final."""
        await self.socket.send(wire.finalize(number, self._hearings[number].sent, deadline_s))

    async def close(self) -> None:
        """Hang up."""
        self.is_leaving = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A dead network does not answer the closing handshake: do not wait for it.
        self.socket.transport.abort()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, text: str) -> None:
        try:
            await self.socket.send(text)
        except ConnectionClosed:
            logger.debug("recognition: a message came too late for its connection")

    async def _read(self) -> None:
        try:
            while True:
                self._take(await self._next())
        except (ConnectionClosed, CloudLostError) as error:
            self.is_leaving = True
            for hearing in self._hearings.values():
                if not hearing.final.done():
                    hearing.final.set_exception(refusal(error) or error)
            if isinstance(error, CloudLostError):
                self.socket.transport.abort()

    async def _next(self) -> str | bytes:
        while True:
            try:
                async with asyncio.timeout(STALL_S):
                    message = await self.socket.recv()
            except TimeoutError:
                owed = (hearing.sent - hearing.confirmed for hearing in self._hearings.values())
                if self.is_silent and max(owed, default=0) > _OWED:
                    raise CloudLostError("the network swallows audio") from None
                continue
            self._heard_s = asyncio.get_running_loop().time()
            return message

    def _take(self, text: str | bytes) -> None:
        message = wire.parse(text) if isinstance(text, str) else None
        match message:
            case wire.Ack():
                if hearing := self._hearings.get(message.utterance):
                    hearing.confirmed = max(hearing.confirmed, message.sample)
            case wire.Finished():
                hearing = self._hearings.get(message.utterance)
                if hearing is None:
                    self._unclaimed[message.utterance] = message
                elif not hearing.final.done():
                    hearing.final.set_result(message)
            case wire.Failed():
                self._fail(message)
            case wire.GoingAway():
                self.is_leaving = True

    def _fail(self, failed: wire.Failed) -> None:
        if failed.utterance is None:
            if failed.fatal:
                raise CloudLostError("the server ended the connection")
            return
        hearing = self._hearings.get(failed.utterance)
        if hearing is None or hearing.final.done():
            return
        if failed.retryable:
            hearing.final.set_exception(CloudLostError(f"the server says: {failed.code}"))
        elif failed.fatal:
            hearing.final.set_exception(CloudRefusedError(f"the server says: {failed.code}"))


def refusal(error: Exception) -> CloudLostError | None:
    """Tell a server that does not take the key from a connection that broke."""
    if isinstance(error, ConnectionClosed) and error.rcvd and error.rcvd.code == _WRONG_KEY:
        return CloudLostError("the server refuses the key")
    return None
