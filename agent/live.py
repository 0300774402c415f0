"""Which settings the next conversation takes from a file that has changed. Pure.

What a conversation is held with comes at once, or as soon as its models are loaded. What the
process listens to, and whom it lets in, waits for a restart.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from agent.settings import Settings

LIVE: Mapping[str, frozenset[str]] = {
    "asr": frozenset({"hints", "language", "private"}),
    "turns": frozenset(
        {
            "profile",
            "cut_off_cost_s",
            "speculate",
            "interrupt_s",
            "wake_phrases",
            "wake_required",
        }
    ),
    "llm": frozenset({"max_tokens", "temperature", "seed", "first_token_s"}),
    "tts": frozenset({"first_audio_s"}),
    "playout": frozenset({"packet_s", "lead_s"}),
    "server": frozenset({"idle_s", "longest_s"}),
    "phone": frozenset({"ladder", "transfer_to", "record_all", "detect_machines", "voicemail"}),
    "record": frozenset({"consent", "question"}),
}
"""By section. The section agent is read by whoever makes the agent."""


MODELS: Mapping[str, frozenset[str]] = {
    "models": frozenset({"asr", "llm", "tts", "tts_standby", "paths"}),
    "asr": frozenset({"model", "mode", "cloud"}),
    "llm": frozenset({"url", "model", "key", "embedded", "threads"}),
    "tts": frozenset({"tier", "voice"}),
    "turns": frozenset({"policy"}),
}
"""What is loaded anew, beside what runs, before the next conversation has it."""


def with_models(running: Settings, file: Settings) -> Settings:
    """Return settings with the models that a file names.

    Args:
        running: Of the process.
        file: As the file is now.
    """
    return _taken(running, file, MODELS)


def applied(running: Settings, file: Settings) -> Settings:
    """Return the settings of the next conversation.

    Args:
        running: Of the process, with what the command line has changed.
        file: As the file is now.
    """
    return _taken(running, file, LIVE)


def waiting(before: Settings, now: Settings) -> list[str]:
    """Name what has changed and needs a restart, as ``server.port``."""
    return list(_waiting(before.model_dump(), now.model_dump()))


def _taken(running: Settings, file: Settings, which: Mapping[str, frozenset[str]]) -> Settings:
    sections = {
        name: getattr(running, name).model_copy(
            update={key: getattr(getattr(file, name), key) for key in keys}
        )
        for name, keys in which.items()
    }
    return running.model_copy(update=sections)


def _waiting(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for section, values in now.items():
        if section == "agent":
            continue
        for key, value in values.items():
            comes = LIVE.get(section, frozenset()) | MODELS.get(section, frozenset())
            if value != before[section][key] and key not in comes:
                yield f"{section}.{key}"
