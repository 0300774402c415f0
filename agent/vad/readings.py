"""The readings of the one posterior that all stages share. Pure.

One model says how likely each hop is speech; four readings of that number decide, each with
thresholds and hangovers of its own. The thresholds are for Silero's posterior; SODA's (DESIGN.md)
are on another scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from agent.vad.endpointer import EndpointerSettings


class Profile(Enum):
    """How the user is going to speak."""

    SHORT = "short"
    """Answers and commands: eager."""

    CONTINUOUS = "continuous"
    """Dictation and open speech, numbers, addresses, stories: patient."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What each reader of the posterior takes for speech.

    Attributes:
        prefetch: Something may be speech. Opens the recogniser's gate, ducks the agent, vetoes an
            end of turn: early, since each of these is undone at no cost.
        confirmation: It is speech: opens a turn, or pauses the agent.
        decision: Of the open turn: it goes on, or has stopped. Its hangover is the least silence
            in which an end is considered.
        gate: At the first hop below it the recogniser is asked for all that was said.
    """

    prefetch: EndpointerSettings
    confirmation: EndpointerSettings
    decision: EndpointerSettings
    gate: float


READINGS: Mapping[Profile, Readings] = {
    Profile.SHORT: Readings(
        prefetch=EndpointerSettings(0.4, 0.2, min_speech_s=0.032, min_silence_s=0.096),
        confirmation=EndpointerSettings(0.5, 0.35, min_speech_s=0.096, min_silence_s=0.096),
        decision=EndpointerSettings(0.5, 0.35, min_speech_s=0.064, min_silence_s=0.096),
        gate=0.35,
    ),
    Profile.CONTINUOUS: Readings(
        prefetch=EndpointerSettings(0.5, 0.2, min_speech_s=0.064, min_silence_s=0.16),
        confirmation=EndpointerSettings(0.6, 0.35, min_speech_s=0.128, min_silence_s=0.16),
        decision=EndpointerSettings(0.4, 0.25, min_speech_s=0.064, min_silence_s=0.16),
        gate=0.25,
    ),
}
"""In SHORT a quiet "no" must open a turn at once; in CONTINUOUS a door must not, and a quiet
syllable inside a turn must not be taken for its end."""
