"""Twilio, and Telnyx, whose TeXML has requests of the same kind."""

from abc import abstractmethod
from typing import ClassVar
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from agent.settings import TelnyxSettings, TwilioSettings
from agent.transports.phone.documents import Answer, MovingDocuments, Texml, Twiml
from agent.transports.phone.rest.base import RING_S, Rest, answered, send, word


class _TwimlRest(Rest):
    """A call is a resource: it is looked at, and a form changes it.

    Attributes:
        DOCUMENT: The form's field for another document.
    """

    DOCUMENT: ClassVar[str]

    async def hang_up(self, call_id: str) -> None:
        """End the call."""
        await send(self._about(call_id, {"Status": "completed"}), "hang up")

    async def status(self, call_id: str) -> str:
        """Such as queued, ringing, in-progress, busy, no-answer."""
        return word(await answered(self._about(call_id, None), "look at a call"), "status")

    async def _direct(self, call_id: str, document: Answer) -> bool:
        request = self._about(call_id, {self.DOCUMENT: document.body})
        return await send(request, "direct a call") is not None

    @abstractmethod
    def _about(self, call_id: str, form: dict[str, str] | None) -> httpx.Request:
        """A request that changes a call; without a form one that looks at it."""


class TwilioRest(_TwimlRest):
    """https://www.twilio.com/docs/voice/api/call-resource."""

    provider = "Twilio"
    documents: ClassVar[MovingDocuments] = Twiml()
    DOCUMENT = "Twiml"

    def __init__(self, settings: TwilioSettings, account: str) -> None:
        self._url = f"{settings.api_url}/2010-04-01/Accounts/{quote(account, safe='')}/Calls"
        self._auth = httpx.BasicAuth(account, settings.auth_token.get_secret_value())

    async def call(self, to: str, ours: str, url: str) -> str:
        """Call somebody; how long it rings is the provider's to count."""
        form = {"To": to, "From": ours, "Url": url, "Timeout": str(RING_S)}
        request = httpx.Request("POST", f"{self._url}.json", data=form)
        return await self._placed(self._signed(request), "sid")

    def _about(self, call_id: str, form: dict[str, str] | None) -> httpx.Request:
        url = f"{self._url}/{quote(call_id, safe='')}.json"
        return self._signed(httpx.Request("GET" if form is None else "POST", url, data=form))

    def _signed(self, request: httpx.Request) -> httpx.Request:
        return next(self._auth.auth_flow(request))


class TelnyxRest(_TwimlRest):
    """https://developers.telnyx.com/docs/voice/texml/rest-api/calls.

    What is looked at may be a little behind, and is not there at first.
    """

    provider = "Telnyx"
    documents: ClassVar[MovingDocuments] = Texml()
    DOCUMENT = "Texml"

    def __init__(self, settings: TelnyxSettings, account: str, api_key: SecretStr) -> None:
        self._url = f"{settings.api_url}/v2/texml"
        self._account = quote(account, safe="")
        self._headers = {"Authorization": f"Bearer {api_key.get_secret_value()}"}
        self._connection = quote(settings.connection_id or "", safe="")
        self.can_call = bool(settings.connection_id)

    async def call(self, to: str, ours: str, url: str) -> str:
        """Call somebody.

        https://developers.telnyx.com/api-reference/texml-rest-commands/create-a-connection-scoped-texml-call
        """
        body = {"To": to, "From": ours, "Url": url, "Method": "POST"}
        where = f"{self._url}/calls/{self._connection}"
        request = httpx.Request("POST", where, json=body, headers=self._headers)
        return await self._placed(request, "call_sid")

    def _about(self, call_id: str, form: dict[str, str] | None) -> httpx.Request:
        url = f"{self._url}/Accounts/{self._account}/Calls/{quote(call_id, safe='')}"
        method = "GET" if form is None else "POST"
        return httpx.Request(method, url, data=form, headers=self._headers)
