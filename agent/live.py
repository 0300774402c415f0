"""Which settings the next conversation takes from a file that has changed. Pure.

Whatever needs no model to be loaded and no port to be opened. All else waits for a restart.
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
}
"""By section. The section agent is read by whoever makes the agent."""


def applied(running: Settings, file: Settings) -> Settings:
    """Return the settings of the next conversation.

    Args:
        running: Of the process, with what the command line has changed.
        file: As the file is now.
    """
    sections = {
        name: getattr(running, name).model_copy(
            update={key: getattr(getattr(file, name), key) for key in keys}
        )
        for name, keys in LIVE.items()
    }
    return running.model_copy(update=sections)


def waiting(before: Settings, now: Settings) -> list[str]:
    """Name what has changed and needs a restart, as ``server.port``."""
    return list(_waiting(before.model_dump(), now.model_dump()))


def _waiting(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for section, values in now.items():
        if section == "agent":
            continue
        for key, value in values.items():
            if value != before[section][key] and key not in LIVE.get(section, ()):
                yield f"{section}.{key}"
