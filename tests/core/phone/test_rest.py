"""Requests to a provider's interface, as a web server receives them."""

import asyncio
import base64
import json
from urllib.parse import parse_qs

import pytest

from agent.errors import SettingsError
from agent.settings import PhoneSettings
from agent.transports.phone import rest as requests
from agent.transports.phone.call import CallFacts, Direction
from agent.transports.phone.rest import TransferError


def rest(settings, name):
    return requests.rest(settings, name, lambda to: f"https://voice.example/connect/{to}")


def call(name):
    return CallFacts(name, "x", "+491", "+492")


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
            "plivo": {"auth_token": "secret", "auth_id": "MA1", "api_url": url},
        }
    )


async def test_twilio_is_asked_to_transfer_and_to_hang_up():
    async with Provider(200) as provider:
        twilio = rest(settings(provider.url), "twilio")
        await twilio.transfer(call("CA1"), "+1<2")
        await twilio.hang_up("CA/1")
    (line, headers, body), (second, _, ended) = provider.asked
    assert line == "POST /2010-04-01/Accounts/AC1/Calls/CA1.json HTTP/1.1"
    assert headers["authorization"] == "Basic " + base64.b64encode(b"AC1:secret").decode()
    assert parse_qs(body) == {"Twiml": ["<Response><Dial>+1&lt;2</Dial></Response>"]}
    assert "Calls/CA%2F1.json" in second and parse_qs(ended) == {"Status": ["completed"]}


async def test_telnyx_is_asked_to_transfer_and_to_hang_up():
    async with Provider(200) as provider:
        telnyx = rest(settings(provider.url), "telnyx")
        await telnyx.transfer(call("v3:abc"), "+12")
        await telnyx.hang_up("v3:abc")
    (line, headers, body), (second, _, _) = provider.asked
    assert line == "POST /v2/calls/v3%3Aabc/actions/transfer HTTP/1.1"
    assert headers["authorization"] == "Bearer KEY" and json.loads(body) == {"to": "+12"}
    assert "actions/hangup" in second


async def test_plivo_is_told_where_to_ask_and_to_hang_up():
    async with Provider(202) as provider:
        plivo = rest(settings(provider.url), "plivo")
        await plivo.transfer(call("ab/1"), "+12")
        await plivo.hang_up("ab/1")
    (line, headers, body), (second, _, _) = provider.asked
    assert line == "POST /v1/Account/MA1/Call/ab%2F1/ HTTP/1.1"
    assert headers["authorization"] == "Basic " + base64.b64encode(b"MA1:secret").decode()
    assert json.loads(body) == {
        "legs": "aleg",
        "aleg_url": "https://voice.example/connect/+12",
        "aleg_method": "POST",
    }
    assert second == "DELETE /v1/Account/MA1/Call/ab%2F1/ HTTP/1.1"


def vonage(url, key):
    section = {
        "signature_secret": "s",
        "application_id": "app-1",
        "private_key": str(key),
        "api_url": url,
    }
    made = {"public_url": "https://voice.example", "vonage": section}
    return rest(PhoneSettings.model_validate(made), "vonage")


async def test_vonage_is_asked_by_the_application_itself(tmp_path):
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.hashes import SHA256

    key = generate_private_key(65537, 2048)
    pem = tmp_path / "private.key"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    async with Provider(204) as provider:
        ours = vonage(provider.url, pem)
        await ours.transfer(call("u-1"), "+12")
        out = CallFacts("u-2", "vonage", "+493", "+494", Direction.OUTBOUND)
        await ours.transfer(out, "sip:desk@pbx.example")
        await ours.hang_up("u-1")
    (line, headers, body), (_, _, other), (_, _, ended) = provider.asked
    assert line == "PUT /v1/calls/u-1 HTTP/1.1"
    ncco = [{"action": "connect", "endpoint": [{"type": "phone", "number": "12"}], "from": "492"}]
    destination = {"type": "ncco", "ncco": ncco}
    assert json.loads(body) == {"action": "transfer", "destination": destination}
    (connect,) = json.loads(other)["destination"]["ncco"]
    assert connect["endpoint"] == [{"type": "sip", "uri": "sip:desk@pbx.example"}]
    assert connect["from"] == "493" and json.loads(ended) == {"action": "hangup"}
    signed, _, proof = headers["authorization"].removeprefix("Bearer ").rpartition(".")
    padded = [part + "=" * (-len(part) % 4) for part in (*signed.split("."), proof)]
    head, claims, signature = map(base64.urlsafe_b64decode, padded)
    # Raises if it was not this key.
    key.public_key().verify(signature, signed.encode(), PKCS1v15(), SHA256())
    assert json.loads(head)["alg"] == "RS256"
    claims = json.loads(claims)
    assert claims["application_id"] == "app-1" and claims["exp"] == claims["iat"] + 60


def test_a_key_of_vonages_that_is_none_is_told_at_the_start(tmp_path):
    pytest.importorskip("cryptography")
    with pytest.raises(SettingsError, match="private_key"):
        vonage("http://127.0.0.1:9", tmp_path / "missing.key")
    (tmp_path / "wrong.key").write_text("no key")
    with pytest.raises(SettingsError, match="private_key"):
        vonage("http://127.0.0.1:9", tmp_path / "wrong.key")


async def test_a_refused_transfer_leaves_the_call_and_says_so():
    async with Provider(422) as provider:
        for name in ("twilio", "telnyx", "plivo"):
            with pytest.raises(TransferError):
                await rest(settings(provider.url), name).transfer(call("1"), "+1")
            # A call that is over cannot be ended again: no error.
            await rest(settings(provider.url), name).hang_up("1")


async def test_an_unreachable_provider_is_no_crash():
    twilio = rest(settings("http://127.0.0.1:9"), "twilio")
    await twilio.hang_up("CA1")
    with pytest.raises(TransferError):
        await twilio.transfer(call("CA1"), "+1")


def test_without_credentials_there_is_nothing_to_ask_with():
    bare = PhoneSettings.model_validate(
        {"public_url": "https://voice.example", "twilio": {"auth_token": "secret"}}
    )
    assert rest(bare, "twilio") is None and rest(bare, "plivo") is None


def test_a_provider_needs_a_public_address():
    with pytest.raises(ValueError, match="public_url"):
        PhoneSettings.model_validate({"twilio": {"auth_token": "secret"}})
