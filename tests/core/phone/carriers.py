"""Providers' HTTP interfaces on loopback, played from their references: what they do not know they
refuse, as they would. No provider was called.
"""

import asyncio
import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, parse_qsl, unquote
from xml.etree import ElementTree

from tests.core.phone.providers import PlivoSide, Side, TelnyxSide, TwilioSide, VonageSide

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


TWIML: dict[str, set[str]] = {
    "Response": set(),
    "Connect": set(),
    "Stream": {"url", "name"},
    "Hangup": set(),
    "Dial": {"timeout", "callerId"},
    "Number": set(),
    "Sip": set(),
    "Conference": {"beep", "startConferenceOnEnter", "endConferenceOnExit", "maxParticipants"},
}


class Twilio(Carrier):
    """https://www.twilio.com/docs/voice/api/call-resource."""

    side = TwilioSide
    credentials: ClassVar[dict[str, str]] = {
        "auth_token": TOKEN,
        "account_sid": "AC1",
    }
    elements = TWIML

    async def answer(self, asked):
        asked.require("authorization", basic("AC1", TOKEN))
        root = "/2010-04-01/Accounts/AC1/Calls"
        if (asked.method, asked.path) == ("POST", f"{root}.json"):
            form = asked.form("To", "From", "Url", "Method", "Timeout")
            sid = f"CA{len(self.calls) + 1}"
            await self.place(sid, form["To"], form["From"], form["Url"])
            return 201, {"sid": sid, "status": "queued"}
        refuse_unless(asked.path.startswith(f"{root}/") and asked.path.endswith(".json"), 404, "?")
        call = self.known(asked.path.removeprefix(f"{root}/").removesuffix(".json"))
        if asked.method == "POST":
            form = asked.form("Status", "Twiml", "Url", "Method")
            refuse_unless(("Status" in form) != ("Twiml" in form), 400, "one of the two")
            if "Twiml" in form:
                await self.move(self.live(call.id), form["Twiml"])
            else:
                refuse_unless(form["Status"] in ("completed", "canceled"), 400, form["Status"])
                await self.end(call)
        return 200, {"sid": call.id, "status": call.state}


class Telnyx(Carrier):
    """https://developers.telnyx.com/docs/voice/texml/rest-api/calls."""

    side = TelnyxSide
    credentials: ClassVar[dict[str, str]] = {
        "api_key": "KEY",
        "account_sid": "acc-1",
        "connection_id": "1234",
    }
    elements: ClassVar[dict[str, set[str]]] = {
        **TWIML,
        "Stream": {"url", "codec", "bidirectionalMode", "bidirectionalCodec"},
    }

    async def answer(self, asked):
        asked.require("authorization", "Bearer KEY")
        if (asked.method, asked.path) == ("POST", "/v2/texml/calls/1234"):
            body = asked.json("To", "From", "Url", "Method", "Texml")
            sid = f"v3:{len(self.calls) + 1}"
            await self.place(sid, body["To"], body["From"], body["Url"])
            return 200, {
                "call_sid": sid,
                "from": body["From"],
                "to": body["To"],
                "status": "queued",
            }
        root = "/v2/texml/Accounts/acc-1/Calls/"
        refuse_unless(asked.path.startswith(root), 404, asked.path)
        call = self.known(asked.path.removeprefix(root))
        if asked.method == "POST":
            form = asked.form("Status", "Texml", "Url", "Method")
            refuse_unless(("Status" in form) != ("Texml" in form), 422, "one of the two")
            if "Texml" in form:
                await self.move(self.live(call.id), form["Texml"])
            else:
                refuse_unless(form["Status"] == "completed", 422, form["Status"])
                await self.end(call)
        return 200, {"sid": call.id, "status": call.state}


class Plivo(Carrier):
    """https://www.plivo.com/docs/voice/api/call. It fetches documents itself."""

    side = PlivoSide
    credentials: ClassVar[dict[str, str]] = {"auth_token": TOKEN, "auth_id": "MA1"}
    busy = unanswered = "no-answer"
    elements: ClassVar[dict[str, set[str]]] = {
        "Response": set(),
        "Stream": {"bidirectional", "keepCallAlive", "contentType"},
        "Hangup": {"reason"},
        "Dial": {"callerId"},
        "Number": set(),
        "User": set(),
        "Conference": {"endConferenceOnExit", "maxMembers", "enterSound", "exitSound"},
    }

    async def answer(self, asked):
        asked.require("authorization", basic("MA1", TOKEN))
        root = "/v1/Account/MA1/Call/"
        refuse_unless(asked.path.startswith(root) and asked.path.endswith("/"), 404, asked.path)
        name = asked.path.removeprefix(root).removesuffix("/")
        if not name:
            refuse_unless(asked.method == "POST", 405, asked.method)
            body = asked.json("to", "from", "answer_url", "answer_method", "ring_timeout")
            uuid = f"uuid-{len(self.calls) + 1}"
            await self.place(uuid, body["to"], body["from"], body["answer_url"])
            return 201, {"message": "call fired", "request_uuid": uuid, "api_id": "x"}
        call = self.known(name)
        if asked.method == "GET":
            return self._look(call, parse_qs(asked.query))
        if asked.method == "DELETE":
            refuse_unless(call.state in ("ringing", self.talking), 404, "not live")
            await self.end(call)
            return 204, None
        body = asked.json("legs", "aleg_url", "aleg_method")
        refuse_unless(body["legs"] == "aleg" and body["aleg_method"] == "POST", 400, str(body))
        await self.move(self.live(name), await self.fetch(body["aleg_url"], call))
        return 202, {"message": "call transferred", "call_uuids": [call.id], "api_id": "x"}

    async def fetch(self, url: str, call: Call) -> str:
        """Ask at an address for a document."""
        return self.kept.pop(url)

    def _look(self, call: Call, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        is_live = call.state in ("ringing", self.talking)
        if query.get("status") == ["live"]:
            refuse_unless(is_live, 404, "not live")
            return 200, {"call_uuid": call.id, "call_status": call.state}
        refuse_unless(not is_live, 404, "no record yet")
        answer_time = None if call.state == "no-answer" else "2026-11-24 10:00:00+00:00"
        end_time = "2026-11-24 10:01:00+00:00"
        return 200, {"call_uuid": call.id, "answer_time": answer_time, "end_time": end_time}


class Vonage(Carrier):
    """https://developer.vonage.com/en/api/voice."""

    side = VonageSide
    talking = "answered"
    unanswered = "unanswered"
    ACTIONS: ClassVar[dict[str, set[str]]] = {
        "connect": {"action", "endpoint", "from", "eventUrl"},
        "conversation": {"action", "name", "startOnEnter", "endOnExit"},
        "talk": {"action", "text"},
    }

    def __init__(self, *args: Any, private_key: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self._own = {
            "signature_secret": TOKEN,
            "application_id": "app-1",
            "private_key": private_key,
        }

    async def answer(self, asked):
        asked.require("authorization", "Bearer ey")
        if (asked.method, asked.path) == ("POST", "/v1/calls"):
            body = asked.json("to", "from", "answer_url", "answer_method", "ringing_timer")
            (to,), (url,) = body["to"], body["answer_url"]
            refuse_unless(body["answer_method"] == "POST", 400, "how to ask?")
            number, ours = self._endpoint(to), self._endpoint(body["from"])
            uuid = f"u-{len(self.calls) + 1}"
            await self.place(uuid, number, ours, url)
            answer = {"uuid": uuid, "status": "started", "direction": "outbound"}
            return 201, {**answer, "conversation_uuid": "CON-1"}
        root = "/v1/calls/"
        refuse_unless(asked.path.startswith(root), 404, asked.path)
        call = self.known(asked.path.removeprefix(root))
        if asked.method == "GET":
            return 200, {"uuid": call.id, "status": call.state}
        refuse_unless(asked.method == "PUT", 405, asked.method)
        body = asked.json("action", "destination")
        if body["action"] == "hangup":
            await self.end(call)
        else:
            refuse_unless(body["action"] == "transfer", 400, body["action"])
            destination = body["destination"]
            refuse_unless(set(destination) == {"type", "ncco"}, 400, "destination")
            refuse_unless(destination["type"] == "ncco", 400, "destination")
            await self.move(self.live(call.id), json.dumps(destination["ncco"]))
        return 204, None

    def room(self, call):
        (action,) = call.document or [{}]
        if action.get("action") != "conversation":
            return None
        assert action["endOnExit"] is True, "who leaves must not leave one alone"
        return action["name"]

    def dialled(self, call):
        (endpoint,) = call.document[0]["endpoint"]
        return self._endpoint(endpoint)

    def stream(self, document):
        (endpoint,) = self._parsed(document)[0]["endpoint"]
        return endpoint["uri"]

    def _parsed(self, document):
        ncco = json.loads(document)
        for action in ncco:
            refuse_unless(action.get("action") in self.ACTIONS, 400, str(action))
            unknown = set(action) - self.ACTIONS[action["action"]]
            refuse_unless(not unknown, 400, f"fields {unknown}")
        return ncco

    def _endpoint(self, endpoint: dict[str, str]) -> str:
        if endpoint["type"] == "sip":
            refuse_unless(set(endpoint) == {"type", "uri"}, 400, str(endpoint))
            return endpoint["uri"]
        refuse_unless(set(endpoint) == {"type", "number"}, 400, str(endpoint))
        refuse_unless(endpoint["type"] == "phone", 400, str(endpoint))
        refuse_unless(endpoint["number"].isdecimal(), 400, "a number without plus sign")
        return endpoint["number"]


def new_key(path: Path) -> str:
    """An application's key, as Vonage gives it out; where it lies."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    path.write_bytes(
        generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(path)


CARRIERS: list[type[Carrier]] = [Twilio, Telnyx, Plivo, Vonage]
