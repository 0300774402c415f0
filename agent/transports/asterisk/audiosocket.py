"""Calls that Asterisk's AudioSocket brings: one TCP connection each, PCM both ways."""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from loguru import logger

from agent.audio.chunk import Int16Array, samples
from agent.audio.conceal import GapFiller
from agent.transports.asterisk.frames import AUDIO_RATES, Kind, Message, Reader
from agent.transports.line import Told
from agent.transports.pacing import PACKET_S, Overdue, PacedQueue
from agent.transports.phone.call import (
    Call,
    CallFacts,
    Capabilities,
    Sound,
    UnsupportedError,
)

DELAY_S = 0.08
"""From a packet's leaving to its sounding, estimated, since Asterisk does not say it."""

_CHUNK = 4096
_FIRST_AUDIO_S = 1.0
_ID_S = 5.0
_KIND_OF_8_KHZ = 0x10
_NO_NAME = "its first message is not the name of a call"


class NoCallError(Exception):
    """The connection did not begin like a call."""


class AudioSocketCall(Told):
    """One call: the `CallLine` and the `CallControl` of an agent's `Call`.

    Attributes:
        call: As the agent sees it.
        sample_rate: Both ways, in Hz; that of the first audio.
        malformed: Messages that made no sense.
    """

    def __init__(
        self,
        call_id: uuid.UUID,
        kind: int,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        reader: Reader,
        first: list[Message],
        recordings: Path | None = None,
    ) -> None:
        super().__init__(recordings)
        self.sample_rate = AUDIO_RATES[kind]
        self.malformed = 0
        self._kind = kind
        self._input, self._output = streams
        self._reader, self._first = reader, first
        self._out = PacedQueue(self.sample_rate)
        self._out.on_sent = self._sent
        self._overdue = Overdue()
        self._filler = GapFiller(self.sample_rate)
        self._position = 0
        self._is_over = False
        self._tasks: list[asyncio.Task[None]] = []
        self.call = Call(
            facts=CallFacts(str(call_id), "audiosocket"),
            capabilities=Capabilities(dtmf_in=True, record=recordings is not None),
            control=self,
            sound=Sound(self.sample_rate, DELAY_S),
        )

    async def answer(self) -> None:
        """Begin: Asterisk has taken the call already."""
        if not self._tasks and not self._is_over:
            self._tasks = [
                asyncio.create_task(self._read(), name="audiosocket-read"),
                asyncio.create_task(self._write(), name="audiosocket-write"),
            ]
            self._on_talking()

    async def write(self, pcm: bytes) -> bool:
        """Queue audio, 16-bit mono."""
        return await self._out.write(pcm)

    async def drain(self) -> None:
        """Wait until everything written has left."""
        await self._out.drain()

    async def press(self, keys: str) -> None:
        """Not possible.

        Raises:
            UnsupportedError: Always: AudioSocket tells keys only to us.
        """
        raise UnsupportedError("AudioSocket cannot press keys")

    async def hang_up(self) -> None:
        """End the call for both parties. Asked again, nothing happens."""
        if self._is_over:
            return
        self._end()
        with contextlib.suppress(OSError):
            self._output.write(bytes(Message(Kind.HANGUP)))
            self._output.close()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    async def leave(self) -> None:
        """The conversation is over, and so is the call."""
        await self.hang_up()

    async def send_dtmf(self, digits: str) -> None:
        """Not possible; see `press`."""
        await self.press(digits)

    async def transfer(self, to: str) -> None:
        """Not possible: the dialplan goes on where the call leaves it."""
        raise UnsupportedError("AudioSocket cannot transfer")

    async def hold(self) -> None:
        """Not possible."""
        raise UnsupportedError("AudioSocket cannot hold")

    async def resume(self) -> None:
        """Not possible."""
        raise UnsupportedError("AudioSocket cannot hold")

    async def _read(self) -> None:
        for message in self._first:
            self._take(message)
        with contextlib.suppress(OSError):
            while not self._is_over and (data := await self._input.read(_CHUNK)):
                for message in self._reader.push(data):
                    self._take(message)
        await self.hang_up()

    def _take(self, message: Message) -> None:
        if message.kind in AUDIO_RATES:
            self._take_audio(message)
        elif message.kind == Kind.KEY and len(message.payload) == 1:
            self._on_key(message.payload.decode("ascii", "replace").upper())
        elif message.kind in (Kind.HANGUP, Kind.ERROR):
            if message.kind == Kind.ERROR:
                logger.warning("Asterisk ends a call with error {}", message.payload[:8].hex())
            self._end()
        else:
            self.malformed += 1

    def _take_audio(self, message: Message) -> None:
        if message.kind != self._kind or len(message.payload) % 2:
            self.malformed += 1
            return
        self._overdue.arrived()
        pcm = np.frombuffer(message.payload, np.int16)
        self._give(self._filler.push(self._position, pcm))
        self._position += len(pcm)

    async def _write(self) -> None:
        now = asyncio.get_running_loop().time
        before = now()
        silence = bytes(2 * samples(PACKET_S, self.sample_rate))
        async for pcm in self._out.packets():
            count = round(self._overdue.passed(now() - before) * self.sample_rate)
            before = now()
            if count:
                self._give(self._filler.wait(count))
                # TCP loses nothing: what comes later continues here.
                self._position += count
            with contextlib.suppress(OSError):
                # Asterisk sends on only what comes, and telephones hang up on a line that is dead.
                self._output.write(bytes(Message(self._kind, pcm or silence)))

    def _give(self, pcm: Int16Array) -> None:
        if len(pcm):
            self._hear(pcm)

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._stop_recording()
            self._out.close()
            self._on_over()


async def listen(
    host: str,
    port: int,
    on_call: Callable[[AudioSocketCall], Awaitable[None]],
    recordings: Path | None = None,
) -> asyncio.Server:
    """Take the connections of AudioSocket.

    Args:
        host: To listen on. There is no password: anything but loopback belongs in a private
            network.
        port: 0 for any free one.
        on_call: Holds one call to its end.
        recordings: Where calls are recorded; None forbids it.

    Raises:
        OSError: The port is taken.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            call = await _begun(reader, writer, recordings)
            await on_call(call)
        except (NoCallError, OSError) as error:
            logger.warning("refused an AudioSocket connection: {}", error)
        finally:
            writer.close()

    return await asyncio.start_server(serve, host, port)


async def _begun(
    input_: asyncio.StreamReader, output: asyncio.StreamWriter, recordings: Path | None
) -> AudioSocketCall:
    """Wait for the call's name, and for audio that tells its rate."""
    reader = Reader()
    first: list[Message] = []
    call_id: uuid.UUID | None = None
    kind = _KIND_OF_8_KHZ
    try:
        async with asyncio.timeout(_ID_S) as patience:
            while not any(message.kind in AUDIO_RATES for message in first):
                data = await input_.read(_CHUNK)
                if not data:
                    raise NoCallError("it was closed before it said which call it is")
                if call_id is None and not reader.is_inside and data[0] != Kind.ID:
                    # Told at once: its length may be a promise that is never kept.
                    raise NoCallError(_NO_NAME)
                for message in reader.push(data):
                    if call_id is None:
                        call_id = _named(message)
                        patience.reschedule(asyncio.get_running_loop().time() + _FIRST_AUDIO_S)
                    else:
                        first.append(message)
    except TimeoutError:
        if call_id is None:
            raise NoCallError("it did not say which call it is") from None
    if call_id is None:
        raise NoCallError("it did not say which call it is")
    kind = next((message.kind for message in first if message.kind in AUDIO_RATES), kind)
    return AudioSocketCall(call_id, kind, (input_, output), reader, first, recordings)


def _named(message: Message) -> uuid.UUID:
    if message.kind != Kind.ID or len(message.payload) != 16:
        raise NoCallError(_NO_NAME)
    return uuid.UUID(bytes=message.payload)
