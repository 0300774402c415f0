"""The parts of a conversation that were chosen by name, and those brought along as objects."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipecat.processors.frame_processor import FrameProcessor
from pydantic import SecretStr

from agent.asr.hypothesis import Recogniser
from agent.choices import Choice, imported, parse, split_endpoint
from agent.session import Models
from agent.settings import ModelSettings, Settings
from agent.tts.remote import RemoteVoice
from agent.tts.speech import Voice
from agent.tts.tier import open_voice
from agent.turns.events import TurnPolicy

_TIERS = {"kokoro": "auto", "kokoro-full": "full", "kokoro-student": "student"}


@dataclass(frozen=True, slots=True)
class Parts:
    """What stands in a built-in model's place. None: the settings choose.

    Attributes:
        recogniser: Makes a session's recogniser.
        language: Makes a session's language model service, given the system prompt.
        voice: Speaks, for all sessions.
        policy: Makes a session's turn policy.
    """

    recogniser: Callable[[], Recogniser] | None = None
    language: Callable[[str], FrameProcessor] | None = None
    voice: Voice | None = None
    policy: Callable[[], TurnPolicy] | None = None

    def put_into(self, models: Models) -> Models:
        """Return the models with these parts in their places; the voice is there already."""
        return replace(
            models,
            recogniser=self.recogniser or models.recogniser,
            language=self.language or models.language,
            policy=self.policy or models.policy,
        )


def resolved(settings: Settings, parts: Parts | None = None) -> tuple[Settings, Parts]:
    """Turn names into the settings and parts they stand for; parts brought along win.

    Raises:
        SettingsError: A name stands for nothing.
    """
    parts = parts or Parts()
    models = settings.models
    if models.asr and parts.recogniser is None:
        settings, parts = _asr(parse("asr", models.asr), settings, parts)
    if models.llm and parts.language is None:
        settings, parts = _llm(parse("llm", models.llm[0]), settings, parts)
    if models.tts and parts.voice is None:
        settings, parts = _tts(parse("tts", models.tts), settings, parts)
    if settings.turns.policy and parts.policy is None:
        parts = replace(parts, policy=imported(settings.turns.policy))
    return settings, parts


def named_voice(name: str, paths: Mapping[str, Path] | None = None) -> Voice:
    """Open a voice by any name that `models.tts` takes.

    Args:
        name: Such as ``kokoro:af_heart``.
        paths: Directories to use instead of the cache, by model name.

    Raises:
        SettingsError: The name stands for nothing.
        MissingModelError: Its weights are not here.
    """
    settings, parts = resolved(Settings(models=ModelSettings(tts=name, paths=paths or {})))
    tts = settings.tts
    return parts.voice or open_voice(tts.tier, tts.voice, settings.models.paths)


def backups(settings: Settings) -> Sequence[Choice]:
    """Return the language models that answer when the first one is late or fails."""
    return [parse("llm", name) for name in settings.models.llm[1:]]


def voices_elsewhere(models: ModelSettings) -> list[str]:
    """Return the URLs of the voices that are on other machines."""
    names = [name for name in (models.tts, *models.tts_standby) if name]
    choices = [parse("tts", name) for name in names]
    return [split_endpoint("tts", one.which).url for one in choices if one.kind == "openai"]


def _asr(choice: Choice, settings: Settings, parts: Parts) -> tuple[Settings, Parts]:
    if choice.is_python:
        return settings, replace(parts, recogniser=choice.load())
    if choice.kind == "moonshine":
        return _with(settings, "asr", model=f"moonshine-{choice.which}-en"), parts
    cloud = settings.asr.cloud.model_copy(update={"url": choice.which})
    return _with(settings, "asr", cloud=cloud), parts


def _llm(choice: Choice, settings: Settings, parts: Parts) -> tuple[Settings, Parts]:
    if choice.is_python:
        return settings, replace(parts, language=choice.load())
    if choice.kind == "openai":
        named = split_endpoint("llm", choice.which)
        changes: dict[str, Any] = {"url": named.url, "model": named.model}
        if key := named.key(os.environ):
            changes["key"] = SecretStr(key)
        return _with(settings, "llm", **changes), parts
    embedded = choice.which or settings.llm.embedded
    return _with(settings, "llm", url=None, model=None, embedded=embedded), parts


def _tts(choice: Choice, settings: Settings, parts: Parts) -> tuple[Settings, Parts]:
    if choice.is_python:
        made = choice.load()
        return settings, replace(parts, voice=made() if isinstance(made, type) else made)
    if choice.kind == "openai":
        named = split_endpoint("tts", choice.which)
        model, _, voice = named.model.rpartition(":")
        key = named.key(os.environ) or "none"
        return settings, replace(parts, voice=RemoteVoice(named.url, model or voice, voice, key))
    return _with(settings, "tts", tier=_TIERS[choice.kind], voice=choice.which), parts


def _with(settings: Settings, section: str, **changes: Any) -> Settings:
    changed = getattr(settings, section).model_copy(update=changes)
    return settings.model_copy(update={section: changed})
