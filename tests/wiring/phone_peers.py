"""A provider over real sockets: signs its webhook, opens the stream, and is a telephone."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import numpy as np
import websockets
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.audio.chunk import Int16Array
from agent.audio.resample import resample
from tests.core.phone.carriers import TOKEN
from tests.core.phone.providers import CALLED, CALLER, Side, Telephone

PUBLIC = "https://voice.example"
GENESYS_KEY = base64.b64encode(b"key for tests").decode()
GENESYS_SECRET = base64.b64encode(TOKEN.encode()).decode()
TELNYX = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TELNYX_KEY = base64.b64encode(TELNYX.public_key().public_bytes_raw()).decode()

ENVIRONMENT = {
    "DUPLEX_PHONE__PUBLIC_URL": PUBLIC,
    "DUPLEX_PHONE__TWILIO__AUTH_TOKEN": TOKEN,
    "DUPLEX_PHONE__TELNYX__PUBLIC_KEY": TELNYX_KEY,
    "DUPLEX_PHONE__PLIVO__AUTH_TOKEN": TOKEN,
    "DUPLEX_PHONE__EXOTEL__USER": "exotel",
    "DUPLEX_PHONE__EXOTEL__PASSWORD": TOKEN,
    "DUPLEX_PHONE__VONAGE__SIGNATURE_SECRET": TOKEN,
    "DUPLEX_PHONE__GENESYS__API_KEY": GENESYS_KEY,
    "DUPLEX_PHONE__GENESYS__CLIENT_SECRET": GENESYS_SECRET,
}


def _hmac(message: str, digest: Any = hashlib.sha256) -> str:
    return base64.b64encode(hmac.new(TOKEN.encode(), message.encode(), digest).digest()).decode()


def _twilio(url: str, form: dict[str, str]) -> str:
    return _hmac(url + "".join(k + form[k] for k in sorted(form)), hashlib.sha1)


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def webhook(side: Side) -> tuple[str, str, dict[str, str], bytes]:
    """Method, path, headers and body as the provider sends them, signed."""
    path = f"/phone/{side.name}/answer"
    if side.name == "exotel":
        query = urlencode({"CallSid": side.call_id, "CallFrom": CALLER, "CallTo": CALLED})
        basic = base64.b64encode(f"exotel:{TOKEN}".encode()).decode()
        return "GET", f"{path}?{query}", {"Authorization": f"Basic {basic}"}, b""
    headers, body = asking(side.name, PUBLIC + path, side.call_id, CALLER, CALLED)
    return "POST", path, headers, body


def asking(
    provider: str, url: str, call_id: str, caller: str, called: str
) -> tuple[dict[str, str], bytes]:
    """Headers and body of a provider that asks at `url` what to do with a call, signed."""
    form = {"CallSid": call_id, "From": caller, "To": called}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    match provider:
        case "twilio":
            headers["X-Twilio-Signature"] = _twilio(url, form)
        case "telnyx":
            stamp = str(int(time.time()))
            signature = TELNYX.sign(stamp.encode() + b"|" + urlencode(form).encode())
            headers["Telnyx-Timestamp"] = stamp
            headers["Telnyx-Signature-Ed25519"] = base64.b64encode(signature).decode()
        case "plivo":
            form = {"CallUUID": call_id, "From": caller, "To": called}
            params = "".join(k + form[k] for k in sorted(form))
            headers["X-Plivo-Signature-V3-Nonce"] = "12345"
            headers["X-Plivo-Signature-V3"] = _hmac(f"{url}?{params}.12345")
        case "vonage":
            body = json.dumps({"uuid": call_id, "from": caller, "to": called}).encode()
            claims = {"iat": int(time.time()), "payload_hash": hashlib.sha256(body).hexdigest()}
            parts = [{"alg": "HS256", "typ": "JWT"}, claims]
            signed = ".".join(_b64url(json.dumps(part).encode()) for part in parts)
            mac = hmac.new(TOKEN.encode(), signed.encode(), hashlib.sha256).digest()
            bearer = f"Bearer {signed}.{_b64url(mac)}"
            return {"Content-Type": "application/json", "Authorization": bearer}, body
    return headers, urlencode(form).encode()


async def ordered_stream(server_url: str, side: Side) -> str:
    """Ask what to do with a call; the path of the stream we are to open."""
    method, path, headers, body = webhook(side)
    async with httpx.AsyncClient() as client:
        response = await client.request(
            method, server_url.rstrip("/") + path, headers=headers, content=body
        )
    assert response.status_code == 200, response.text
    found = re.search(r"wss://voice\.example(/phone/[A-Za-z0-9_/\-]+)", response.text)
    assert found, response.text
    return found[1]


def upgrade_headers(side: Side, path: str, public: str = "wss://voice.example") -> dict[str, str]:
    """What the provider signs its WebSocket's upgrade with."""
    if side.name == "twilio":
        return {"X-Twilio-Signature": _twilio(public + path, {})}
    if side.name != "genesys":
        return {}
    names = ("organization-id", "session-id", "correlation-id")
    headers = {f"Audiohook-{name}": str(uuid.uuid4()) for name in names}
    headers["X-API-KEY"] = GENESYS_KEY
    covered = ["@request-target", "@authority", *(f"audiohook-{n}" for n in names), "x-api-key"]
    now = int(time.time())
    quoted = " ".join(f'"{name}"' for name in covered)
    params = (
        f'({quoted});keyid="{GENESYS_KEY}";nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";'
        f'alg="hmac-sha256";created={now};expires={now + 10}'
    )
    lowered = {name.lower(): value for name, value in headers.items()}
    values = {"@request-target": path, "@authority": urlsplit(public).netloc, **lowered}
    base = "\n".join([*(f'"{n}": {values[n]}' for n in covered), f'"@signature-params": {params}'])
    headers["Signature-Input"] = f"sig1={params}"
    headers["Signature"] = f"sig1=:{_hmac(base)}:"
    return headers


@dataclass
class Caller:
    """Calls, asks, listens."""

    side: Side
    server_url: str
    telephone: Telephone = field(init=False)
    origin_s: float = 0.0

    def __post_init__(self) -> None:
        self.telephone = Telephone(self.side)

    async def path(self) -> str:
        if self.side.name == "genesys":
            return "/phone/genesys/stream"
        return await ordered_stream(self.server_url, self.side)

    async def ask(self, speech: Int16Array, patience_s: float = 90.0) -> Int16Array:
        """Say something, 16 kHz, and give back what was heard, 16 kHz, until it is over."""
        path = await self.path()
        url = self.server_url.replace("http", "ws").rstrip("/") + path
        headers = upgrade_headers(self.side, path)
        loop = asyncio.get_running_loop()
        async with websockets.connect(url, additional_headers=headers) as socket:
            self.origin_s = loop.time()
            tasks = [
                asyncio.create_task(self._listen(socket)),
                asyncio.create_task(self._report(socket)),
            ]
            for message in self.side.begin():
                await socket.send(message)
            try:
                async with asyncio.timeout(patience_s):
                    await self._talk(socket, speech)
            finally:
                for task in tasks:
                    task.cancel()
            for message in self.side.end():
                await socket.send(message)
        heard = self.telephone.track(self.origin_s, loop.time())
        return resample(heard, self.side.rate, 16_000)

    async def _talk(self, socket: Any, speech: Int16Array) -> None:
        loop = asyncio.get_running_loop()
        voice = resample(speech, 16_000, self.side.rate)
        size = self.side.rate // 50
        hush = np.random.default_rng(0).normal(0, 4, size).astype(np.int16)
        begin = loop.time()
        number = 0
        while True:
            piece = voice[number * size : (number + 1) * size]
            await socket.send(self.side.media(piece if len(piece) == size else hush))
            number += 1
            done = number * size > len(voice)
            arrivals = self.telephone.arrivals
            asked_s = begin + len(voice) / self.side.rate
            answered = [at for at, _ in arrivals if at > asked_s]
            # A filler is short, and the answer may be long in coming.
            said_s = len(answered) * 0.02 * (10 if self.side.packet_s > 0.02 else 1)
            patience = 2.5 if said_s > 2.5 else 8.0
            if done and answered and loop.time() > answered[-1] + patience:
                return
            await asyncio.sleep(max(0.0, begin + number * 0.02 - loop.time()))

    async def _listen(self, socket: Any) -> None:
        async for data in socket:
            self.telephone.take(data)

    async def _report(self, socket: Any) -> None:
        while True:
            await socket.send(await self.telephone.says.get())
