"""The server's sessions with models that give the same answer every time, in real time."""

from agent.server.sessions import Sessions
from agent.session import Models
from agent.settings import Settings
from agent.turns.ending import EndOfTurn
from agent.turns.policy import FusedPolicy
from tests.scenarios.fakes import (
    FixedProsody,
    LoudnessPosterior,
    ScriptedLanguage,
    ScriptedRecogniser,
    SteadyVoice,
)
from tests.weights import KNOWN

WORD_S = 0.2
GREETING = "one two three four five"
"""Heard as a tone of a second."""


def models(answer: str = GREETING, word: str = "stop.") -> Models:
    """Every caller is understood to say a word each 0.2 s, and is given the same answer."""
    words = [(word, i * WORD_S, (i + 1) * WORD_S) for i in range(600)]
    return Models(
        silero=LoudnessPosterior(),
        smart_turn=FixedProsody(0.95),
        recogniser=lambda: ScriptedRecogniser(words),
        policy=lambda: FusedPolicy(ending=EndOfTurn(KNOWN)),
        voice=SteadyVoice(WORD_S),
        language=lambda _prompt: ScriptedLanguage([answer] * 50),
        names={},
    )


def sessions(
    answer: str = GREETING, *, greeting: str = GREETING, agent=None, word="stop.", **sections
) -> Sessions:
    """A server without models; `sections` as in a settings file, `agent` makes who talks."""
    given = {"agent": {"greeting": greeting}, **sections}
    settings = Settings.model_validate(given)
    return Sessions(settings, models(answer, word), is_offline=True, agent=agent)
