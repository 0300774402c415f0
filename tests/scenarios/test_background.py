"""Somebody talks behind the caller all the time: he is answered, and the agent is not disturbed."""

import numpy as np

from agent.audio.chunk import samples
from agent.eval.scripted import speech_like
from tests.scenarios.scripted import ScriptedCall

LASTING_S = 22.0
BEHIND_DB = -14.0
"""Still loud enough to be taken for speech."""


def test_a_caller_before_a_television_is_answered_and_so_is_the_next_thing_he_says():
    call = ScriptedCall()
    track = speech_like(LASTING_S) * 10 ** (BEHIND_DB / 20)
    for text, start_s, end_s in (
        ("what time do you open?", 2.0, 4.0),
        ("and where are you?", 12.0, 13.5),
    ):
        call.user_says(text, start_s, end_s)
        track[samples(start_s) : samples(end_s)] = speech_like(end_s - start_s)
    call.plays(track.astype(np.int16), 0.0)
    call.agent_says("We open at nine every day of the week.")
    call.agent_says("In the High Street.")
    outcome = call.run(LASTING_S)

    first, second = outcome.agent_speaks_at()
    assert first[0] < 5.5 and 13.5 < second[0] < 15.0
    assert [turn.heard for turn in outcome.turns[1:]] == [
        "what time do you open?",
        "and where are you?",
    ]
    assert not {"DUCK", "PAUSE", "BARGE_IN"} & set(outcome.decisions())
    assert outcome.turns[1].decision["behind_s"] > 0.2
