"""A client whose connection broke goes on with the same conversation."""

import asyncio
import json
import urllib.request

import pytest
import websockets

from tests.live import LiveServer

RATE = 16_000


@pytest.fixture(scope="module")
def server():
    # Ten clauses' worth: long enough to be lost in the middle of an answer.
    live = LiveServer("-m", "benchmarks.instant", "--answer-s", "2", DUPLEX_AGENT__GREETING="")
    live.wait_ready()
    yield live
    live.stop()


def stream(server, resume=""):
    url = server.url.replace("http", "ws", 1) + f"v1/stream?events=all&resume={resume}"
    return websockets.connect(url)


async def ready(socket):
    event, _ = await until(socket, lambda event: event["type"] == "ready")
    return event


async def until(socket, wanted):
    """Events up to the wanted one, and the bytes of audio between."""
    audio = 0
    async for message in socket:
        if isinstance(message, bytes):
            audio += len(message)
        elif wanted(event := json.loads(message)):
            return event, audio
    raise AssertionError("the socket was closed")


def answered(event):
    return event["type"] == "turn"


def metric(server, name):
    with urllib.request.urlopen(server.url + "metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def say(socket, text="Hello?"):
    await socket.send(json.dumps({"type": "text", "text": text}))


async def active(server, count):
    async with asyncio.timeout(20):
        while server.status()["sessions"]["active"] != count:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def test_a_broken_connection_goes_on_where_the_answer_was_lost(server):
    begun = metric(server, "duplex_sessions_total")
    socket = await stream(server)
    first = await ready(socket)
    assert not first["resumed"]
    await say(socket)
    await until(socket, answered)
    await say(socket)
    heard = 0
    while heard < RATE:
        message = await socket.recv()
        heard += len(message) if isinstance(message, bytes) else 0
    socket.transport.abort()

    async with stream(server, first["resume"]) as again:
        second = await ready(again)
        assert second["resumed"] and second["session"] == first["session"]
        event, rest = await until(again, answered)
        # What was under way when the line broke is lost; nothing is said twice.
        assert 2 * 2 * RATE * 0.8 <= heard + rest <= 2 * 2 * RATE * 1.05
        assert event["turn"] == 2
        await say(again)
        event, _ = await until(again, answered)
        assert event["turn"] == 3
    await active(server, 0)
    assert metric(server, "duplex_sessions_total") == begun + 1


async def test_a_client_that_notices_first_takes_its_conversation_over(server):
    async with stream(server) as socket:
        first = await ready(socket)
        async with stream(server, first["resume"]) as again:
            assert (await ready(again))["session"] == first["session"]
            await say(again)
            await until(again, answered)
    await active(server, 0)


@pytest.mark.parametrize("how", ["end", "close"])
async def test_who_leaves_on_purpose_is_not_waited_for(server, how):
    socket = await stream(server)
    first = await ready(socket)
    if how == "end":
        await socket.send('{"type": "end"}')
        await socket.wait_closed()
    else:
        await socket.close()
    await active(server, 0)
    async with stream(server, first["resume"]) as again:
        second = await ready(again)
        assert not second["resumed"] and second["session"] != first["session"]
    await active(server, 0)


async def test_a_wrong_key_begins_a_new_conversation(server):
    async with stream(server, "guessed") as socket:
        assert not (await ready(socket))["resumed"]
    await active(server, 0)


async def test_nobody_is_waited_for_longer_than_the_settings_say():
    live = LiveServer("-m", "benchmarks.instant", DUPLEX_SERVER__REJOIN_S="0.2")
    live.wait_ready()
    try:
        socket = await stream(live)
        await ready(socket)
        socket.transport.abort()
        await active(live, 0)
    finally:
        live.stop()


def answering(server):
    """What puts an offer to the server, and returns its answer."""

    def post(offer):
        request = urllib.request.Request(
            server.url + "api/offer",
            json.dumps(offer).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    async def answer(offer, **extra):
        return await asyncio.to_thread(post, {**offer, **extra})

    return answer


async def test_a_broken_peer_goes_on_over_another_connection(server):
    pytest.importorskip("aiortc", reason='needs the extra: pip install "duplex-voice[webrtc]"')
    import numpy as np

    from tests.wiring.webrtc_peers import PACKET, Caller, Microphone

    answer = answering(server)

    async def event(caller, wanted):
        async with asyncio.timeout(30):
            while (told := json.loads(await caller.messages.get()))["type"] != wanted:
                pass
        return told

    first = Caller(Microphone(np.zeros(PACKET * 500, np.int16)))
    await first.call(answer)
    ready = await event(first, "ready")
    first.channel.send('{"type": "text", "text": "Hello?"}')
    assert (await event(first, "turn"))["turn"] == 1
    await first.pc.close()

    again = Caller(Microphone(np.zeros(PACKET * 500, np.int16)))
    await again.call(answer, pc_id=first.pc_id, restart_pc=True)
    resumed = await event(again, "ready")
    assert resumed["resumed"] and resumed["session"] == ready["session"]
    again.channel.send('{"type": "text", "text": "And?"}')
    assert (await event(again, "turn"))["turn"] == 2
    again.channel.send('{"type": "end"}')
    await active(server, 0)
    await again.close()


async def test_a_peer_without_a_path_goes_on_over_a_socket_and_another_one(server):
    pytest.importorskip("aiortc", reason='needs the extra: pip install "duplex-voice[webrtc]"')
    import numpy as np

    from tests.wiring.webrtc_peers import PACKET, Caller, Microphone

    answer = answering(server)
    begun = metric(server, "duplex_sessions_total")
    caller = Caller(Microphone(np.zeros(PACKET * 500, np.int16)))
    await caller.call(answer)
    async with asyncio.timeout(30):
        while (first := json.loads(await caller.messages.get()))["type"] != "ready":
            pass

    url = server.url.replace("http", "ws", 1) + "v1/stream?events=all&sample_rate=24000"
    # The page has noticed first; and a socket breaks like any other.
    for turn in (1, 2):
        socket = await websockets.connect(f"{url}&resume={first['resume']}")
        again = await ready(socket)
        assert again["resumed"] and again["session"] == first["session"]
        await say(socket)
        event, audio = await until(socket, answered)
        assert event["turn"] == turn
        assert audio == pytest.approx(2 * 2 * 24_000, rel=0.05)
        socket.transport.abort()
    await caller.pc.close()
    await asyncio.sleep(0.5)
    assert server.status()["sessions"]["active"] == 1

    async with stream(server, first["resume"]) as other:
        # At another rate it is another conversation's.
        assert not (await ready(other))["resumed"]
    socket = await websockets.connect(f"{url}&resume={first['resume']}")
    await ready(socket)
    await socket.send('{"type": "end"}')
    await active(server, 0)
    assert metric(server, "duplex_sessions_total") == begun + 2
