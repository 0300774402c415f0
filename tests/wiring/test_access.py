"""Who gets in, over real sockets; the models answer at once."""

import asyncio
import json
import signal
import ssl
import urllib.error
import urllib.request

import pytest
import websockets

from agent.__main__ import main
from agent.errors import SettingsError
from agent.server import connections
from agent.server.serve import listen
from agent.settings import ServerSettings
from tests.certificates import certificate
from tests.live import LiveServer
from tests.wiring.listening_app import served

KEY = "a-key-of-some-length"
INSTANT = ("-m", "benchmarks.instant")


def instant(**environ):
    live = LiveServer(*INSTANT, **environ)
    live.wait_ready()
    return live


@pytest.fixture(scope="module")
def guarded():
    live = instant(DUPLEX_SERVER__KEYS=KEY)
    yield live
    live.stop()


def ask(url, method="GET", key=None, body=None, context=None):
    request = urllib.request.Request(url, method=method, data=body)
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def stream(server, query="", **options):
    url = server.url.replace("http", "ws", 1) + f"v1/stream?events=all{query}"
    return websockets.connect(url, **options)


async def status_of(connecting):
    try:
        async with connecting as socket:
            return json.loads(await socket.recv())["type"]
    except websockets.InvalidStatus as refused:
        return refused.response.status_code


async def test_every_door_wants_the_key(guarded):
    for method, path in (
        ("GET", "api/status"),
        ("POST", "api/tokens"),
        ("POST", "api/offer"),
    ):
        body = b'{"type": "offer", "sdp": "x"}' if path == "api/offer" else None
        assert ask(guarded.url + path, method, body=body)[0] == 401, path
        assert ask(guarded.url + path, method, "wrong", body)[0] == 401, path
        assert ask(guarded.url + path, method, KEY, body)[0] in (200, 400), path
    assert await status_of(stream(guarded)) == 401
    assert await status_of(stream(guarded, f"&token={KEY}")) == 401
    headers = {"Authorization": f"Bearer {KEY}"}
    assert await status_of(stream(guarded, additional_headers=headers)) == "ready"


async def test_a_token_is_good_once(guarded):
    token = json.loads(ask(guarded.url + "api/tokens", "POST", KEY)[1])["token"]
    assert await status_of(stream(guarded, f"&token={token}")) == "ready"
    assert await status_of(stream(guarded, f"&token={token}")) == 401


def test_what_a_probe_and_a_page_need_is_open(guarded):
    for path in ("", "healthz", "readyz", "web/access.js"):
        assert ask(guarded.url + path)[0] == 200


def test_without_a_key_it_does_not_listen_to_the_network(capsys):
    assert main(["serve", "--host", "0.0.0.0", "--port", "0"]) == 1
    assert "DUPLEX_SERVER__KEYS" in capsys.readouterr().err


async def test_https_and_wss_by_configuration(tmp_path):
    made = str(certificate(tmp_path))
    live = instant(DUPLEX_SERVER__CERTIFICATE=made, DUPLEX_SERVER__KEY_FILE=made)
    try:
        live.address = live.address.replace("127.0.0.1", "localhost")
        trusted = ssl.create_default_context(cafile=made)
        assert live.url.startswith("https://")
        assert ask(live.url + "api/status", context=trusted)[0] == 200
        assert await status_of(stream(live, ssl=trusted)) == "ready"
    finally:
        live.stop()


def test_a_certificate_that_is_none_is_told_at_the_start(tmp_path):
    (tmp_path / "cert.pem").write_text("none")
    settings = ServerSettings(certificate=tmp_path / "cert.pem", key_file=tmp_path / "cert.pem")
    with pytest.raises(SettingsError, match="PEM"):
        listen(settings)


async def test_told_to_stop_it_lets_who_talks_finish_takes_nobody_and_succeeds():
    # The answer lasts two seconds, the server may take ten.
    live = LiveServer(*INSTANT, "--answer-s", "2", DUPLEX_AGENT__GREETING="")
    live.wait_ready()
    async with stream(live) as socket:
        assert json.loads(await socket.recv())["type"] == "ready"
        await socket.send('{"type": "text", "text": "Hello?"}')
        heard, told = 0, False
        async for message in socket:
            heard += len(message) if isinstance(message, bytes) else 0
            if heard and not told:
                told = True
                live.process.send_signal(signal.SIGTERM)
                while ask(live.url + "readyz")[0] != 503:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.01)
                assert await status_of(stream(live)) == 503
    assert heard >= 2 * 1.9 * 16_000
    assert live.wait() == 0


async def test_where_the_machine_decides_two_are_let_in_at_once_and_go_on_though_more_knock():
    live = instant(DUPLEX_SERVER__MAX_SESSIONS="auto", DUPLEX_AGENT__GREETING="")
    try:
        async with stream(live) as one, stream(live) as other:
            for socket in (one, other):
                assert json.loads(await socket.recv())["type"] == "ready"
            # Sooner than it shows what these two cost.
            for _ in range(3):
                with pytest.raises(websockets.InvalidStatus) as refused:
                    await stream(live).__aenter__()
                assert refused.value.response.status_code == 503
                assert 5 <= int(refused.value.response.headers["Retry-After"]) <= 15
            for socket in (one, other):
                await socket.send('{"type": "text", "text": "Hello?"}')
                assert await answered(socket)
        async with asyncio.timeout(30):
            # Both places are free again as soon as both conversations have ended.
            while await status_of(stream(live)) != "ready":  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
    finally:
        live.stop()


async def answered(socket):
    """The speech of an answer, to its end."""
    heard = b""
    async with asyncio.timeout(30):
        async for message in socket:
            if isinstance(message, bytes):
                heard += message
            elif json.loads(message)["type"] == "turn":
                return heard
    return None


async def _closed(reader):
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


async def test_a_request_that_never_ends_is_hung_up_on(monkeypatch):
    monkeypatch.setattr(connections, "_REQUEST_S", 0.2)
    async with served(_answering, **connections.options(ServerSettings())) as url:
        port = int(url.rpartition(":")[2])
        for sent in (
            b"",
            b"GET / HTTP/1.1\r\nHost: a\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n12",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            assert await _closed(reader), sent
            writer.close()


async def test_more_connections_than_may_be_are_closed_unheard(monkeypatch):
    settings = ServerSettings(max_connections=8)
    async with served(_answering, **connections.options(settings)) as url:
        port = int(url.rpartition(":")[2])
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
        for reader, writer in kept:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await _closed(reader)
        writer.close()
        for _, writer in kept:
            writer.close()


async def _answering(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"yes"})
