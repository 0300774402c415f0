import json
from pathlib import Path
from typing import Any, ClassVar

from tests.core.phone.carriers.carrier import TOKEN, Carrier, refuse_unless
from tests.core.phone.providers import VonageSide


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
