"""Requests to providers about a call under way."""

import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

import httpx
from loguru import logger

from agent.errors import RetryError, SettingsError
from agent.settings import (
    PhoneSettings,
    PlivoSettings,
    TelnyxSettings,
    TwilioSettings,
    VonageSettings,
)
from agent.transports.phone.call import CallFacts, Direction
from agent.transports.phone.transport import Rest

_PATIENCE_S = 5.0

RING_S = 25
"""How long somebody who is to take a call may ring; the caller listens to music meanwhile."""

_TOKEN_S = 60
"""How long a token to Vonage is good: for one request."""


class TransferError(RetryError):
    """The provider did not transfer the call; the conversation goes on."""


def rest(settings: PhoneSettings, provider: str, connecting: Callable[[str], str]) -> Rest | None:
    """The provider's requests; None where it has none or its credentials are not set.

    Args:
        settings: With the credentials.
        provider: Its name.
        connecting: Makes an address, good once, at which a provider is told to connect a call to a
            destination.
    """
    twilio, telnyx, plivo, vonage = (
        settings.twilio,
        settings.telnyx,
        settings.plivo,
        settings.vonage,
    )
    if provider == "twilio" and twilio and twilio.account_sid:
        return TwilioRest(twilio)
    if provider == "telnyx" and telnyx and telnyx.api_key:
        return TelnyxRest(telnyx)
    if provider == "plivo" and plivo and plivo.auth_id:
        return PlivoRest(plivo, connecting)
    if provider == "vonage" and vonage and vonage.application_id and vonage.private_key:
        return VonageRest(vonage, vonage.application_id, vonage.private_key)
    return None


class TwilioRest:
    """https://www.twilio.com/docs/voice/api/call-resource#update-a-call-resource."""

    def __init__(self, settings: TwilioSettings) -> None:
        self._url = settings.api_url
        self._account = settings.account_sid or ""
        self._token = settings.auth_token.get_secret_value()

    async def hang_up(self, call_id: str) -> None:
        """End the call."""
        await _ask(self._request(call_id, {"Status": "completed"}), "hang up")

    async def transfer(self, call: CallFacts, to: str) -> None:
        """Connect the caller to another number."""
        document = f"<Response><Dial>{escape(to)}</Dial></Response>"
        if not await _ask(self._request(call.id, {"Twiml": document}), "transfer"):
            raise TransferError("Twilio did not transfer the call; see the log")

    async def call(self, to: str, ours: str, stream_url: str, room: str) -> str:
        """Call somebody who is talked to over a stream, and then waits in a room.

        https://www.twilio.com/docs/voice/api/call-resource#create-a-call-resource
        """
        connect = f"<Connect><Stream url={quoteattr(stream_url)}/></Connect>"
        form = {
            "To": to,
            "From": ours,
            "Timeout": str(RING_S),
            "Twiml": f"<Response>{connect}{_conference(room)}</Response>",
        }
        answer = await _answered(self._request("", form), "call")
        if answer is None or not isinstance(sid := answer.get("sid"), str):
            raise TransferError(f"Twilio did not call {to}; see the log")
        return sid

    async def status(self, call_id: str) -> str:
        """What has become of a call: queued, ringing, in-progress, busy, no-answer, ..."""
        answer = await _answered(self._request(call_id, None), "look at a call")
        return str((answer or {}).get("status", ""))

    async def meet(self, call_id: str, room: str) -> None:
        """Send a call into a conference; its stream ends."""
        document = f"<Response>{_conference(room)}</Response>"
        if not await _ask(self._request(call_id, {"Twiml": document}), "put through"):
            raise TransferError("Twilio did not put the call through; see the log")

    def _request(self, call_id: str, form: dict[str, str] | None) -> httpx.Request:
        """A request about a call, or for a new one if no name is given; None asks."""
        account = quote(self._account, safe="")
        which = f"Calls/{quote(call_id, safe='')}" if call_id else "Calls"
        url = f"{self._url}/2010-04-01/Accounts/{account}/{which}.json"
        request = httpx.Request("GET" if form is None else "POST", url, data=form)
        return next(httpx.BasicAuth(self._account, self._token).auth_flow(request))


def _conference(room: str) -> str:
    """Whoever leaves ends it for the other: https://www.twilio.com/docs/voice/twiml/conference."""
    attributes = 'beep="false" endConferenceOnExit="true" maxParticipants="2"'
    return f"<Dial><Conference {attributes}>{escape(room)}</Conference></Dial>"


class TelnyxRest:
    """https://developers.telnyx.com/api-reference/call-commands/transfer-call."""

    def __init__(self, settings: TelnyxSettings) -> None:
        assert settings.api_key
        self._url = settings.api_url
        self._key = settings.api_key.get_secret_value()

    async def hang_up(self, call_id: str) -> None:
        """End the call."""
        await _ask(self._request(call_id, "hangup", {}), "hang up")

    async def transfer(self, call: CallFacts, to: str) -> None:
        """Connect the caller to another number."""
        if not await _ask(self._request(call.id, "transfer", {"to": to}), "transfer"):
            raise TransferError("Telnyx did not transfer the call; see the log")

    def _request(self, call_id: str, action: str, body: dict[str, str]) -> httpx.Request:
        url = f"{self._url}/v2/calls/{quote(call_id, safe='')}/actions/{action}"
        return httpx.Request(
            "POST", url, json=body, headers={"Authorization": f"Bearer {self._key}"}
        )


class PlivoRest:
    """https://www.plivo.com/docs/voice/api/call#transfer-a-call.

    The call asks at an address of ours what to do next, as it did at its beginning.
    """

    def __init__(self, settings: PlivoSettings, connecting: Callable[[str], str]) -> None:
        self._url = settings.api_url
        self._id = settings.auth_id or ""
        self._token = settings.auth_token.get_secret_value()
        self._connecting = connecting

    async def hang_up(self, call_id: str) -> None:
        """End the call."""
        await _ask(self._request("DELETE", call_id), "hang up")

    async def transfer(self, call: CallFacts, to: str) -> None:
        """Connect the caller to another number."""
        body = {"legs": "aleg", "aleg_url": self._connecting(to), "aleg_method": "POST"}
        if not await _ask(self._request("POST", call.id, body), "transfer"):
            raise TransferError("Plivo did not transfer the call; see the log")

    def _request(
        self, method: str, call_id: str, body: dict[str, str] | None = None
    ) -> httpx.Request:
        account, call = quote(self._id, safe=""), quote(call_id, safe="")
        request = httpx.Request(method, f"{self._url}/v1/Account/{account}/Call/{call}/", json=body)
        return next(httpx.BasicAuth(self._id, self._token).auth_flow(request))


class VonageRest:
    """https://developer.vonage.com/en/api/voice#updateCall."""

    def __init__(self, settings: VonageSettings, application_id: str, private_key: Path) -> None:
        self._url = settings.api_url
        self._sign = _signer(application_id, private_key)

    async def hang_up(self, call_id: str) -> None:
        """End the call."""
        await _ask(self._request(call_id, {"action": "hangup"}), "hang up")

    async def transfer(self, call: CallFacts, to: str) -> None:
        """Connect the caller to another number."""
        is_sip = to.startswith(("sip:", "sips:"))
        # Numbers of Vonage's have no plus sign.
        where = (
            {"type": "sip", "uri": to} if is_sip else {"type": "phone", "number": to.lstrip("+")}
        )
        connect: dict[str, object] = {"action": "connect", "endpoint": [where]}
        ours = call.called if call.direction is Direction.INBOUND else call.caller
        if ours:
            connect["from"] = ours.lstrip("+")
        body = {"action": "transfer", "destination": {"type": "ncco", "ncco": [connect]}}
        if not await _ask(self._request(call.id, body), "transfer"):
            raise TransferError("Vonage did not transfer the call; see the log")

    def _request(self, call_id: str, body: Mapping[str, object]) -> httpx.Request:
        headers = {"Authorization": f"Bearer {self._sign(time.time())}"}
        url = f"{self._url}/v1/calls/{quote(call_id, safe='')}"
        return httpx.Request("PUT", url, json=body, headers=headers)


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


async def _ask(request: httpx.Request, what: str) -> bool:
    """Send a request. A call that is over already is no fault."""
    return await _sent(request, what) is not None


async def _answered(request: httpx.Request, what: str) -> dict[str, object] | None:
    """Send a request; the JSON object it is answered with, or None."""
    response = await _sent(request, what)
    try:
        answer = response.json() if response else None
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else None


async def _sent(request: httpx.Request, what: str) -> httpx.Response | None:
    try:
        async with httpx.AsyncClient(timeout=_PATIENCE_S) as client:
            response = await client.send(request)
    except httpx.HTTPError as error:
        logger.error("could not {}: {}", what, type(error).__name__)
        return None
    if response.is_success:
        return response
    logger.error("could not {}: the provider answered {}", what, response.status_code)
    return None
