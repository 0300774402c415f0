from typing import ClassVar

from tests.core.phone.carriers.carrier import Carrier, refuse_unless
from tests.core.phone.carriers.twilio import TWIML
from tests.core.phone.providers import TelnyxSide


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
