"""Plivo."""

from collections.abc import Callable, Mapping
from typing import ClassVar
from urllib.parse import quote

import httpx

from agent.settings import PlivoSettings
from agent.transports.phone.documents import Answer, MovingDocuments, PlivoXml
from agent.transports.phone.rest.base import RING_S, Rest, answered, send, word


class PlivoRest(Rest):
    """https://www.plivo.com/docs/voice/api/call.

    A call asks at an address of ours what to do next, as it did at its beginning.

    Args:
        settings: With the token.
        auth_id: The account's name.
        at: Makes an address, good once, at which a document is given.
    """

    provider = "Plivo"
    documents: ClassVar[MovingDocuments] = PlivoXml()

    def __init__(self, settings: PlivoSettings, auth_id: str, at: Callable[[Answer], str]) -> None:
        self._url = f"{settings.api_url}/v1/Account/{quote(auth_id, safe='')}/Call/"
        self._auth = httpx.BasicAuth(auth_id, settings.auth_token.get_secret_value())
        self._at = at

    async def hang_up(self, call_id: str) -> None:
        """End the call."""
        await send(self._request("DELETE", call_id), "hang up")

    async def call(self, to: str, ours: str, url: str) -> str:
        """Call somebody. The request's name becomes the call's."""
        body = {
            "to": to,
            "from": ours,
            "answer_url": url,
            "answer_method": "POST",
            "ring_timeout": RING_S,
        }
        return await self._placed(self._request("POST", "", body), "request_uuid")

    async def status(self, call_id: str) -> str:
        """Of a call under way, such as ringing or in-progress; else how it ended."""
        live = await answered(self._request("GET", call_id, query="?status=live"), "look at a call")
        if live is not None:
            return word(live, "call_status")
        over = await answered(self._request("GET", call_id), "look at a call that is over")
        if not word(over, "end_time"):
            return ""
        return "completed" if word(over, "answer_time") else "no-answer"

    async def _direct(self, call_id: str, document: Answer) -> bool:
        body = {"legs": "aleg", "aleg_url": self._at(document), "aleg_method": "POST"}
        return await send(self._request("POST", call_id, body), "direct a call") is not None

    def _request(
        self, method: str, call_id: str, body: Mapping[str, object] | None = None, query: str = ""
    ) -> httpx.Request:
        where = f"{self._url}{quote(call_id, safe='')}/" if call_id else self._url
        request = httpx.Request(method, f"{where}{query}", json=body)
        return next(self._auth.auth_flow(request))
