"""Every knob, read once from YAML and the environment.

A key in the file has an environment name made of its path: ``server.port`` is
``DUPLEX_SERVER__PORT``. The environment wins over the file. Stages receive only their own part.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from agent import document
from agent.choices import PYTHON_NAME, model_named
from agent.errors import SettingsError

ENV_PREFIX = "DUPLEX_"

_SHORTEST_KEY = 16


def _listed(value: Any) -> Any:
    """A list as the environment can hold one: with commas."""
    if isinstance(value, str):
        return tuple(part for piece in value.split(",") if (part := piece.strip()))
    return value


Listed = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CloudSection(_Section):
    """A recogniser on another machine."""

    url: str | None = None
    """ws://HOST:PORT is `duplex asr-server`; https://HOST/v1 and wss://HOST/v1/realtime are any
    server with OpenAI's transcription or Realtime protocol."""
    key: SecretStr | None = None
    model: str = "whisper-1"
    """As the server names it; our own knows by itself."""
    below: float | None = Field(None, ge=0, le=1)
    """Ask only where the edge is less sure of its text than this. Unset: ask always."""


class AsrSettings(_Section):
    """Recognition; see docs/recognition.md."""

    model: Literal["moonshine-base-en", "moonshine-tiny-en"] = "moonshine-base-en"
    """Base makes a third fewer errors; tiny needs half the time and memory."""
    mode: Literal["edge", "cloud", "prefer-cloud", "race"] | None = None
    """Unset: prefer-cloud where there is a cloud, else edge. With edge no speech leaves the
    machine, whatever the cloud's address."""
    cloud: CloudSection = CloudSection()
    private: bool = False
    """Sessions begin private: no speech leaves the machine until the program sets
    `session.is_private = False` or the client says so."""
    language: str = "en"
    """ISO 639-1, told to the cloud."""
    hints: tuple[str, ...] = ()
    """Names and products to expect."""

    @model_validator(mode="after")
    def _needs_a_cloud(self) -> "AsrSettings":
        if self.mode not in (None, "edge") and not self.cloud.url:
            raise ValueError(f"mode {self.mode} needs a recogniser: set cloud.url, or mode: edge")
        return self

    @property
    def effective_mode(self) -> str:
        """The mode, chosen by whether there is a cloud where it is unset."""
        return self.mode or ("prefer-cloud" if self.cloud.url else "edge")


class TurnSettings(_Section):
    """Who holds the floor; see docs/turns.md."""

    profile: Literal["auto", "short", "continuous"] = "auto"
    """How the caller speaks: short answers and commands, or dictation and open speech. auto lets
    the agent's last words decide."""
    cut_off_cost_s: float | None = Field(None, gt=0, le=60)
    """What cutting the caller off costs, in seconds of waiting. More is more patient. Unset: 5,
    less after a yes/no question, more while something is dictated."""
    speculate: bool = True
    """Prepare the answer unheard while waiting for the turn's end."""
    policy: str | None = Field(None, pattern=PYTHON_NAME)
    """Python that makes another policy for each session, written module:name."""
    interrupt_s: float = Field(0.6, ge=0.2, le=5)
    """Speech over the agent that takes the floor, unless its words say otherwise."""
    wake_phrases: tuple[str, ...] = ()
    """Words that begin a turn anew, such as "hey duplex"."""
    wake_required: bool = False
    """Answer only after a wake phrase, and for a few seconds after each answer."""


class LlmSettings(_Section):
    """The language model: any OpenAI-compatible server, or the embedded one."""

    url: str | None = None
    """Base URL, such as http://127.0.0.1:11434/v1. Unset: OPENAI_BASE_URL, else embedded."""
    model: str | None = None
    key: SecretStr | None = None
    embedded: str = "qwen2.5-coder-0.5b"
    threads: int | None = Field(None, ge=1)
    """Of the embedded model. Unset: the machine's physical cores, four at most."""
    max_tokens: int = Field(96, ge=1)
    """Longest answer. 96 tokens are about 35 s of speech."""
    temperature: float = Field(0.3, ge=0, le=2)
    """Higher wanders; at 0 a small model parrots the question."""
    seed: int | None = None
    """The same seed, conversation and machine give the same answers, where the server can."""
    first_token_s: float = Field(1.5, gt=0)
    """Without a first word by then, the caller hears a filler."""


class TtsSettings(_Section):
    """The voice."""

    tier: Literal["auto", "student", "full"] = "auto"
    """full is Kokoro-82M, student its distillation; auto measures what the machine can speak."""
    voice: str = "af_heart"
    first_audio_s: float = Field(1.0, gt=0, le=2)
    """Without sound of a clause by then, the next of models.tts_standby speaks it. Where there is
    none, nothing changes."""


class PlayoutSettings(_Section):
    """How the agent's speech leaves."""

    packet_s: float = Field(0.02, ge=0.01, le=0.1)
    lead_s: float = Field(0.06, ge=0.02, le=0.5)
    """Sent ahead of what is playing. More rides out a busy moment, less is cut sooner."""


class ServerSettings(_Section):
    """The web server; see docs/operations.md."""

    host: str = "127.0.0.1"
    """Any other address than the loopback needs keys."""
    port: int = Field(7860, ge=0, le=65535)
    """0 takes a free port and prints it."""
    keys: SecretStr | None = None
    """Who brings one may talk: 16 characters or more, several with commas between."""
    token_s: float = Field(60.0, gt=0, le=3600)
    """How long a one-time token is good that was given for a key."""
    origins: Listed = ()
    """Other pages that may use this server, such as https://shop.example."""
    trusted_proxies: Listed = ()
    """Addresses or networks whose X-Forwarded-For is believed."""
    certificate: Path | None = None
    """PEM file; with key_file, the server speaks https and wss."""
    key_file: Path | None = None
    max_sessions: Annotated[int, Field(ge=1)] | Literal["auto"] = 4
    """Conversations at once; the next caller is told to come back. benchmarks/capacity.py measures
    how many this machine can hold; auto lets in more as long as speech leaves in time and the
    processor is not all used up."""
    max_per_address: int | None = Field(None, ge=1)
    """Of these, to one address. Unset: half of them, and all on the loopback."""
    starts_per_minute: int | None = Field(None, ge=1)
    """Conversations begun, to one address. Unset: 60, and no limit on the loopback."""
    max_connections: int = Field(512, ge=8)
    """Open connections, whatever they do; more are closed unheard."""
    connects_per_s: float = Field(100.0, gt=0)
    """Connections taken in the long run, of all addresses together; 2 s worth of them at once."""
    idle_s: float = Field(600.0, ge=5)
    """A conversation in which nobody speaks is ended after so long. Telephone calls have
    phone.ladder."""
    rejoin_s: float = Field(30.0, ge=0, le=600)
    """A page whose connection broke goes on with its conversation, if it is back so soon."""
    longest_s: float = Field(14_400.0, ge=10)
    """A conversation is ended after so long, whoever talks."""
    drain_s: float = Field(10.0, ge=0)
    """When the server is told to stop, conversations may go on for so long."""

    @model_validator(mode="after")
    def _is_whole(self) -> "ServerSettings":
        if short := [key for key in self.secrets if len(key) < _SHORTEST_KEY]:
            raise ValueError(
                f"{len(short)} of the keys are shorter than {_SHORTEST_KEY} characters; use the "
                'output of: python -c "import secrets; print(secrets.token_urlsafe(24))"'
            )
        if (self.certificate is None) != (self.key_file is None):
            raise ValueError("certificate and key_file belong together: set both, or neither")
        return self

    @property
    def secrets(self) -> tuple[str, ...]:
        """The keys, one by one."""
        written = self.keys.get_secret_value() if self.keys else ""
        return tuple(key for part in written.split(",") if (key := part.strip()))


class LogSettings(_Section):
    """What is logged, on standard error. What people said never is, but with --verbose."""

    format: Literal["text", "json"] = "text"


class TraceSettings(_Section):
    """OpenTelemetry traces of conversations (extra tracing). What people said is in none."""

    enabled: bool = False
    endpoint: str | None = Field(None, pattern=r"^https?://")
    """Base URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318. Unset:
    OTEL_EXPORTER_OTLP_ENDPOINT, else this machine's."""


class TwilioSettings(_Section):
    """Of a Twilio account."""

    auth_token: SecretStr
    """Checks signatures."""
    account_sid: str | None = None
    """With it, calls can be transferred, blind and warm."""
    api_url: str = "https://api.twilio.com"


class TelnyxSettings(_Section):
    """Of a Telnyx account."""

    public_key: str
    """Checks signatures; base64, from the portal."""
    api_key: SecretStr | None = None
    account_sid: str | None = None
    """The account's id. With both, calls can be transferred blind."""
    connection_id: str | None = None
    """Of the TeXML application; with it, warm as well."""
    api_url: str = "https://api.telnyx.com"


class PlivoSettings(_Section):
    """Of a Plivo account."""

    auth_token: SecretStr
    """Checks signatures."""
    auth_id: str | None = None
    """With it, calls can be transferred, blind and warm."""
    api_url: str = "https://api.plivo.com"


class ExotelSettings(_Section):
    """The user and password put into the address given to Exotel; it signs nothing."""

    user: str = Field(min_length=1)
    password: SecretStr


class VonageSettings(_Section):
    """Of a Vonage account."""

    signature_secret: SecretStr
    """Checks signed webhooks, which must be switched on."""
    application_id: str | None = None
    private_key: Path | None = None
    """PEM file of the application's key. With both, calls can be transferred, blind and warm."""
    api_url: str = "https://api.nexmo.com"


class GenesysSettings(_Section):
    """Of a Genesys Cloud Audio Connector integration."""

    api_key: SecretStr
    client_secret: SecretStr
    """Base64."""


class LadderSettings(_Section):
    """What becomes of a telephone call in which nobody speaks, or that does not end."""

    ask_after_s: float = Field(8.0, ge=1, le=120)
    """Silence of both before each question."""
    asks: int = Field(2, ge=0, le=10)
    """Questions; the silence after the last one ends the call."""
    longest_s: float = Field(3600.0, ge=10)
    """Of a call, whoever talks."""
    question: str = "Are you still there?"
    farewell: str = "I can't hear you, so I'll hang up now. Goodbye."
    time_is_up: str = "I'm sorry, we have run out of time. Goodbye."


class PhoneSettings(_Section):
    """Telephone calls. A provider is served once its section is there."""

    public_url: str = Field("", pattern=r"^(https?://[^/?#]+)?$")
    """Address of this server as providers see it, such as https://voice.example. Signatures are
    checked against it."""
    transfer_to: tuple[str, ...] = ()
    """The only numbers calls may be transferred to."""
    ladder: LadderSettings = LadderSettings()
    recordings: Path | None = None
    """Directory of recordings. Unset, nothing is ever recorded."""
    keep_days: float = Field(30.0, gt=0)
    """Recordings are deleted after so long."""
    record_all: bool = False
    """Record every call from its start: only where callers are told before they are connected."""
    detect_machines: bool = False
    """On calls we make, find out first whether a person answers, and speak to no machine."""
    voicemail: str = ""
    """What a machine is told after its beep. Empty: nothing, we hang up."""
    twilio: TwilioSettings | None = None
    telnyx: TelnyxSettings | None = None
    plivo: PlivoSettings | None = None
    exotel: ExotelSettings | None = None
    vonage: VonageSettings | None = None
    genesys: GenesysSettings | None = None

    @model_validator(mode="after")
    def _needs_public_url(self) -> "PhoneSettings":
        providers = (self.twilio, self.telnyx, self.plivo, self.exotel, self.vonage, self.genesys)
        if any(providers) and not self.public_url:
            raise ValueError("set public_url to the https address at which providers reach us")
        return self


class SipSettings(_Section):
    """Telephone calls without a provider: duplex serve --sip."""

    enabled: bool = False
    host: str = "127.0.0.1"
    """Address to listen on. 0.0.0.0 lets telephones of the network call."""
    port: int = Field(5060, ge=0, le=65535)
    """UDP. 0 takes a free one and prints it."""
    advertised_host: str = ""
    """Address that telephones are told instead, behind an address translator."""
    rtp_ports: tuple[int, int] = (0, 0)
    """First and last UDP port of audio, for a firewall. 0 takes any free one."""
    accept_from: tuple[str, ...] = (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
    """Networks whose calls are taken; all others hear nothing at all."""
    user: str = "duplex"
    password: SecretStr = SecretStr("")
    opus: bool = True
    """Wideband audio with telephones that have it. Needs libopus: the extra opus, or the machine's
    own."""
    encrypt: bool = False
    """Take and make only calls whose audio is encrypted (SRTP). Otherwise it is where the other
    side offers it. Needs the extra srtp, and TLS for its keys to be secret."""
    tcp: bool = False
    """Listen to TCP as well, on the same port."""
    certificate: Path | None = None
    """PEM file of who we are to those who call over TLS. Unset, TLS is not listened to."""
    private_key: Path | None = None
    """PEM file of the certificate's key; unset, it is in the same file."""
    tls_port: int = Field(5061, ge=0, le=65535)
    """0 takes a free one and prints it."""
    authority: Path | None = None
    """PEM file of whom we trust when we call over TLS. Unset: whom this machine trusts."""
    registrar: str | None = None
    """Exchange that gives us a number, such as sip:192.168.1.1 or sip:pbx.example;transport=tls.
    Unset: calls come directly."""
    expires_s: int = Field(600, ge=60, le=86_400)
    """How long a registration holds; it is renewed at half of that."""

    @field_validator("registrar")
    @classmethod
    def _is_uri(cls, given: str | None) -> str | None:
        if given is not None and not re.fullmatch(r"sips?:[^\s@]+", given):
            raise ValueError("give a URI without a user, such as sip:192.168.1.1")
        return given


class RecordSettings(_Section):
    """Conversations kept to be replayed: duplex record. Unset, nothing is ever kept."""

    folder: Path | None = None
    """Where each conversation gets a folder of its own."""
    consent: Literal["asked", "told"] = "asked"
    """asked: the agent asks first, aloud, and only a yes keeps anything. told: callers were told
    before they were connected."""
    question: str = "May I record this conversation, to find out what goes wrong?"
    keep_days: float | None = Field(None, gt=0)
    """After that a conversation is deleted. Unset it stays, as material for tests does, until
    duplex forget."""


class AsteriskSettings(_Section):
    """Calls that Asterisk brings over a socket."""

    host: str = "127.0.0.1"
    """Address AudioSocket listens on. It knows no password: keep it in a private network."""
    audiosocket_port: int | None = Field(None, ge=0, le=65535)
    """TCP. 0 takes a free one and prints it; unset, AudioSocket is off."""
    token: SecretStr | None = Field(None, min_length=16)
    """Last part of the address given to chan_websocket; unset, it is off."""


class ModelSettings(_Section):
    """Which models, by name, and where weights are. See docs/pipelines.md for the names."""

    asr: Annotated[str, AfterValidator(model_named("asr"))] | None = None
    """Such as moonshine:tiny. Unset: the section asr."""
    llm: tuple[Annotated[str, AfterValidator(model_named("llm"))], ...] = ()
    """Such as openai:http://127.0.0.1:11434/v1#qwen3:4b. Others after the first answer when it is
    late or fails. Unset: the section llm."""
    tts: Annotated[str, AfterValidator(model_named("tts"))] | None = None
    """Such as kokoro:af_heart. Unset: the section tts."""
    tts_standby: tuple[Annotated[str, AfterValidator(model_named("tts"))], ...] = ()
    """Voices that speak when the first one fails or is late, in order."""
    paths: Mapping[str, Path] = Field(default_factory=dict)
    """Directories to use instead of the cache, by model name."""


class McpServerSettings(_Section):
    """A server of the Model Context Protocol (extra mcp): a command, or a URL."""

    command: tuple[str, ...] = ()
    """Such as [python, weather.py]."""
    url: str = ""
    key_variable: str = ""
    """Environment variable with the server's bearer token."""
    only: tuple[str, ...] = ()
    """Tools to take. Empty: all."""
    confirm: Mapping[str, str] = Field(default_factory=dict)
    """Tools that are asked about aloud first, each with the question."""
    timeout_s: float = Field(10.0, gt=0)

    @model_validator(mode="after")
    def _is_one(self) -> "McpServerSettings":
        if bool(self.command) == bool(self.url):
            raise ValueError("an MCP server has a command or a url, and not both")
        return self


class AgentSettings(_Section):
    """What the agent is told to be."""

    name: str = "Duplex"
    instructions: str = (
        "You are Duplex, a friendly voice assistant running on this computer, without a network."
    )
    greeting: str = "Hi, I'm Duplex. What can I do for you?"
    """Spoken first. Empty: the caller speaks first."""
    tools: tuple[Annotated[str, Field(pattern=PYTHON_NAME)], ...] = ()
    """Python functions the agent may call, each written module:name."""
    mcp: tuple[McpServerSettings, ...] = ()
    """Servers whose tools the agent has as well."""
    flow: str | None = Field(None, pattern=PYTHON_NAME)
    """Python flow the conversation goes through first, written module:name."""
    pipecat_flow: Path | None = None
    """Pipecat Flows file, YAML or JSON, whose nodes take the instructions' place."""
    pipecat_handlers: str | None = None
    """Python module with the functions that file names."""


class Settings(_Section):
    """All of it."""

    agent: AgentSettings = AgentSettings()
    asr: AsrSettings = AsrSettings()
    turns: TurnSettings = TurnSettings()
    llm: LlmSettings = LlmSettings()
    tts: TtsSettings = TtsSettings()
    playout: PlayoutSettings = PlayoutSettings()
    server: ServerSettings = ServerSettings()
    logs: LogSettings = LogSettings()
    traces: TraceSettings = TraceSettings()
    sip: SipSettings = SipSettings()
    asterisk: AsteriskSettings = AsteriskSettings()
    record: RecordSettings = RecordSettings()
    models: ModelSettings = ModelSettings()
    phone: PhoneSettings = PhoneSettings()


def load(
    given: Path | Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings; what the environment says wins.

    Args:
        given: A YAML file, whose absence is an error, or what would be in one. None reads the
            environment alone.
        environ: Instead of the process's environment.

    Raises:
        SettingsError: Unreadable file, unknown key or bad value; names the place and the fix.
    """
    environ = os.environ if environ is None else environ
    file = document.read(given) if isinstance(given, Path) else document.Document(dict(given or {}))
    values = file.filled(Settings, environ)
    _merge(values, _from_environ(environ))
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(document.explain(error, file, Settings)) from None


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in environ.items():
        if not name.startswith(ENV_PREFIX) or "__" not in name:
            continue
        *sections, key = name.removeprefix(ENV_PREFIX).lower().split("__")
        target = values
        for section in sections:
            target = target.setdefault(section, {})
        target[key] = text
    return values


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value
