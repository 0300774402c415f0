"""What a provider asks when a call comes in, and what we answer. Pure.

One gate per provider: it knows the provider's secrets, so it tells friend from stranger, reads who
calls whom, and writes the document that brings the call's sound to us.
"""

import importlib.util
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape, quoteattr

from agent.errors import SettingsError
from agent.settings import (
    ExotelSettings,
    GenesysSettings,
    PhoneSettings,
    PlivoSettings,
    TelnyxSettings,
    TwilioSettings,
    VonageSettings,
)
from agent.transports.phone import signatures
from agent.transports.phone.call import CallFacts
from agent.transports.phone.providers.exotel import ExotelStream
from agent.transports.phone.providers.genesys import GenesysStream
from agent.transports.phone.providers.plivo import PlivoStream
from agent.transports.phone.providers.stream import MediaStream
from agent.transports.phone.providers.telnyx import TelnyxStream
from agent.transports.phone.providers.twilio import TwilioStream
from agent.transports.phone.providers.vonage import VonageStream
from agent.transports.phone.wire import MalformedError, optional_text, parse, text

_XML = "application/xml"
_JSON = "application/json"
_BUSY_LINE = "All our lines are busy. Please call again in a few minutes."


@dataclass(frozen=True, slots=True)
class Request:
    """A webhook, or a WebSocket's upgrade.

    Attributes:
        url: The public address it was sent to, with ``https`` or ``wss``.
        authority: Host of that address.
        target: Path and query.
        query: What follows the question mark.
        headers: Names in lower case.
        body: Empty in an upgrade.
    """

    url: str
    authority: str
    target: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    def header(self, name: str) -> str:
        """A header's value, empty where there is none."""
        return self.headers.get(name, "")

    def form(self) -> list[tuple[str, str]]:
        """The body's fields; none if it is no form."""
        try:
            return parse_qsl(
                self.body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=200
            )
        except (UnicodeDecodeError, ValueError):
            return []

    def asked(self) -> dict[str, str]:
        """The query's fields; none if there are too many."""
        try:
            return dict(parse_qsl(self.query, max_num_fields=200))
        except ValueError:
            return {}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a webhook is answered with."""

    media_type: str
    body: str
    status: int = 200


class Gate(ABC):
    """A provider's way in.

    Attributes:
        stream: What it speaks once it is in.
    """

    stream: ClassVar[type[MediaStream]]

    def admits_stream(self, request: Request, now_s: float) -> bool:
        """Whether an upgrade is the provider's. Unsigned, its one-time address decides."""
        return True


class WebhookGate(Gate):
    """A provider that asks what to do with a call.

    Attributes:
        method: How it asks.
    """

    method: ClassVar[str] = "POST"

    @abstractmethod
    def admits(self, request: Request, now_s: float) -> bool:
        """Whether a webhook is the provider's."""

    @abstractmethod
    def facts(self, request: Request) -> CallFacts:
        """Who calls whom.

        Raises:
            MalformedError: The request does not say which call it is.
        """

    @abstractmethod
    def answer(self, url: str, facts: CallFacts) -> Answer:
        """Bring the call's sound to `url`."""

    @abstractmethod
    def busy(self) -> Answer:
        """Refuse the call."""


class ConnectingGate(WebhookGate):
    """A provider that asks again when a call is to be connected elsewhere."""

    @abstractmethod
    def connect(self, to: str) -> Answer:
        """Connect the call to a destination."""


def gates(settings: PhoneSettings) -> dict[str, Gate]:
    """The providers that are set up, by name.

    Raises:
        SettingsError: A package that checks signatures is not installed.
    """
    made: dict[str, Gate] = {}
    if settings.twilio:
        made["twilio"] = TwilioGate(settings.twilio)
    if settings.telnyx:
        if importlib.util.find_spec("cryptography") is None:
            raise SettingsError(
                'phone.telnyx needs cryptography for signatures: pip install "duplex-voice[telnyx]"'
            )
        made["telnyx"] = TelnyxGate(settings.telnyx)
    if settings.plivo:
        made["plivo"] = PlivoGate(settings.plivo)
    if settings.exotel:
        made["exotel"] = ExotelGate(settings.exotel)
    if settings.vonage:
        made["vonage"] = VonageGate(settings.vonage)
    if settings.genesys:
        made["genesys"] = GenesysGate(settings.genesys)
    return made


class TwilioGate(WebhookGate):
    """TwiML. Signs the webhook and the upgrade."""

    stream = TwilioStream

    def __init__(self, settings: TwilioSettings) -> None:
        self._token = settings.auth_token.get_secret_value()

    def admits(self, request: Request, now_s: float) -> bool:
        """Whether the form's signature is right."""
        signature = request.header("x-twilio-signature")
        return signatures.twilio(self._token, request.url, request.form(), signature)

    def admits_stream(self, request: Request, now_s: float) -> bool:
        """Whether the upgrade's signature is right."""
        signature = request.header("x-twilio-signature")
        return signatures.twilio(self._token, request.url, (), signature)

    def facts(self, request: Request) -> CallFacts:
        """Read the form."""
        return _from_form("twilio", dict(request.form()), "CallSid", "From", "To")

    def answer(self, url: str, facts: CallFacts) -> Answer:
        """Connect a stream; whoever closes it ends the call."""
        stream = f"<Connect><Stream url={quoteattr(url)}/></Connect><Hangup/>"
        return _xml(stream)

    def busy(self) -> Answer:
        """Refuse the call."""
        return _xml('<Reject reason="busy"/>')


class TelnyxGate(WebhookGate):
    """TeXML. Signs the webhook."""

    stream = TelnyxStream

    def __init__(self, settings: TelnyxSettings) -> None:
        self._key = settings.public_key

    def admits(self, request: Request, now_s: float) -> bool:
        """Whether the body's signature is right, and not old."""
        return signatures.telnyx(
            self._key,
            request.body,
            request.header("telnyx-timestamp"),
            request.header("telnyx-signature-ed25519"),
            now_s,
        )

    def facts(self, request: Request) -> CallFacts:
        """Read the form."""
        return _from_form("telnyx", dict(request.form()), "CallSid", "From", "To")

    def answer(self, url: str, facts: CallFacts) -> Answer:
        """Connect a stream; without the mode it would be silently one-way."""
        stream = (
            f'<Connect><Stream url={quoteattr(url)} bidirectionalMode="rtp" '
            'bidirectionalCodec="PCMU" codec="PCMU"/></Connect><Hangup/>'
        )
        return _xml(stream)

    def busy(self) -> Answer:
        """Refuse the call."""
        return _xml('<Reject reason="busy"/>')


class PlivoGate(ConnectingGate):
    """Plivo XML. Signs the webhook."""

    stream = PlivoStream

    def __init__(self, settings: PlivoSettings) -> None:
        self._token = settings.auth_token.get_secret_value()

    def admits(self, request: Request, now_s: float) -> bool:
        """Whether the form's signature is right."""
        return signatures.plivo(
            self._token,
            request.url,
            request.form(),
            request.header("x-plivo-signature-v3-nonce"),
            request.header("x-plivo-signature-v3"),
        )

    def facts(self, request: Request) -> CallFacts:
        """Read the form."""
        return _from_form("plivo", dict(request.form()), "CallUUID", "From", "To")

    def answer(self, url: str, facts: CallFacts) -> Answer:
        """Connect a stream."""
        stream = (
            '<Stream bidirectional="true" keepCallAlive="true" '
            f'contentType="audio/x-mulaw;rate=8000">{url}</Stream><Hangup/>'
        )
        return _xml(stream)

    def busy(self) -> Answer:
        """Refuse the call."""
        return _xml('<Hangup reason="busy"/>')

    def connect(self, to: str) -> Answer:
        """Dial a number, or a SIP address."""
        noun = "User" if to.startswith(("sip:", "sips:")) else "Number"
        return _xml(f"<Dial><{noun}>{escape(to)}</{noun}></Dial>")


class ExotelGate(WebhookGate):
    """The Voicebot applet's dynamic address. Signs nothing; a password is in the address."""

    stream = ExotelStream
    method = "GET"

    def __init__(self, settings: ExotelSettings) -> None:
        self._user = settings.user
        self._password = settings.password.get_secret_value()

    def admits(self, request: Request, now_s: float) -> bool:
        """Whether user and password are right."""
        return signatures.basic(self._user, self._password, request.header("authorization"))

    def facts(self, request: Request) -> CallFacts:
        """Read the query."""
        return _from_form("exotel", request.asked(), "CallSid", "CallFrom", "CallTo")

    def answer(self, url: str, facts: CallFacts) -> Answer:
        """Say where the stream goes."""
        return Answer(_JSON, json.dumps({"url": url}))

    def busy(self) -> Answer:
        """Refuse the call."""
        return Answer(_JSON, json.dumps({"error": _BUSY_LINE}), status=503)


class VonageGate(WebhookGate):
    """NCCO. Signs the webhook."""

    stream = VonageStream

    def __init__(self, settings: VonageSettings) -> None:
        self._secret = settings.signature_secret.get_secret_value()

    def admits(self, request: Request, now_s: float) -> bool:
        """Whether the token is right, not old, and of this body."""
        return signatures.vonage(self._secret, request.header("authorization"), request.body, now_s)

    def facts(self, request: Request) -> CallFacts:
        """Read the JSON."""
        try:
            message = parse(request.body.decode())
        except UnicodeDecodeError:
            raise MalformedError("a body that is no text") from None
        return CallFacts(
            text(message, "uuid"),
            "vonage",
            optional_text(message, "from"),
            optional_text(message, "to"),
        )

    def answer(self, url: str, facts: CallFacts) -> Answer:
        """Connect a stream; its headers come back in its first message."""
        given = {"call_id": facts.id, "caller": facts.caller, "called": facts.called}
        endpoint = {
            "type": "websocket",
            "uri": url,
            "content-type": "audio/l16;rate=16000",
            "headers": {name: value for name, value in given.items() if value},
        }
        return Answer(_JSON, json.dumps([{"action": "connect", "endpoint": [endpoint]}]))

    def busy(self) -> Answer:
        """Refuse the call."""
        return Answer(_JSON, json.dumps([{"action": "talk", "text": _BUSY_LINE}]))


class GenesysGate(Gate):
    """No webhook: Architect opens the stream itself, and signs it."""

    stream = GenesysStream

    def __init__(self, settings: GenesysSettings) -> None:
        self._key = settings.api_key.get_secret_value()
        self._secret = settings.client_secret.get_secret_value()

    def admits_stream(self, request: Request, now_s: float) -> bool:
        """Whether key and signature of the upgrade are right, and not old."""
        return signatures.genesys(
            self._key, self._secret, request.target, request.headers, request.authority, now_s
        )


def _from_form(
    channel: str, form: Mapping[str, str], call: str, caller: str, called: str
) -> CallFacts:
    return CallFacts(
        text(form, call), channel, optional_text(form, caller), optional_text(form, called)
    )


def _xml(inside: str) -> Answer:
    return Answer(_XML, f'<?xml version="1.0" encoding="UTF-8"?><Response>{inside}</Response>')
