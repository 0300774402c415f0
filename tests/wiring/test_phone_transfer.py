"""Transfers over providers, with everything real but the provider: its streams, webhooks and
requests are played from its documentation, on sockets. No provider was called.
"""

import asyncio
import contextlib
import socket
import ssl
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import uvicorn
import websockets
from fastapi import FastAPI

from agent.server.consultation import NotTakenError
from agent.server.phone import add_phone
from agent.tools.telephone import transfer_call
from agent.transports.phone.call import CallState, UnsupportedError
from tests.core.phone.carriers import (
    CARRIERS,
    TOKEN,
    Carrier,
    Plivo,
    Telnyx,
    Twilio,
    Vonage,
    new_key,
)
from tests.core.phone.providers import (
    CALLED,
    CALLER,
    ExotelSide,
    GenesysSide,
    Said,
    Side,
    Telephone,
)
from tests.sip.household import WORD_S, sessions
from tests.wiring.phone_peers import (
    GENESYS_KEY,
    GENESYS_SECRET,
    TELNYX_KEY,
    asking,
    upgrade_headers,
    webhook,
)

COLLEAGUE = "+49555"
BRIEFING = "A caller about a parcel."


class Leg:
    """A telephone on a provider's stream: silent, but for its keys.

    Args:
        side: The provider's.
        front: Where its address really leads, such as a proxy; empty for there.
        trust: Of whom certificates are taken there.
    """

    def __init__(self, side: Side, front: str = "", trust: ssl.SSLContext | None = None) -> None:
        self.side = side
        self._front, self._trust = front, trust
        self.telephone = Telephone(side)
        self.closed = asyncio.Event()
        self._socket = None

    async def talk(self, url: str) -> None:
        parts = urlsplit(url)
        signed = upgrade_headers(self.side, parts.path, f"{parts.scheme}://{parts.netloc}")
        with contextlib.suppress(websockets.ConnectionClosed):
            at = self._front + parts.path if self._front else url
            async with websockets.connect(
                at, additional_headers=signed, ssl=self._trust
            ) as self._socket:
                for message in self.side.begin():
                    await self._socket.send(message)
                speaking = asyncio.create_task(self._speak())
                try:
                    async for data in self._socket:
                        self.telephone.take(data)
                finally:
                    speaking.cancel()
        self.closed.set()

    async def press(self, key: str) -> None:
        await self._socket.send(self.side.key(key))

    async def end(self) -> None:
        """What the provider sends when the stream is over."""
        if not self.closed.is_set() and self._socket:
            with contextlib.suppress(websockets.ConnectionClosed):
                for message in self.side.end():
                    await self._socket.send(message)
                await self._socket.close()

    @property
    def heard_s(self) -> float:
        """Seconds of sound, and not of silence, that were played so far."""
        now = asyncio.get_running_loop().time()
        track = np.abs(self.telephone.track(now - 60.0, now).astype(int))
        hop = self.side.rate // 100
        hops = track[: len(track) // hop * hop].reshape(-1, hop).max(axis=1)
        return float((hops > 300).sum() / 100)

    async def until_heard(self, seconds: float) -> None:
        async with asyncio.timeout(20):
            while self.heard_s < seconds:  # noqa: ASYNC110 - audio has no event
                await asyncio.sleep(0.05)

    async def _speak(self) -> None:
        hush = np.zeros(self.side.rate // 50, np.int16)
        while True:
            await self._socket.send(self.side.media(hush))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await self._socket.send(await self.telephone.says.get())


class Exchange:
    """What a provider does with its calls: rings, opens streams, lets them go on elsewhere.

    Closing a stream ends its call, as our documents have it: nothing comes after it.
    """

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        self.legs: dict[str, Leg] = {}
        self.answered = asyncio.Event()
        self._tasks: list[asyncio.Task] = []
        carrier.rings, carrier.moves, carrier.ends = self.rings, self.moves, self.ends
        if isinstance(carrier, Plivo):
            carrier.fetch = self.fetch

    async def rings(self, call) -> None:
        if self.carrier.fate == "answers":
            self._tasks.append(asyncio.create_task(self._answer(call)))

    async def _answer(self, call) -> None:
        await asyncio.sleep(0.3)
        call.state = self.carrier.talking
        document = await self.fetch(call.url, call)
        self.answered.set()
        await self._stream(call, document)

    async def open(self, call, document: str) -> Leg:
        """Bring a caller's sound to us; the telephone, once the stream is open."""
        self._tasks.append(asyncio.create_task(self._stream(call, document)))
        while call.id not in self.legs:  # noqa: ASYNC110 - set by the task just made
            await asyncio.sleep(0)
        return self.legs[call.id]

    async def _stream(self, call, document: str) -> None:
        leg = self.legs[call.id] = Leg(self.carrier.side(call.id))
        await leg.talk(self.carrier.stream(document))
        if call.document is None:
            call.state = self.carrier.over

    async def moves(self, call) -> None:
        await self.legs[call.id].end()

    async def ends(self, call) -> None:
        if leg := self.legs.get(call.id):
            await leg.end()

    async def fetch(self, url: str, call) -> str:
        """Ask us what to do with a call."""
        headers, body = asking(
            self.carrier.side.name, url, call.id, call.ours or CALLER, call.to or CALLED
        )
        async with httpx.AsyncClient() as client:
            assert (await client.post(url, content=body)).status_code in (400, 403)
            response = await client.post(url, headers=headers, content=body)
            assert response.status_code == 200, response.text
            again = await client.post(url, headers=headers, content=body)
        assert again.status_code == 404, "an address is good once"
        return response.text


@contextlib.asynccontextmanager
async def served(name: str, section: dict[str, str], **options):
    """The product's webhooks and streams on a port, with models that always answer the same."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    phone = {"public_url": f"http://{address}", "transfer_to": [COLLEAGUE], name: section}
    household = sessions(phone=phone, server={"max_sessions": 2}, **options)
    app = FastAPI()
    add_phone(app, household)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield household, address
    finally:
        await household.drain()
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def calling(carrier: Carrier):
    """A caller who is being greeted: sessions, the agent's call, the telephone, the exchange."""
    async with carrier:
        exchange, name = Exchange(carrier), carrier.side.name
        section = carrier.settings() | ({"public_key": TELNYX_KEY} if name == "telnyx" else {})
        async with served(name, section, greeting="one two") as (house, address):
            url = f"http://{address}/phone/{name}/answer"
            call = carrier.begin("call-1")
            headers, body = asking(name, url, call.id, CALLER, CALLED)
            async with httpx.AsyncClient() as client:
                response = await client.post(url, headers=headers, content=body)
            leg = await exchange.open(call, response.text)
            await leg.until_heard(2 * WORD_S - 0.1)
            (session,) = house.running
            yield house, session._dialogue.conversation.call, leg, exchange
            await leg.end()
    assert not carrier.refused, "the provider does not know what it was asked"


@pytest.fixture
def carrier(request, tmp_path) -> Carrier:
    kind, *fate = request.param if isinstance(request.param, tuple) else (request.param,)
    if kind is Vonage:
        return Vonage(*fate, private_key=new_key(tmp_path / "private.key"))
    return kind(*fate)


def named(kinds):
    """Parameters of tests, by their provider's name."""
    name = lambda kind: kind.side.name if isinstance(kind, type) else kind[0].side.name  # noqa: E731
    return pytest.mark.parametrize("carrier", kinds, indirect=True, ids=name)


every_provider = named(CARRIERS)


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - has no event
            await asyncio.sleep(0.05)


async def asked(exchange: Exchange, call):
    """The transfer under way, and the colleague's telephone once the question was heard."""
    moving = asyncio.create_task(call.transfer(COLLEAGUE, briefing=BRIEFING))
    await asyncio.wait_for(exchange.answered.wait(), 10)
    await until(lambda: len(exchange.legs) == 2)
    colleague = next(leg for name, leg in exchange.legs.items() if name != "call-1")
    await colleague.until_heard(5 * WORD_S)
    return moving, colleague


@every_provider
async def test_who_takes_the_call_meets_the_caller_in_a_room(carrier):
    async with calling(carrier) as (house, call, caller, exchange):
        before = caller.heard_s
        moving, colleague = await asked(exchange, call)
        assert caller.heard_s > before + 0.5, "the caller waits in silence"
        mine, theirs = carrier.calls["call-1"], carrier.calls[colleague.side.call_id]
        assert mine.document is None and not moving.done()
        await colleague.press("1")
        await asyncio.wait_for(moving, 20)
        await until(lambda: not house.active)
        assert carrier.room(mine) == carrier.room(theirs) is not None
        assert call.state is CallState.TRANSFERRED
        assert {mine.state, theirs.state} == {carrier.talking}, "nobody was cut off"
    assert (theirs.to.lstrip("+"), theirs.ours.lstrip("+")) == (COLLEAGUE[1:], CALLED[1:])


@named([Twilio, Vonage])
async def test_a_no_lets_the_caller_come_back(carrier):
    async with calling(carrier) as (house, call, caller, exchange):
        moving, colleague = await asked(exchange, call)
        await colleague.press("2")
        with pytest.raises(NotTakenError, match="took the call"):
            await asyncio.wait_for(moving, 20)
        assert carrier.calls[colleague.side.call_id].state == carrier.over
        assert carrier.calls["call-1"].document is None
        assert call.state is CallState.TALKING and house.active == 1
        assert not caller.closed.is_set()


@pytest.mark.parametrize(
    ("carrier", "why"),
    [
        ((Twilio, "busy"), "busy"),
        ((Twilio, "failed"), "no such"),
        ((Telnyx, "no-answer"), "nobody answered"),
        ((Plivo, "no-answer"), "nobody answered"),
        ((Vonage, "unanswered"), "nobody answered"),
        ((Vonage, "rejected"), "declined"),
    ],
    indirect=["carrier"],
)
async def test_who_cannot_be_reached_is_not_waited_for(carrier, why):
    async with calling(carrier) as (house, call, _, _):
        with pytest.raises(NotTakenError, match=why):
            await asyncio.wait_for(call.transfer(COLLEAGUE, briefing=BRIEFING), 15)
        assert call.state is CallState.TALKING and house.active == 1
        # Ending a call that never was is asked once, and Plivo has no such call any more.
        carrier.refused.clear()


@named([Twilio, Plivo])
async def test_a_caller_who_hangs_up_frees_the_one_who_is_asked(carrier):
    async with calling(carrier) as (house, call, caller, exchange):
        moving, colleague = await asked(exchange, call)
        await caller.end()
        with pytest.raises(NotTakenError, match="hung up"):
            await asyncio.wait_for(moving, 20)
        theirs = carrier.calls[colleague.side.call_id]
        await until(lambda: theirs.state == carrier.over and not house.active)
        assert theirs.document is None
        carrier.refused.clear()


@named([Twilio, Telnyx])
async def test_who_hangs_up_after_saying_yes_keeps_nobody_waiting(carrier):
    async with calling(carrier) as (house, call, _, exchange):
        moving, colleague = await asked(exchange, call)
        await colleague.press("1")
        carrier.calls[colleague.side.call_id].state = carrier.over
        with pytest.raises(NotTakenError):
            await asyncio.wait_for(moving, 20)
        assert carrier.calls["call-1"].document is None and house.active == 1
        # Whoever is gone can neither be moved nor ended.
        carrier.refused.clear()


@every_provider
async def test_a_call_is_handed_over_at_once(carrier):
    async with calling(carrier) as (house, call, caller, _):
        await call.transfer(COLLEAGUE)
        mine = carrier.calls["call-1"]
        assert carrier.dialled(mine).lstrip("+") == COLLEAGUE[1:]
        await caller.end()
        await until(lambda: not house.active)
        assert mine.state == carrier.talking, "the provider has the call now: not ours to end"


@contextlib.asynccontextmanager
async def streaming(side: Side, section: dict[str, str]):
    """A caller on a provider to which there are no requests: the running conversation."""
    async with served(side.name, section, greeting="one two") as (house, address):
        url = f"ws://{address}/phone/{side.name}/stream"
        if side.name == "exotel":
            method, path, headers, body = webhook(side)
            async with httpx.AsyncClient() as client:
                response = await client.request(
                    method, f"http://{address}{path}", headers=headers, content=body
                )
            url = response.json()["url"]
        leg = Leg(side)
        talking = asyncio.create_task(leg.talk(url))
        await leg.until_heard(2 * WORD_S - 0.1)
        (session,) = house.running
        yield session._dialogue.conversation, leg
        await leg.end()
        await talking
        await until(lambda: not house.active)


async def test_the_agent_is_told_that_exotel_cannot_transfer():
    section = {"user": "exotel", "password": TOKEN}
    async with streaming(ExotelSide("call-1"), section) as (talk, _):
        for briefing in ("", BRIEFING):
            with pytest.raises(UnsupportedError, match="exotel cannot transfer"):
                await talk.call.transfer(COLLEAGUE, briefing=briefing)
            told = await transfer_call(talk, COLLEAGUE, briefing)
            assert told == "not connected: exotel cannot transfer a call"
        assert talk.call.state is CallState.TALKING


async def test_the_agent_is_told_that_genesys_cannot_ask_first_and_hands_over_without():
    section = {"api_key": GENESYS_KEY, "client_secret": GENESYS_SECRET}
    side = GenesysSide("call-1")
    async with streaming(side, section) as (talk, leg):
        with pytest.raises(UnsupportedError, match="genesys cannot ask first"):
            await talk.call.transfer(COLLEAGUE, briefing=BRIEFING)
        told = await transfer_call(talk, COLLEAGUE, BRIEFING)
        assert told == "not connected: genesys cannot ask first; leave out the briefing"
        assert talk.call.state is CallState.TALKING

        assert await transfer_call(talk, COLLEAGUE) == "connected"
        await talk.call.hang_up()
        await asyncio.wait_for(leg.closed.wait(), 10)
        (said,) = [e.message for e in leg.telephone.of(Said) if e.message["type"] == "disconnect"]
        variables = said["parameters"]["outputVariables"]
        assert variables == {"action": "transfer", "transfer_to": COLLEAGUE}
