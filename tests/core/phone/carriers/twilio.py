from typing import ClassVar

from tests.core.phone.carriers.carrier import TOKEN, Carrier, basic, refuse_unless
from tests.core.phone.providers import TwilioSide

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
