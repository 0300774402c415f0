"""What every provider's HTTP interface has in common."""

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote
from xml.etree import ElementTree

from tests.core.phone.providers import Side

TOKEN = "a token for tests"


@dataclass
class Asked:
    """A request."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str

    def form(self, *allowed: str) -> dict[str, str]:
        """A form with no other fields than these."""
        self.require("content-type", "application/x-www-form-urlencoded")
        fields = dict(parse_qsl(self.body, keep_blank_values=True, strict_parsing=True))
        refuse_unless(set(fields) <= set(allowed), 400, f"unknown field in {sorted(fields)}")
        return fields

    def json(self, *allowed: str) -> dict[str, Any]:
        """An object with no other fields than these."""
        self.require("content-type", "application/json")
        fields = json.loads(self.body)
        refuse_unless(set(fields) <= set(allowed), 400, f"unknown field in {sorted(fields)}")
        return fields

    def require(self, header: str, value: str) -> None:
        status = 401 if header == "authorization" else 415
        refuse_unless(self.headers.get(header, "").startswith(value), status, header)


class RefusedError(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def refuse_unless(fine: bool, status: int, why: str) -> None:
    if not fine:
        raise RefusedError(status, why)


@dataclass
class Call:
    """A call that the provider knows.

    Attributes:
        state: In the provider's words.
        document: Where it goes on, once it was told.
    """

    id: str
    state: str
    to: str = ""
    ours: str = ""
    url: str = ""
    document: Any = None


class Carrier:
    """One provider: answers what it is asked, and keeps it.

    Attributes:
        fate: What becomes of calls that are placed, in its words; of `answers` nothing by itself.
        refusal: A status that everything is answered with, while set.
        kept: Documents by address, where no server of ours gives them.
    """

    side: ClassVar[type[Side]]
    credentials: ClassVar[dict[str, str]] = {}
    talking = "in-progress"
    over = "completed"
    busy, unanswered = "busy", "no-answer"
    elements: ClassVar[dict[str, set[str]]]

    def __init__(self, fate: str = "answers", refusal: int | None = None) -> None:
        self.fate, self.refusal = fate, refusal
        self._own: dict[str, str] = {}
        self.asked: list[Asked] = []
        self.calls: dict[str, Call] = {}
        self.refused: list[str] = []
        self.kept: dict[str, str] = {}

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    def begin(self, call_id: str) -> Call:
        """A caller who is talking."""
        call = self.calls[call_id] = Call(call_id, self.talking)
        return call

    def keep(self, document: Any) -> str:
        """An address at which a document is given."""
        url = f"https://voice.example/next/{len(self.kept)}"
        self.kept[url] = document.body
        return url

    def settings(self) -> dict[str, Any]:
        """Its section, with all that requests need."""
        return {**self.credentials, **self._own, "api_url": self.url}

    async def answer(self, asked: Asked) -> tuple[int, dict[str, Any] | None]:
        raise NotImplementedError

    async def rings(self, call: Call) -> None:
        """A call was placed."""

    async def moves(self, call: Call) -> None:
        """A call was told where to go on."""

    async def ends(self, call: Call) -> None:
        """A call was ended by request."""

    def room(self, call: Call) -> str | None:
        """The room a call is in."""
        found = call.document.find(".//Conference") if call.document is not None else None
        if found is None:
            return None
        assert found.get("endConferenceOnExit") == "true", "who leaves must not leave one alone"
        return found.text

    def dialled(self, call: Call) -> str | None:
        """The destination a call is connected to."""
        names = ("Number", "Sip", "User")
        found = [call.document.find(f".//Dial/{name}") for name in names]
        return next((element.text for element in found if element is not None), None)

    def stream(self, document: str) -> str:
        """Where a document brings the sound."""
        stream = self._parsed(document).find(".//Stream")
        assert stream is not None
        return stream.get("url") or stream.text or ""

    def known(self, call_id: str) -> Call:
        refuse_unless(unquote(call_id) in self.calls, 404, f"no call {call_id}")
        return self.calls[unquote(call_id)]

    def live(self, call_id: str) -> Call:
        call = self.known(call_id)
        refuse_unless(call.state == self.talking, 409, f"{call_id} is {call.state}")
        return call

    async def place(self, call_id: str, to: str, ours: str, url: str) -> Call:
        refuse_unless(to != "" and ours != "" and url.startswith("http"), 400, "who calls whom?")
        state = "ringing" if self.fate == "answers" else self.fate
        call = self.calls[call_id] = Call(call_id, state, to, ours, url)
        await self.rings(call)
        return call

    async def move(self, call: Call, document: str) -> None:
        call.document = self._parsed(document)
        await self.moves(call)

    async def end(self, call: Call) -> None:
        call.state = self.over
        await self.ends(call)

    def _parsed(self, document: str) -> Any:
        """A document of which every element and attribute is in the reference."""
        root = ElementTree.fromstring(document)
        refuse_unless(root.tag == "Response", 400, "no response")
        for element in root.iter():
            refuse_unless(element.tag in self.elements, 400, f"element {element.tag}")
            unknown = set(element.keys()) - self.elements[element.tag]
            refuse_unless(not unknown, 400, f"attributes {unknown} of {element.tag}")
        return root

    async def _serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        headers = {k.lower(): v for k, v in (item.split(": ", 1) for item in lines)}
        body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
        method, target, _ = line.split()
        path, _, query = target.partition("?")
        asked = Asked(method, path, query, headers, body)
        self.asked.append(asked)
        try:
            refuse_unless(self.refusal is None, self.refusal or 500, "told to refuse")
            status, given = await self.answer(asked)
        except RefusedError as refusal:
            self.refused.append(f"{method} {target}: {refusal}")
            status, given = refusal.status, {"error": str(refusal)}
        data = b"" if given is None else json.dumps(given).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        await writer.drain()
        writer.close()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
