"""The scripted models of the test kit, under the name our own tests know them by."""

from agent.eval.scripted import (
    DEAD,
    VOICE_RATE,
    FixedProsody,
    LoudnessPosterior,
    ScriptedLanguage,
    ScriptedRecogniser,
    SteadyVoice,
    speech_like,
)

__all__ = [
    "DEAD",
    "VOICE_RATE",
    "FixedProsody",
    "LoudnessPosterior",
    "ScriptedLanguage",
    "ScriptedRecogniser",
    "SteadyVoice",
    "speech_like",
]
