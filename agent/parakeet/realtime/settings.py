"""What a client of the Realtime protocol configures. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agent.audio.chunk import SAMPLE_RATE
from agent.vad.endpointer import Endpointer, EndpointerSettings
from agent.vad.silero import HOP

Event = dict[str, Any]

_RATES = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}


class EventError(Exception):
    """A client event that cannot be done; told as an ``error`` event."""

    def __init__(self, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


@dataclass(frozen=True, slots=True)
class ServerVad:
    """``turn_detection`` of type ``server_vad``, with OpenAI's defaults.

    Attributes:
        threshold: Of the posterior; below 0.15 less it is silence.
        prefix_padding_s: Kept before speech.
        silence_s: Silence that ends an utterance.
    """

    threshold: float = 0.5
    prefix_padding_s: float = 0.3
    silence_s: float = 0.5

    def endpointer(self) -> Endpointer:
        """A reading of the posterior with these settings."""
        settings = EndpointerSettings(
            on_probability=self.threshold,
            off_probability=max(0.05, self.threshold - 0.15),
            min_silence_s=self.silence_s,
        )
        return Endpointer(settings, SAMPLE_RATE, HOP)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A session's settings.

    Attributes:
        kind: Format of the audio.
        rate: Of PCM, in Hz.
        language: ISO 639-1 code, or None.
        hints: Names to expect: ``keywords`` of the transcription.
        vad: None where the client commits.
        logprobs: Whether they are included.
        model: As the client calls it; every name means the model that is loaded.
    """

    kind: str = "audio/pcm"
    rate: int = 24_000
    language: str | None = None
    hints: tuple[str, ...] = ()
    vad: ServerVad | None = field(default_factory=ServerVad)
    logprobs: bool = False
    model: str | None = None

    def updated(self, session: Mapping[str, Any]) -> "Configuration":
        """With what a ``session.update`` says; what it leaves out stays.

        Raises:
            EventError: A value cannot be used.
        """
        given = _part(_part(session, "audio"), "input")
        found = self
        if given.get("format") is not None:
            found = found._with_format(given["format"])
        if given.get("transcription") is not None:
            found = found._with_transcription(_part(given, "transcription"))
        if "turn_detection" in given:
            found = replace(found, vad=_vad(given["turn_detection"]))
        if isinstance(session.get("include"), list):
            included = "item.input_audio_transcription.logprobs" in session["include"]
            found = replace(found, logprobs=included)
        return found

    def described(self) -> Event:
        """As ``session.created`` and ``session.updated`` tell it."""
        vad: Event | None = None
        if self.vad is not None:
            vad = {
                "type": "server_vad",
                "threshold": self.vad.threshold,
                "prefix_padding_ms": round(self.vad.prefix_padding_s * 1000),
                "silence_duration_ms": round(self.vad.silence_s * 1000),
            }
        kind: Event = {"type": self.kind}
        if self.kind == "audio/pcm":
            kind["rate"] = self.rate
        return {
            "audio": {
                "input": {
                    "format": kind,
                    "transcription": {"model": self.model, "language": self.language},
                    "turn_detection": vad,
                    "noise_reduction": None,
                }
            },
            "include": ["item.input_audio_transcription.logprobs"] if self.logprobs else [],
        }

    def _with_format(self, given: Any) -> "Configuration":
        if not isinstance(given, dict) or given.get("type") not in _RATES:
            kinds = ", ".join(_RATES)
            raise EventError(
                f"format.type is one of {kinds}", "invalid_value", "audio.input.format"
            )
        kind = given["type"]
        rate = given.get("rate", _RATES[kind]) if kind == "audio/pcm" else _RATES[kind]
        if not isinstance(rate, int) or not 8_000 <= rate <= 48_000:
            raise EventError("format.rate is 8000 to 48000", "invalid_value", "audio.input.format")
        return replace(self, kind=kind, rate=rate)

    def _with_transcription(self, given: Mapping[str, Any]) -> "Configuration":
        language, model = given.get("language"), given.get("model")
        keywords = given.get("keywords") or ()
        if language is not None and not isinstance(language, str):
            raise EventError("language is a code such as 'en'", "invalid_value")
        return replace(
            self,
            language=language.split("-")[0].lower() if language else None,
            model=model if isinstance(model, str) else self.model,
            hints=tuple(word for word in keywords if isinstance(word, str)),
        )


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name) or {}
    if not isinstance(found, dict):
        raise EventError(f"{name} is an object", "invalid_value", name)
    return found


def _vad(given: Any) -> ServerVad | None:
    if given is None:
        return None
    if not isinstance(given, dict) or given.get("type") not in ("server_vad", "semantic_vad"):
        raise EventError("turn_detection.type is server_vad", "invalid_value", "turn_detection")
    default = ServerVad()

    def number(name: str, value: float, low: float, high: float) -> float:
        found = given.get(name)
        if found is None:
            return value
        if (
            isinstance(found, bool)
            or not isinstance(found, int | float)
            or not low <= found <= high
        ):
            raise EventError(f"{name} is {low} to {high}", "invalid_value", "turn_detection")
        return float(found)

    return ServerVad(
        threshold=number("threshold", default.threshold, 0.0, 1.0),
        prefix_padding_s=number("prefix_padding_ms", 300, 0, 5000) / 1000,
        silence_s=number("silence_duration_ms", 500, 50, 10_000) / 1000,
    )
