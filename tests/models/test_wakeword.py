import numpy as np
import pytest

from agent.errors import SettingsError
from agent.vad.silero import HOP
from agent.vad.wakeword import MODELS, WakeWords, has_model
from tests.speech import RATE, spoken

pytestmark = pytest.mark.model

pytest.importorskip("pymicro_wakeword", reason="only for environments with the extra wakeword")


def heard(text, phrases=MODELS, hop=HOP):
    pcm = np.concatenate([np.zeros(RATE, np.int16), spoken(text), np.zeros(RATE, np.int16)])
    words = WakeWords(phrases)
    hits = [words.push(pcm[at : at + hop], at + hop) for at in range(0, len(pcm) - hop + 1, hop)]
    return [hit for hit in hits if hit]


@pytest.mark.parametrize("hop", [HOP, 160])
def test_a_phrase_is_heard_once(hop):
    assert heard("Hey Jarvis, what time is it?", hop=hop) == ["hey jarvis"]


def test_other_words_are_not():
    assert heard("Saturn is the sixth planet from the sun, and hey, Travis knows it.") == []


def test_only_phrases_with_a_network():
    assert has_model("Hey Jarvis")
    assert not has_model("computer")
    with pytest.raises(SettingsError, match="hey mycroft"):
        WakeWords(["computer"])
