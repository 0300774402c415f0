"""Vonage."""

import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import httpx

from agent.errors import SettingsError
from agent.settings import VonageSettings
from agent.transports.phone.documents import Answer, MovingDocuments, Ncco, vonage_endpoint
from agent.transports.phone.rest.base import RING_S, Rest, answered, send, word

_TOKEN_S = 60
"""How long a token to Vonage is good: for one request."""


class VonageRest(Rest):
    """https://developer.vonage.com/en/api/voice."""

    provider = "Vonage"
    documents: ClassVar[MovingDocuments] = Ncco()

    def __init__(self, settings: VonageSettings, application_id: str, private_key: Path) -> None:
        self._url = f"{settings.api_url}/v1/calls"
        self._sign = _signer(application_id, private_key)

    async def hang_up(self, call_id: str) -> None:
        """End the call."""
        await send(self._request("PUT", call_id, {"action": "hangup"}), "hang up")

    async def call(self, to: str, ours: str, url: str) -> str:
        """Call somebody."""
        body = {
            "to": [vonage_endpoint(to)],
            "from": vonage_endpoint(ours),
            "answer_url": [url],
            "answer_method": "POST",
            "ringing_timer": RING_S,
        }
        return await self._placed(self._request("POST", "", body), "uuid")

    async def status(self, call_id: str) -> str:
        """Such as started, ringing, answered, busy, unanswered."""
        return word(await answered(self._request("GET", call_id), "look at a call"), "status")

    async def _direct(self, call_id: str, document: Answer) -> bool:
        destination = {"type": "ncco", "ncco": json.loads(document.body)}
        body = {"action": "transfer", "destination": destination}
        return await send(self._request("PUT", call_id, body), "direct a call") is not None

    def _request(
        self, method: str, call_id: str, body: Mapping[str, object] | None = None
    ) -> httpx.Request:
        headers = {"Authorization": f"Bearer {self._sign(time.time())}"}
        where = f"{self._url}/{quote(call_id, safe='')}" if call_id else self._url
        return httpx.Request(method, where, json=body, headers=headers)


def _signer(application_id: str, private_key: Path) -> Callable[[float], str]:
    """What makes an application's tokens: JWT, signed with RS256 (RFC 7518 3.3).

    Raises:
        SettingsError: The key cannot be used.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = load_pem_private_key(private_key.read_bytes(), None)
    except ImportError as error:
        raise SettingsError(
            'phone.vonage.private_key needs cryptography: pip install "duplex-voice[vonage]"'
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(
            f"phone.vonage.private_key: {private_key} cannot be used: {error}; give the PEM file "
            "that Vonage made for the application"
        ) from error
    if not isinstance(key, RSAPrivateKey):
        raise SettingsError(f"phone.vonage.private_key: {private_key} is no RSA key")

    def sign(now_s: float) -> str:
        claims = {
            "application_id": application_id,
            "iat": int(now_s),
            "exp": int(now_s) + _TOKEN_S,
            "jti": secrets.token_hex(16),
        }
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (_JWT_HEADER, claims))
        return f"{signed}.{_base64url(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"

    return sign


_JWT_HEADER = {"alg": "RS256", "typ": "JWT"}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
