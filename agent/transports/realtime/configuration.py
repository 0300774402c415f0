"""What a client can set of its session, and how the session is described to it. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.transports.realtime.dialects import unfolded
from agent.transports.realtime.events import Event, EventError, text_of

FORMATS = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}
"""Each format's sample rate, in Hz."""

OPENAI_VOICES = frozenset(
    "alloy ash ballad coral echo fable marin nova onyx sage shimmer verse cedar".split()
)
"""Names every client knows: here all of them are the agent's voice."""

_MOST_TOOLS = 64
_MOST_INSTRUCTIONS = 64_000

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

_WITHOUT_EFFECT = frozenset(
    "type object id model expires_at include tracing truncation prompt reasoning "
    "parallel_tool_calls input_audio_noise_reduction client_secret".split()
)
"""Taken, because clients send them, or send back what they were told."""


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """How turns are found.

    Attributes:
        kind: ``server_vad`` or ``semantic_vad``.
        create_response: Whether a turn that has ended is answered.
        interrupt_response: Whether speech may interrupt an answer.
        eagerness: ``low``, ``medium``, ``high`` or ``auto``, of semantic_vad.
        silence_s: Of server_vad.
        threshold: Of server_vad; told back, and without effect.
        prefix_padding_ms: Likewise.
    """

    kind: str = "semantic_vad"
    create_response: bool = True
    interrupt_response: bool = True
    eagerness: str = "auto"
    silence_s: float = 0.5
    threshold: float = 0.5
    prefix_padding_ms: int = 300

    def described(self) -> Event:
        """Return it as the API does."""
        common: Event = {
            "type": self.kind,
            "create_response": self.create_response,
            "interrupt_response": self.interrupt_response,
        }
        if self.kind == "semantic_vad":
            return {**common, "eagerness": self.eagerness}
        return {
            **common,
            "threshold": self.threshold,
            "prefix_padding_ms": self.prefix_padding_ms,
            "silence_duration_ms": round(self.silence_s * 1000),
            "idle_timeout_ms": None,
        }


@dataclass(frozen=True, slots=True)
class ClientTool:
    """A function that runs at the client.

    Attributes:
        name: What the model calls it.
        description: For the model.
        parameters: JSON schema of an object.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Configuration:
    """A session's settings.

    Attributes:
        model: Told back to the client.
        instructions: For the language model.
        voice: As the client named it.
        voices: Names of the voice in use, besides OpenAI's.
        reserved: Names of the agent's own tools, which run here.
        turn_detection: None: the client says when a turn is over.
        transcription: What recognises; None: the client does not want to see it.
        tools: Which run at the client.
        tool_choice: As the API writes it.
        max_output_tokens: Of one answer; None for the agent's own limit.
        temperature: None for the agent's own.
        writes: Whether the agent answers in text, without a voice.
    """

    model: str
    instructions: str
    voice: str
    voices: frozenset[str] = frozenset()
    reserved: frozenset[str] = frozenset()
    input_format: str = "audio/pcm"
    output_format: str = "audio/pcm"
    turn_detection: TurnDetection | None = TurnDetection()
    transcription: Mapping[str, Any] | None = None
    tools: tuple[ClientTool, ...] = ()
    tool_choice: Any = "auto"
    max_output_tokens: int | None = None
    temperature: float | None = None
    writes: bool = False

    def updated(self, session: Any) -> "Configuration":
        """Return the settings with those of an update.

        Raises:
            EventError: One of them cannot be.
        """
        if not isinstance(session, dict):
            raise EventError("session must be an object", "missing_required_parameter", "session")
        if session.get("type", "realtime") != "realtime":
            raise EventError('session.type must be "realtime"', "invalid_value", "session.type")
        changes: dict[str, Any] = {}
        for key, value in unfolded(session).items():
            if key in _WITHOUT_EFFECT:
                continue
            read = _READ.get(key)
            if read is None:
                place = f"session.{key}"
                raise EventError(f"unknown parameter: {place}", "unknown_parameter", place)
            changes |= read(self, value)
        return replace(self, **changes)

    def described(self, session_id: str) -> Event:
        """Return the session as the API does."""
        detection = self.turn_detection
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": self.model,
            "output_modalities": modalities(writes=self.writes),
            "instructions": self.instructions,
            "tools": [_tool(tool) for tool in self.tools],
            "tool_choice": self.tool_choice,
            "max_output_tokens": self.max_output_tokens or "inf",
            "expires_at": None,
            "audio": {
                "input": {
                    "format": _format(self.input_format),
                    "transcription": self.transcription and dict(self.transcription),
                    "noise_reduction": None,
                    "turn_detection": detection and detection.described(),
                },
                "output": {
                    "format": _format(self.output_format),
                    "voice": self.voice,
                    "speed": 1.0,
                },
            },
        }


def modalities(*, writes: bool) -> list[str]:
    """Name them as the API does."""
    return ["text"] if writes else ["audio"]


def read_tools(given: Any, reserved: frozenset[str], place: str) -> tuple[ClientTool, ...]:
    """Return the tools of a list.

    Raises:
        EventError: One of them is no function, or bears a name that is taken.
    """
    if not isinstance(given, list) or len(given) > _MOST_TOOLS:
        raise EventError(f"{place} is a list of at most {_MOST_TOOLS}", "invalid_type", place)
    tools = tuple(_read_tool(tool, f"{place}[{index}]") for index, tool in enumerate(given))
    for index, tool in enumerate(tools):
        where = f"{place}[{index}].name"
        if tool.name in reserved:
            raise EventError(f"{tool.name} is a tool of the agent's own", "invalid_value", where)
        if any(tool.name == other.name for other in tools[:index]):
            raise EventError(f"{tool.name} is there twice", "invalid_value", where)
    return tools


def read_choice(value: Any, names: list[str]) -> Any:
    """Return a choice of tools as servers of language models take it.

    Raises:
        EventError: It is none.
    """
    if value in ("auto", "none", "required"):
        return value
    name = value.get("name") if isinstance(value, dict) else None
    if isinstance(value, dict) and value.get("type") == "function" and name in names:
        return {"type": "function", "function": {"name": name}}
    raise EventError(
        'tool_choice is "auto", "none", "required" or names a function of the session',
        "invalid_value",
        "session.tool_choice",
    )


def _read_tool(given: Any, place: str) -> ClientTool:
    if not isinstance(given, dict) or given.get("type", "function") != "function":
        raise EventError(f"{place} must be a function; MCP is set at the agent", param=place)
    name = text_of(given, "name", f"{place}.name")
    if not _NAME.fullmatch(name):
        raise EventError("a name has letters, digits, _ and -", param=f"{place}.name")
    parameters = given.get("parameters") or {"type": "object", "properties": {}}
    fits = isinstance(parameters, dict) and isinstance(parameters.get("properties", {}), dict)
    required = parameters.get("required", []) if fits else None
    if not isinstance(required, list) or not all(isinstance(part, str) for part in required):
        raise EventError("parameters are a JSON schema of an object", param=f"{place}.parameters")
    description = text_of(given, "description", f"{place}.description", "")
    return ClientTool(name, description, parameters)


def _read_instructions(_: Configuration, value: Any) -> dict[str, Any]:
    text = text_of({"instructions": value}, "instructions", "session.instructions", "")
    if len(text) > _MOST_INSTRUCTIONS:
        raise EventError(
            f"instructions have at most {_MOST_INSTRUCTIONS} characters",
            "too_long",
            "session.instructions",
        )
    return {"instructions": text}


def _read_voice(now: Configuration, value: Any) -> dict[str, Any]:
    name = value.get("id") if isinstance(value, dict) else value
    if name is None:
        return {}
    if not isinstance(name, str) or name not in now.voices | OPENAI_VOICES:
        known = ", ".join(sorted(now.voices))
        raise EventError(
            f"this agent speaks as {known}; OpenAI's names mean the same voice. Another one is "
            "chosen at the server, with models.tts",
            "invalid_value",
            "session.audio.output.voice",
        )
    return {"voice": name}


def _read_modalities(_: Configuration, value: Any) -> dict[str, Any]:
    # The beta asks for a voice and its transcript with both.
    if not isinstance(value, list) or value not in (
        ["audio"],
        ["text"],
        ["audio", "text"],
        ["text", "audio"],
    ):
        raise EventError(
            'output_modalities is ["audio"], whose transcript comes with it, or ["text"]',
            "invalid_value",
            "session.output_modalities",
        )
    return {"writes": "audio" not in value}


def _read_format(key: str) -> "Callable[[Configuration, Any], dict[str, Any]]":
    place = f"session.audio.{key.removesuffix('_format')}.format"

    def read(_: Configuration, value: Any) -> dict[str, Any]:
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in FORMATS:
            raise EventError(f"{place}.type is one of {', '.join(FORMATS)}", param=place)
        if kind == "audio/pcm" and value.get("rate") not in (None, FORMATS[kind]):
            raise EventError("audio/pcm has 24000 samples a second", param=f"{place}.rate")
        return {key: kind}

    return read


def _read_transcription(now: Configuration, value: Any) -> dict[str, Any]:
    if value is None or isinstance(value, dict):
        # Whatever model a client names, the agent's own recogniser hears.
        return {"transcription": value}
    place = "session.audio.input.transcription"
    raise EventError(f"{place} must be an object or null", "invalid_type", place)


def _read_detection(_: Configuration, value: Any) -> dict[str, Any]:
    place = "session.audio.input.turn_detection"
    if value is None:
        return {"turn_detection": None}
    if not isinstance(value, dict) or value.get("type") not in ("server_vad", "semantic_vad"):
        raise EventError(f'{place}.type is "server_vad" or "semantic_vad"', param=f"{place}.type")
    if value.get("idle_timeout_ms") is not None:
        raise EventError("idle_timeout_ms is not supported", param=f"{place}.idle_timeout_ms")
    eagerness = value.get("eagerness") or "auto"
    if eagerness not in ("low", "medium", "high", "auto"):
        raise EventError("eagerness is low, medium, high or auto", param=f"{place}.eagerness")
    return {
        "turn_detection": TurnDetection(
            value["type"],
            _flag(value, "create_response", place),
            _flag(value, "interrupt_response", place),
            eagerness,
            _number(value, "silence_duration_ms", place, 500, 50, 10_000) / 1000,
            _number(value, "threshold", place, 0.5, 0.0, 1.0),
            round(_number(value, "prefix_padding_ms", place, 300, 0, 10_000)),
        )
    }


def _read_tools(now: Configuration, value: Any) -> dict[str, Any]:
    return {"tools": read_tools(value or [], now.reserved, "session.tools")}


def _read_tool_choice(now: Configuration, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        # Its function may come with the same update: looked at where it is used.
        name = text_of(value, "name", "session.tool_choice.name")
        return {"tool_choice": {"type": "function", "name": name}}
    return {"tool_choice": read_choice("auto" if value is None else value, [])}


def _read_tokens(_: Configuration, value: Any) -> dict[str, Any]:
    if value in (None, "inf"):
        return {"max_output_tokens": None}
    count = _number({"n": value}, "n", "session.max_output_tokens", None, 1, 4096)
    return {"max_output_tokens": round(count)}


def _read_temperature(_: Configuration, value: Any) -> dict[str, Any]:
    if value is None:
        return {"temperature": None}
    return {"temperature": _number({"n": value}, "n", "session.temperature", None, 0, 2)}


def _read_speed(_: Configuration, value: Any) -> dict[str, Any]:
    if value not in (None, 1):
        place = "session.audio.output.speed"
        raise EventError("speed must be 1: the voice has one pace", param=place)
    return {}


def _flag(given: Event, key: str, place: str) -> bool:
    value = given.get(key)
    if value is None:
        return True
    if not isinstance(value, bool):
        raise EventError(f"{place}.{key} is true or false", "invalid_type", f"{place}.{key}")
    return value


def _number(
    given: Event, key: str, place: str, default: float | None, least: float, most: float
) -> float:
    value = given.get(key)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise EventError(f"{place}.{key} is a number from {least} to {most}", param=place)
    return value


def _tool(tool: ClientTool) -> Event:
    described = {"type": "function", "name": tool.name, "description": tool.description}
    return {**described, "parameters": dict(tool.parameters)}


def _format(kind: str) -> Event:
    return {"type": kind, "rate": FORMATS[kind]} if kind == "audio/pcm" else {"type": kind}


_READ: dict[str, Callable[[Configuration, Any], dict[str, Any]]] = {
    "instructions": _read_instructions,
    "voice": _read_voice,
    "output_modalities": _read_modalities,
    "input_audio_format": _read_format("input_format"),
    "output_audio_format": _read_format("output_format"),
    "input_audio_transcription": _read_transcription,
    "turn_detection": _read_detection,
    "tools": _read_tools,
    "tool_choice": _read_tool_choice,
    "max_output_tokens": _read_tokens,
    "temperature": _read_temperature,
    "speed": _read_speed,
}
