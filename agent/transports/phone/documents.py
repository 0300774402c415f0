"""What a provider is told to do with a call, in its own language. Pure."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar
from xml.sax.saxutils import escape, quoteattr

from agent.transports.phone.call import CallFacts, Direction

_XML = "application/xml"
_JSON = "application/json"
_BUSY_LINE = "All our lines are busy. Please call again in a few minutes."


@dataclass(frozen=True, slots=True)
class Answer:
    """What a webhook is answered with."""

    media_type: str
    body: str
    status: int = 200


class Documents(ABC):
    """What every provider understands."""

    @abstractmethod
    def stream(self, url: str, facts: CallFacts) -> Answer:
        """Bring the call's sound to `url`."""

    @abstractmethod
    def busy(self) -> Answer:
        """Refuse the call."""


class MovingDocuments(Documents):
    """What a provider understands that lets a call go on elsewhere."""

    @abstractmethod
    def connect(self, to: str, facts: CallFacts) -> Answer:
        """Connect the call to another destination."""

    @abstractmethod
    def meet(self, room: str) -> Answer:
        """Let the call into a room of two; whoever leaves it ends it for the other."""


class Twiml(MovingDocuments):
    """https://www.twilio.com/docs/voice/twiml."""

    STREAM: ClassVar[str] = ""

    def stream(self, url: str, facts: CallFacts) -> Answer:
        """Connect a stream; whoever closes it ends the call."""
        return _xml(f"<Connect><Stream url={quoteattr(url)}{self.STREAM}/></Connect><Hangup/>")

    def busy(self) -> Answer:
        """Refuse the call."""
        return _xml('<Reject reason="busy"/>')

    def connect(self, to: str, facts: CallFacts) -> Answer:
        """Dial a number, or a SIP address."""
        noun = "Sip" if _is_sip(to) else "Number"
        return _xml(f"<Dial><{noun}>{escape(to)}</{noun}></Dial>")

    def meet(self, room: str) -> Answer:
        """Dial a conference."""
        attributes = 'beep="false" endConferenceOnExit="true" maxParticipants="2"'
        return _xml(f"<Dial><Conference {attributes}>{escape(room)}</Conference></Dial>")


class Texml(Twiml):
    """https://developers.telnyx.com/docs/voice/programmable-voice/texml-twiml-compatibility."""

    # Without the mode it would be silently one-way.
    STREAM = ' bidirectionalMode="rtp" bidirectionalCodec="PCMU" codec="PCMU"'


class PlivoXml(MovingDocuments):
    """https://www.plivo.com/docs/voice/xml."""

    def stream(self, url: str, facts: CallFacts) -> Answer:
        """Connect a stream."""
        return _xml(
            '<Stream bidirectional="true" keepCallAlive="true" '
            f'contentType="audio/x-mulaw;rate=8000">{escape(url)}</Stream><Hangup/>'
        )

    def busy(self) -> Answer:
        """Refuse the call."""
        return _xml('<Hangup reason="busy"/>')

    def connect(self, to: str, facts: CallFacts) -> Answer:
        """Dial a number, or a SIP address."""
        noun = "User" if _is_sip(to) else "Number"
        return _xml(f"<Dial><{noun}>{escape(to)}</{noun}></Dial>")

    def meet(self, room: str) -> Answer:
        """Enter a conference."""
        attributes = 'endConferenceOnExit="true" maxMembers="2"'
        return _xml(f"<Conference {attributes}>{escape(room)}</Conference>")


class ExotelJson(Documents):
    """What the Voicebot applet's dynamic address answers."""

    def stream(self, url: str, facts: CallFacts) -> Answer:
        """Say where the stream goes."""
        return Answer(_JSON, json.dumps({"url": url}))

    def busy(self) -> Answer:
        """Refuse the call."""
        return Answer(_JSON, json.dumps({"error": _BUSY_LINE}), status=503)


class Ncco(MovingDocuments):
    """https://developer.vonage.com/en/voice/voice-api/ncco-reference."""

    def stream(self, url: str, facts: CallFacts) -> Answer:
        """Connect a stream; its headers come back in its first message."""
        given = {"call_id": facts.id, "caller": facts.caller, "called": facts.called}
        endpoint = {
            "type": "websocket",
            "uri": url,
            "content-type": "audio/l16;rate=16000",
            "headers": {name: value for name, value in given.items() if value},
        }
        return _ncco({"action": "connect", "endpoint": [endpoint]})

    def busy(self) -> Answer:
        """Refuse the call."""
        return _ncco({"action": "talk", "text": _BUSY_LINE})

    def connect(self, to: str, facts: CallFacts) -> Answer:
        """Connect to a number, or a SIP address."""
        connect: dict[str, object] = {"action": "connect", "endpoint": [vonage_endpoint(to)]}
        ours = facts.called if facts.direction is Direction.INBOUND else facts.caller
        if ours:
            connect["from"] = ours.lstrip("+")
        return _ncco(connect)

    def meet(self, room: str) -> Answer:
        """Enter a conversation."""
        return _ncco({"action": "conversation", "name": room, "endOnExit": True})


def vonage_endpoint(to: str) -> dict[str, str]:
    """Somebody as Vonage names them: its numbers have no plus sign."""
    if _is_sip(to):
        return {"type": "sip", "uri": to}
    return {"type": "phone", "number": to.lstrip("+")}


def _is_sip(to: str) -> bool:
    return to.startswith(("sip:", "sips:"))


def _xml(inside: str) -> Answer:
    return Answer(_XML, f'<?xml version="1.0" encoding="UTF-8"?><Response>{inside}</Response>')


def _ncco(action: dict[str, object]) -> Answer:
    return Answer(_JSON, json.dumps([action]))
