"""Cut at random, the agent remembers what was played: the short form of benchmarks/heard.py."""

import pytest

from agent.tts.student import StudentVoice
from benchmarks.heard import cut_often

pytestmark = pytest.mark.model


def test_the_context_ends_where_the_listener_was_cut_off():
    for kind, found in cut_often(12, 7, StudentVoice()).items():
        assert found["wrong"] == [], kind
        assert (found["cuts"], found["cuts_with_an_unplayed_word"]) == (6, 0), kind
        assert found["told_share"] == 1.0, kind
