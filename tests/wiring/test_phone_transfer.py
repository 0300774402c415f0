"""Transfers over a provider, with everything real but the provider: its streams, webhooks and
requests are played from its documentation, on sockets. No provider was called.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import re
import socket
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import numpy as np
import pytest
import uvicorn
import websockets
from fastapi import FastAPI

from agent.server.consultation import NotTakenError
from agent.server.phone import add_phone
from agent.transports.phone.call import CallState
from tests.core.phone.providers import CALLED, CALLER, PlivoSide, Side, Telephone, TwilioSide
from tests.sip.household import WORD_S, sessions

TOKEN = "a token for tests"
COLLEAGUE = "+49555"


def signature(message: str, digest=hashlib.sha1) -> str:
    return base64.b64encode(hmac.new(TOKEN.encode(), message.encode(), digest).digest()).decode()


class Leg:
    """A telephone on a provider's stream: silent, but for its keys."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.telephone = Telephone(side)
        self.closed = asyncio.Event()
        self._socket = None

    async def talk(self, url: str) -> None:
        signed = {"X-Twilio-Signature": signature(url)}
        with contextlib.suppress(websockets.ConnectionClosed):
            async with websockets.connect(url, additional_headers=signed) as self._socket:
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
        hops = track[: len(track) // 80 * 80].reshape(-1, 80).max(axis=1)
        return float((hops > 300).sum() / 100)

    async def until_heard(self, seconds: float) -> None:
        async with asyncio.timeout(20):
            while self.heard_s < seconds:  # noqa: ASYNC110 - audio has no event
                await asyncio.sleep(0.05)

    async def _speak(self) -> None:
        hush = np.zeros(160, np.int16)
        while True:
            await self._socket.send(self.side.media(hush))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await self._socket.send(await self.telephone.says.get())


class Provider:
    """A provider's HTTP interface, on loopback."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], str]] = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        headers = {k.lower(): v for k, v in (item.split(": ", 1) for item in lines)}
        body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
        method, path, _ = line.split()
        self.asked.append((method, path, headers, body))
        answer = json.dumps(await self.answer(method, path, body)).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        await writer.drain()
        writer.close()

    async def answer(self, method: str, path: str, body: str) -> dict:
        return {}


class Twilio(Provider):
    """Calls, and the conferences they meet in.

    https://www.twilio.com/docs/voice/api/call-resource: closing a stream lets the document go on
    behind `<Connect>`; another document ends the stream.
    """

    def __init__(self, fate: str = "answers") -> None:
        super().__init__()
        self.fate = fate
        self.legs: dict[str, Leg] = {}
        self.status: dict[str, str] = {}
        self.rooms: dict[str, str] = {}
        self.calls: list[dict[str, str]] = []
        self.answered = asyncio.Event()
        self._tasks: list[asyncio.Task] = []

    async def answer(self, method, path, body):
        form = {name: values[0] for name, values in parse_qs(body).items()}
        assert path.startswith("/2010-04-01/Accounts/AC1/Calls")
        if path.endswith("/Calls.json"):
            self.calls.append(form)
            sid = f"CA{len(self.calls) + 1}"
            self.status[sid] = "ringing" if self.fate == "answers" else self.fate
            if self.fate == "answers":
                self._tasks.append(asyncio.create_task(self._ring(sid, form["Twiml"])))
            return {"sid": sid, "status": "queued"}
        sid = path.rpartition("/")[2].removesuffix(".json")
        if method == "GET":
            return {"sid": sid, "status": self.status[sid]}
        if form.get("Status") == "completed":
            self.status[sid] = "completed"
        else:
            self._enter(sid, form["Twiml"])
        await self.legs[sid].end()
        return {"sid": sid}

    async def _ring(self, sid: str, document: str) -> None:
        leg = self.legs[sid] = Leg(TwilioSide(sid))
        await asyncio.sleep(0.3)
        self.status[sid] = "in-progress"
        self.answered.set()
        await leg.talk(re.search(r'<Stream url="([^"]+)"', document)[1])
        if self.status[sid] == "in-progress":
            self._enter(sid, document)

    def _enter(self, sid: str, document: str) -> None:
        assert 'endConferenceOnExit="true"' in document
        self.rooms[sid] = re.search(r">([^<>]+)</Conference>", document)[1]


@contextlib.asynccontextmanager
async def served(provider: str, credentials: dict[str, str], **options):
    """The product's webhooks and streams on a port, with models that always answer the same."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    phone = {
        "public_url": f"http://{address}",
        "transfer_to": [COLLEAGUE],
        provider: {"auth_token": TOKEN, **credentials},
    }
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


async def order(address: str, path: str, form: dict[str, str], headers: dict[str, str]) -> str:
    body = urlencode(form).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    async with httpx.AsyncClient() as client:
        response = await client.post(f"http://{address}{path}", headers=headers, content=body)
    assert response.status_code == 200, response.text
    return response.text


@contextlib.asynccontextmanager
async def calling(twilio: Twilio):
    """A caller of Twilio's who is being greeted; the server's call, and its sessions."""
    credentials = {"account_sid": "AC1", "api_url": twilio.url}
    async with served("twilio", credentials, greeting="one two") as (house, address):
        path, form = "/phone/twilio/answer", {"CallSid": "CA1", "From": CALLER, "To": CALLED}
        signed = f"http://{address}{path}" + "".join(k + form[k] for k in sorted(form))
        document = await order(address, path, form, {"X-Twilio-Signature": signature(signed)})
        leg = twilio.legs["CA1"] = Leg(TwilioSide("CA1"))
        twilio.status["CA1"] = "in-progress"
        url = re.search(r'url="([^"]+)"', document)[1]
        talking = asyncio.create_task(leg.talk(url))
        await leg.until_heard(2 * WORD_S - 0.1)
        (session,) = house.running
        yield house, session._dialogue.conversation.call, leg
        await leg.end()
        await talking


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - has no event
            await asyncio.sleep(0.05)


async def test_who_takes_the_call_meets_the_caller_in_a_conference():
    async with Twilio() as twilio, calling(twilio) as (house, call, caller):
        moving = asyncio.create_task(call.transfer(COLLEAGUE, briefing="A caller about a parcel."))
        await asyncio.wait_for(twilio.answered.wait(), 10)
        before = caller.heard_s
        colleague = twilio.legs["CA2"]
        await colleague.until_heard(5 * WORD_S)
        assert caller.heard_s > before + 0.5, "the caller waits in silence"
        assert not twilio.rooms and not moving.done()
        await colleague.press("1")
        await asyncio.wait_for(moving, 20)
        await until(lambda: not house.active)
        assert twilio.rooms["CA1"] == twilio.rooms["CA2"]
        assert call.state is CallState.TRANSFERRED
        assert twilio.status == {"CA1": "in-progress", "CA2": "in-progress"}, "nobody was cut off"
    (placed,) = twilio.calls
    assert (placed["To"], placed["From"]) == (COLLEAGUE, CALLED)
    assert twilio.asked[0][2]["authorization"].startswith("Basic ")


async def test_a_no_lets_the_caller_come_back():
    async with Twilio() as twilio, calling(twilio) as (house, call, caller):
        moving = asyncio.create_task(call.transfer(COLLEAGUE, briefing="A caller about a parcel."))
        await asyncio.wait_for(twilio.answered.wait(), 10)
        await twilio.legs["CA2"].until_heard(5 * WORD_S)
        await twilio.legs["CA2"].press("2")
        with pytest.raises(NotTakenError, match="took the call"):
            await asyncio.wait_for(moving, 20)
        assert twilio.status["CA2"] == "completed" and not twilio.rooms
        assert call.state is CallState.TALKING and house.active == 1
        assert not caller.closed.is_set()


@pytest.mark.parametrize(
    ("fate", "why"), [("busy", "busy"), ("no-answer", "nobody answered"), ("failed", "no such")]
)
async def test_who_cannot_be_reached_is_not_waited_for(fate, why):
    async with Twilio(fate) as twilio, calling(twilio) as (house, call, _):
        with pytest.raises(NotTakenError, match=why):
            await asyncio.wait_for(call.transfer(COLLEAGUE, briefing="A caller."), 15)
        assert call.state is CallState.TALKING and house.active == 1


async def test_a_caller_who_hangs_up_frees_the_one_who_is_asked():
    async with Twilio() as twilio, calling(twilio) as (house, call, caller):
        moving = asyncio.create_task(call.transfer(COLLEAGUE, briefing="A caller about a parcel."))
        await asyncio.wait_for(twilio.answered.wait(), 10)
        await twilio.legs["CA2"].until_heard(0.3)
        await caller.end()
        with pytest.raises(NotTakenError, match="hung up"):
            await asyncio.wait_for(moving, 20)
        await until(lambda: twilio.status["CA2"] == "completed" and not house.active)
        assert not twilio.rooms


async def test_who_hangs_up_after_saying_yes_keeps_nobody_waiting():
    async with Twilio() as twilio, calling(twilio) as (house, call, _):
        moving = asyncio.create_task(call.transfer(COLLEAGUE, briefing="A caller about a parcel."))
        await asyncio.wait_for(twilio.answered.wait(), 10)
        await twilio.legs["CA2"].until_heard(5 * WORD_S)
        await twilio.legs["CA2"].press("1")
        twilio.status["CA2"] = "completed"
        with pytest.raises(NotTakenError, match="hung up"):
            await asyncio.wait_for(moving, 20)
        assert "CA1" not in twilio.rooms and house.active == 1


async def test_plivo_asks_where_a_transferred_call_goes():
    def signed(url, form):
        params = "".join(k + form[k] for k in sorted(form))
        nonce = "12345"
        proof = signature(f"{url}?{params}.{nonce}", hashlib.sha256)
        return {"X-Plivo-Signature-V3-Nonce": nonce, "X-Plivo-Signature-V3": proof}

    async with Provider() as plivo:
        credentials = {"auth_id": "MA1", "api_url": plivo.url}
        async with served("plivo", credentials, greeting="one two") as (house, address):
            path, form = "/phone/plivo/answer", {"CallUUID": "C1", "From": CALLER, "To": CALLED}
            document = await order(address, path, form, signed(f"http://{address}{path}", form))
            leg = Leg(PlivoSide("C1"))
            url = re.search(r">(ws://[^<]+)</Stream>", document)[1]
            talking = asyncio.create_task(leg.talk(url))
            await leg.until_heard(2 * WORD_S - 0.1)
            (session,) = house.running
            call = session._dialogue.conversation.call
            await call.transfer(COLLEAGUE)
            (asked,) = plivo.asked
            assert asked[:2] == ("POST", "/v1/Account/MA1/Call/C1/")
            wanted = json.loads(asked[3])
            assert (wanted["legs"], wanted["aleg_method"]) == ("aleg", "POST")
            target = wanted["aleg_url"]
            async with httpx.AsyncClient() as client:
                assert (await client.post(target, data=form)).status_code == 403
            there = urlsplit(target).path
            again = await order(address, there, form, signed(target, form))
            assert f"<Dial><Number>{COLLEAGUE}</Number></Dial>" in again
            with pytest.raises(AssertionError):
                await order(address, there, form, signed(target, form))  # good once
            await leg.end()
            await talking
            await until(lambda: not house.active)
        # The provider has the call now: it is not ours to end.
        assert len(plivo.asked) == 1
