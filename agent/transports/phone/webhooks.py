"""What a provider asks when a call comes in. Pure.

One gate per provider: it knows the provider's secrets, so it tells friend from stranger, and reads
who calls whom. What it is answered is in `documents.py`.
"""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import parse_qsl

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
from agent.transports.phone.documents import Documents, ExotelJson, Ncco, PlivoXml, Texml, Twiml
from agent.transports.phone.providers.exotel import ExotelStream
from agent.transports.phone.providers.genesys import GenesysStream
from agent.transports.phone.providers.plivo import PlivoStream
from agent.transports.phone.providers.stream import MediaStream
from agent.transports.phone.providers.telnyx import TelnyxStream
from agent.transports.phone.providers.twilio import TwilioStream
from agent.transports.phone.providers.vonage import VonageStream
from agent.transports.phone.wire import MalformedError, optional_text, parse, text


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
        documents: What it is answered with.
    """

    method: ClassVar[str] = "POST"
    documents: ClassVar[Documents]

    @abstractmethod
    def admits(self, request: Request, now_s: float) -> bool:
        """Whether a webhook is the provider's."""

    @abstractmethod
    def facts(self, request: Request) -> CallFacts:
        """Who calls whom.

        Raises:
            MalformedError: The request does not say which call it is.
        """


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
    documents = Twiml()

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


class TelnyxGate(WebhookGate):
    """TeXML. Signs the webhook."""

    stream = TelnyxStream
    documents = Texml()

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


class PlivoGate(WebhookGate):
    """Plivo XML. Signs the webhook."""

    stream = PlivoStream
    documents = PlivoXml()

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


class ExotelGate(WebhookGate):
    """The Voicebot applet's dynamic address. Signs nothing; a password is in the address."""

    stream = ExotelStream
    documents = ExotelJson()
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


class VonageGate(WebhookGate):
    """NCCO. Signs the webhook."""

    stream = VonageStream
    documents = Ncco()

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
