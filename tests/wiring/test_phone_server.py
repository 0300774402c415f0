"""Telephone providers ring the real server, over real sockets, and its real models answer.

The providers are played from their documentation (`tests/core/phone/providers.py`).
"""

import asyncio
import re

import httpx
import pytest
import websockets

from tests.core.phone.providers import (
    CALLER,
    ExotelSide,
    GenesysSide,
    PlivoSide,
    TelnyxSide,
    TwilioSide,
    VonageSide,
)
from tests.live import LiveServer
from tests.speech import dialogue, understood
from tests.wiring.phone_peers import (
    ENVIRONMENT,
    Caller,
    ordered_stream,
    upgrade_headers,
    webhook,
)

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def server():
    with pytest.MonkeyPatch.context() as environment:
        for name, value in ENVIRONMENT.items():
            environment.setenv(name, value)
        environment.setenv("DUPLEX_AGENT__GREETING", "")
        live = LiveServer()
        live.wait_ready()
        yield live
        live.stop()


@pytest.mark.parametrize(
    "sides",
    [(TwilioSide, GenesysSide), (TelnyxSide, ExotelSide), (PlivoSide, VonageSide)],
    ids=lambda sides: "-".join(side.name for side in sides),
)
async def test_two_callers_at_once_are_answered_each_with_its_own(server, sides):
    # Either word shows whose answer it is; a small model does not always name both.
    asked = {"France": {"paris", "france"}, "Italy": {"rome", "italy"}}
    callers = [
        Caller(side(), server.url).ask(dialogue(0.4, f"What is the capital of {country}?"))
        for side, country in zip(sides, asked, strict=True)
    ]
    for heard, own in zip(await asyncio.gather(*callers), asked.values(), strict=True):
        words = set(re.findall("[a-z]+", understood(heard).lower()))
        assert words & own, f"{sorted(words)}\n{server.log()}"
        assert not any(words & other for other in asked.values() if other is not own)
    assert CALLER[1:] not in server.log()


@pytest.mark.parametrize("side", [TwilioSide, TelnyxSide, PlivoSide, VonageSide, ExotelSide])
async def test_a_webhook_without_its_signature_is_refused(server, side):
    method, path, headers, body = webhook(side())
    plain = {"Content-Type": headers.get("Content-Type", "text/plain")}
    async with httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.request(method, path, headers=headers, content=body)).is_success
        refused = await client.request(method, path, headers=plain, content=body)
        assert refused.status_code == 403
        if method == "POST":
            changed = await client.post(path, headers=headers, content=body + b"&x=y")
            assert changed.status_code == 403
            huge = await client.post(path, headers=headers, content=b"x" * 70_000)
            assert huge.status_code == 413


async def refused(server, path, headers=None):
    url = server.url.replace("http", "ws").rstrip("/") + path
    with pytest.raises(websockets.InvalidStatus) as error:
        await websockets.connect(url, additional_headers=headers or {})
    return error.value.response.status_code


async def test_a_stream_nobody_ordered_is_refused(server):
    for name in ("twilio", "telnyx", "plivo", "exotel", "vonage"):
        assert await refused(server, f"/phone/{name}/stream/guess") == 403
    assert await refused(server, "/phone/genesys/stream") == 403
    assert await refused(server, "/phone/nobody/stream/x") in (403, 404)


async def test_an_ordered_stream_is_taken_once_and_signed(server):
    side = TwilioSide()
    path = await ordered_stream(server.url, side)
    assert await refused(server, path) == 403
    # The failed attempt has used the address up: whoever knows it gets one try.
    assert await refused(server, path, upgrade_headers(side, path)) == 403


async def test_a_stream_of_another_call_than_announced_is_closed(server):
    side, other = TwilioSide(), TwilioSide()
    path = await ordered_stream(server.url, side)
    url = server.url.replace("http", "ws").rstrip("/") + path
    async with websockets.connect(url, additional_headers=upgrade_headers(side, path)) as socket:
        for message in other.begin():
            await socket.send(message)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == 1008


async def test_when_all_lines_are_taken_the_caller_hears_busy(server):
    limit = server.status()["sessions"]["limit"]
    url = server.url.replace("http", "ws") + "v1/stream"
    others = [await websockets.connect(url) for _ in range(limit)]
    try:
        async with asyncio.timeout(30):
            while server.status()["sessions"]["active"] != limit:  # noqa: ASYNC110 - a process
                await asyncio.sleep(0.05)
        method, path, headers, body = webhook(TwilioSide())
        async with httpx.AsyncClient(base_url=server.url) as client:
            answer = await client.request(method, path, headers=headers, content=body)
        assert '<Reject reason="busy"/>' in answer.text
    finally:
        for other in others:
            await other.close()


def test_a_provider_that_is_not_set_up_is_not_served():
    from agent.server.app import build_app
    from agent.settings import Settings

    class NoSessions:
        settings = Settings()
        admission = None

    paths = {getattr(route, "path", "") for route in build_app(NoSessions()).routes}
    assert not any(path.startswith("/phone") for path in paths)
