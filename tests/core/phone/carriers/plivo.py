from typing import Any, ClassVar
from urllib.parse import parse_qs

from tests.core.phone.carriers.carrier import TOKEN, Call, Carrier, basic, refuse_unless
from tests.core.phone.providers import PlivoSide


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
