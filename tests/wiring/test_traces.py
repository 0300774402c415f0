"""Traces as a collector gets them: over HTTP, from the exporter of the settings."""

import asyncio
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import websockets
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agent.errors import SettingsError
from agent.observe.record import TurnRecorder
from agent.server.tracing import traces
from agent.settings import TraceSettings, load
from tests.live import LiveServer


@pytest.fixture
def collector():
    """Takes OTLP on the loopback: its address, and what has come."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(
                (self.path, self.headers["x-key"], ExportTraceServiceRequest.FromString(body))
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    thread.join()
    server.server_close()


def hold_a_conversation(found):
    recorder = TurnRecorder()
    trace = found.conversation(recorder, session="abc", channel="websocket")
    recorder.begin(text="hello", start=None, end=0, decision={"kind": "TYPED"})
    recorder.mark("first_audio")
    trace.end()
    found.close()


async def test_a_server_sends_each_conversation_to_the_address_of_the_settings(collector):
    address, got = collector
    live = LiveServer(
        *("-m", "benchmarks.instant"),
        DUPLEX_AGENT__GREETING="",
        DUPLEX_TRACES__ENABLED="true",
        DUPLEX_TRACES__ENDPOINT=f"{address}/",
    )
    live.wait_ready()
    try:
        url = live.url.replace("http", "ws", 1) + "v1/stream?events=all"
        async with websockets.connect(url) as socket, asyncio.timeout(30):
            await socket.send(json.dumps({"type": "text", "text": "swordfish"}))
            async for message in socket:
                if isinstance(message, str) and json.loads(message)["type"] == "turn":
                    break
    finally:
        live.stop()
    assert {path for path, _, _ in got} == {"/v1/traces"}
    resources = [resource for _, _, request in got for resource in request.resource_spans]
    about = {pair.key: pair.value.string_value for pair in resources[0].resource.attributes}
    assert about["service.name"] == "duplex"
    names = {
        s.name for resource in resources for scope in resource.scope_spans for s in scope.spans
    }
    assert names >= {"conversation", "turn", "decided", "first_token", "first_audio", "heard"}
    assert "swordfish" not in str(got)


def test_the_standard_variables_say_where_with_which_key_and_under_which_name(
    collector, monkeypatch
):
    address, got = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "front desk")
    hold_a_conversation(traces(load(environ={"DUPLEX_TRACES__ENABLED": "true"}).traces))
    ((path, key, request),) = got
    assert (path, key) == ("/v1/traces", "secret")
    assert "front desk" in str(request.resource_spans[0].resource)


def test_they_are_off_unless_wanted_and_then_cost_no_import():
    code = (
        "import sys; from agent.server.tracing import traces; from agent.settings import load; "
        "print(traces(load(environ={}).traces), 'opentelemetry' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["None", "False"]


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "agent.observe.traces", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"duplex-voice\[tracing\]"):
        traces(TraceSettings(enabled=True))
