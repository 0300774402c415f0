"""The readings of the one posterior that all stages share. Pure.

The thresholds are for Silero's posterior; SODA's (DESIGN.md) are on another scale.
"""

from agent.vad.endpointer import EndpointerSettings

PREFETCH = EndpointerSettings(
    on_probability=0.4, off_probability=0.2, min_speech_s=0.032, min_silence_s=0.096
)
"""Something may be speech. Opens the recogniser's gate, ducks the agent, vetoes an end of turn:
early, since each of these is undone at no cost."""

CONFIRMATION = EndpointerSettings()
"""It is speech: it opens a turn, or pauses the agent."""
