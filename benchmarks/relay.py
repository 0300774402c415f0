"""A bad network on loopback: real UDP packets of a call, lost, late, swapped and doubled by seed.

It stands between a telephone and a user agent. Signalling passes as it is, but for the ports of
the audio, which become the relay's.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from agent.eval.impairment import Impairment
from agent.transports.sip.message import MalformedError, Request, parse

Address = tuple[str, int]
HOST = "127.0.0.1"

_MEDIA = re.compile(rb"^m=audio (\d+) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Passed:
    """An RTP packet that came to the relay.

    Attributes:
        at_s: By the loop's clock.
        from_caller: Whether the telephone that called sent it.
        datagram: As it came.
        copies: How many left.
    """

    at_s: float
    from_caller: bool
    datagram: bytes
    copies: int


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, Address], None]) -> None:
        self._take = take

    @classmethod
    async def open(cls, take: Callable[[bytes, Address], None]) -> "_Socket":
        loop = asyncio.get_running_loop()
        _, made = await loop.create_datagram_endpoint(lambda: cls(take), local_addr=(HOST, 0))
        return made

    @property
    def port(self) -> int:
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def send(self, data: bytes, to: Address) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(data, to)

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._take(data, addr)


@dataclass(slots=True)
class _Audio:
    """The audio of one call: a socket for each party, and where the other one listens."""

    facing_caller: _Socket
    facing_called: _Socket
    caller: Address | None = None
    called: Address | None = None


@dataclass(slots=True)
class Relay:
    """See `relay`.

    Attributes:
        target: Where calls go.
        network: Both ways, by its seed.
        port: To be called instead of the target's.
        passed: Every RTP packet that came.
    """

    target: Address
    network: Impairment
    port: int = 0
    passed: list[Passed] = field(default_factory=list)
    _calls: dict[str, _Audio] = field(default_factory=dict)
    _caller: Address | None = None
    _fates: dict[bool, Iterator[list[float]]] = field(default_factory=dict)
    _signals: list[_Socket] = field(default_factory=list)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def open(self) -> None:
        """Listen."""
        self._fates = {way: self.network.fates() for way in (True, False)}
        outside = await _Socket.open(self._from_caller)
        inside = await _Socket.open(self._from_called)
        self._signals = [outside, inside]
        self.port = outside.port

    def close(self) -> None:
        """Give the ports back."""
        for audio in self._calls.values():
            audio.facing_caller.close()
            audio.facing_called.close()
        for socket in self._signals:
            socket.close()

    def _from_caller(self, data: bytes, source: Address) -> None:
        self._caller = source
        self._spawn(data, from_caller=True)

    def _from_called(self, data: bytes, source: Address) -> None:
        self._spawn(data, from_caller=False)

    def _spawn(self, data: bytes, *, from_caller: bool) -> None:
        task = asyncio.ensure_future(self._signal(data, from_caller))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _signal(self, data: bytes, from_caller: bool) -> None:
        """Pass a message on, with ports of our own in its description."""
        try:
            message = parse(data)
        except MalformedError:
            return
        if from_caller and isinstance(message, Request):
            # Or its answer would go past us.
            via = message.headers.all("Via")[0]
            if "rport" not in via:
                message.headers.put_first("Via", f"{via};rport")
        if found := _MEDIA.search(message.body):
            audio = await self._audio(message.headers.get("Call-ID") or "")
            ours = audio.facing_called if from_caller else audio.facing_caller
            place = (HOST, int(found[1]))
            if from_caller:
                audio.caller = place
            else:
                audio.called = place
            head, tail = message.body[: found.start(1)], message.body[found.end(1) :]
            message.body = head + str(ours.port).encode() + tail
        if from_caller:
            self._signals[1].send(bytes(message), self.target)
        elif self._caller:
            self._signals[0].send(bytes(message), self._caller)

    async def _audio(self, call_id: str) -> _Audio:
        known = self._calls.get(call_id)
        if known is None:
            facing_caller = await _Socket.open(
                lambda data, _: self._pass(self._calls[call_id], data, from_caller=True)
            )
            facing_called = await _Socket.open(
                lambda data, _: self._pass(self._calls[call_id], data, from_caller=False)
            )
            known = self._calls[call_id] = _Audio(facing_caller, facing_called)
        return known

    def _pass(self, audio: _Audio, data: bytes, *, from_caller: bool) -> None:
        loop = asyncio.get_running_loop()
        late = next(self._fates[from_caller])
        self.passed.append(Passed(loop.time(), from_caller, data, len(late)))
        out, to = (
            (audio.facing_called, audio.called)
            if from_caller
            else (audio.facing_caller, audio.caller)
        )
        if to:
            for late_s in late:
                loop.call_later(late_s, out.send, data, to)


@contextlib.asynccontextmanager
async def relay(target: Address, network: Impairment | None = None) -> AsyncIterator[Relay]:
    """A relay in front of a user agent, and a network that does nothing unless one is given."""
    made = Relay(target, network or Impairment(delay_s=0.0))
    await made.open()
    try:
        yield made
    finally:
        made.close()
