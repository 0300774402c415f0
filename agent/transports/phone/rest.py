"""Requests to providers about a call under way."""

from urllib.parse import quote
from xml.sax.saxutils import escape

import httpx
from loguru import logger

from agent.errors import RetryError
from agent.settings import PhoneSettings, TelnyxSettings, TwilioSettings
from agent.transports.phone.transport import Rest

_PATIENCE_S = 5.0


class TransferError(RetryError):
    """The provider did not transfer the call; the conversation goes on."""


def rest(settings: PhoneSettings, provider: str) -> Rest | None:
    """The provider's requests; None where it has none or its credentials are not set."""
    twilio, telnyx = settings.twilio, settings.telnyx
    if provider == "twilio" and twilio and twilio.account_sid:
        return TwilioRest(twilio)
    if provider == "telnyx" and telnyx and telnyx.api_key:
        return TelnyxRest(telnyx)
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

    async def transfer(self, call_id: str, to: str) -> None:
        """Connect the caller to another number."""
        document = f"<Response><Dial>{escape(to)}</Dial></Response>"
        if not await _ask(self._request(call_id, {"Twiml": document}), "transfer"):
            raise TransferError("Twilio did not transfer the call; see the log")

    def _request(self, call_id: str, form: dict[str, str]) -> httpx.Request:
        account = quote(self._account, safe="")
        url = f"{self._url}/2010-04-01/Accounts/{account}/Calls/{quote(call_id, safe='')}.json"
        request = httpx.Request("POST", url, data=form)
        return next(httpx.BasicAuth(self._account, self._token).auth_flow(request))


class TelnyxRest:
    """https://developers.telnyx.com/api-reference/call-commands/transfer-call."""

    def __init__(self, settings: TelnyxSettings) -> None:
        assert settings.api_key
        self._url = settings.api_url
        self._key = settings.api_key.get_secret_value()

    async def hang_up(self, call_id: str) -> None:
        """End the call."""
        await _ask(self._request(call_id, "hangup", {}), "hang up")

    async def transfer(self, call_id: str, to: str) -> None:
        """Connect the caller to another number."""
        if not await _ask(self._request(call_id, "transfer", {"to": to}), "transfer"):
            raise TransferError("Telnyx did not transfer the call; see the log")

    def _request(self, call_id: str, action: str, body: dict[str, str]) -> httpx.Request:
        url = f"{self._url}/v2/calls/{quote(call_id, safe='')}/actions/{action}"
        return httpx.Request(
            "POST", url, json=body, headers={"Authorization": f"Bearer {self._key}"}
        )


async def _ask(request: httpx.Request, what: str) -> bool:
    """Send a request. A call that is over already is no fault."""
    try:
        async with httpx.AsyncClient(timeout=_PATIENCE_S) as client:
            response = await client.send(request)
    except httpx.HTTPError as error:
        logger.error("could not {}: {}", what, type(error).__name__)
        return False
    if response.is_success:
        return True
    logger.error("could not {}: the provider answered {}", what, response.status_code)
    return False
