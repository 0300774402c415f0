"""Requests to a provider's interface, as a web server receives them."""

import asyncio
import base64
import json
from urllib.parse import parse_qs

import pytest

from agent.settings import PhoneSettings
from agent.transports.phone.rest import TransferError, rest


class Provider:
    """Answers every request with one status, and keeps them."""

    def __init__(self, status):
        self._status = status
        self.asked = []

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
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.asked.append((line, headers, body.decode()))
        writer.write(f"HTTP/1.1 {self._status} X\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()


def settings(url):
    return PhoneSettings.model_validate(
        {
            "public_url": "https://voice.example",
            "twilio": {"auth_token": "secret", "account_sid": "AC1", "api_url": url},
            "telnyx": {"public_key": "x", "api_key": "KEY", "api_url": url},
        }
    )


async def test_twilio_is_asked_to_transfer_and_to_hang_up():
    async with Provider(200) as provider:
        twilio = rest(settings(provider.url), "twilio")
        await twilio.transfer("CA1", "+1<2")
        await twilio.hang_up("CA/1")
    (line, headers, body), (second, _, ended) = provider.asked
    assert line == "POST /2010-04-01/Accounts/AC1/Calls/CA1.json HTTP/1.1"
    assert headers["authorization"] == "Basic " + base64.b64encode(b"AC1:secret").decode()
    assert parse_qs(body) == {"Twiml": ["<Response><Dial>+1&lt;2</Dial></Response>"]}
    assert "Calls/CA%2F1.json" in second and parse_qs(ended) == {"Status": ["completed"]}


async def test_telnyx_is_asked_to_transfer_and_to_hang_up():
    async with Provider(200) as provider:
        telnyx = rest(settings(provider.url), "telnyx")
        await telnyx.transfer("v3:abc", "+12")
        await telnyx.hang_up("v3:abc")
    (line, headers, body), (second, _, _) = provider.asked
    assert line == "POST /v2/calls/v3%3Aabc/actions/transfer HTTP/1.1"
    assert headers["authorization"] == "Bearer KEY" and json.loads(body) == {"to": "+12"}
    assert "actions/hangup" in second


async def test_a_refused_transfer_leaves_the_call_and_says_so():
    async with Provider(422) as provider:
        for name in ("twilio", "telnyx"):
            with pytest.raises(TransferError):
                await rest(settings(provider.url), name).transfer("1", "+1")
            # A call that is over cannot be ended again: no error.
            await rest(settings(provider.url), name).hang_up("1")


async def test_an_unreachable_provider_is_no_crash():
    twilio = rest(settings("http://127.0.0.1:9"), "twilio")
    await twilio.hang_up("CA1")
    with pytest.raises(TransferError):
        await twilio.transfer("CA1", "+1")


def test_without_credentials_there_is_nothing_to_ask_with():
    bare = PhoneSettings.model_validate(
        {"public_url": "https://voice.example", "twilio": {"auth_token": "secret"}}
    )
    assert rest(bare, "twilio") is None and rest(bare, "plivo") is None


def test_a_provider_needs_a_public_address():
    with pytest.raises(ValueError, match="public_url"):
        PhoneSettings.model_validate({"twilio": {"auth_token": "secret"}})
