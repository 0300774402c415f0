import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.asr.hypothesis import Word
from agent.errors import SettingsError
from agent.turns.hotwords import HotwordAction, Hotwords, HotwordSettings

RATE = 16_000


def utterance(text, *, word_s=0.3, start_s=1.0):
    """Words one behind the other; "..." is a pause of half a second."""
    words, at = [], start_s
    for part in text.split():
        if part == "...":
            at += 0.5
            continue
        words.append(Word(part, round(at * RATE), round((at + word_s) * RATE), 1.0))
        at += word_s
    return tuple(words)


def found(text, *, after_s=0.5, agent_speaking=False, wake=()):
    words = utterance(text)
    now = words[-1].end_sample + round(after_s * RATE)
    hotwords = Hotwords(HotwordSettings(wake_phrases=wake))
    hotword = hotwords.find(words, now, agent_speaking=agent_speaking)
    return hotword and hotword.action.name


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("Stop.", "STOP"),
        ("Stop, stop, stop!", "STOP"),
        ("Okay, stop it please.", "STOP"),
        ("Wait a second.", "WAIT"),
        ("Hold on.", "WAIT"),
        ("Go on, please.", "GO_ON"),
        ("Sorry, can you repeat that?", "REPEAT"),
        ("I’m done.", "DONE"),
        ("That's all, thank you.", "DONE"),
    ],
)
def test_a_hotword_alone_acts_once_speech_has_stopped(text, action):
    assert found(text) == action
    assert found(text, after_s=0.0) is None


@pytest.mark.parametrize(
    "text",
    [
        "The bus stop is around the corner.",
        "Stop at the second crossing and turn left.",
        "I cannot wait until Thursday.",
        "Let's go on a holiday.",
        "When I'm done with the report I'll call you.",
        "I want to continue my subscription.",
        "Repeat prescriptions are free.",
        "Could you stop sending me letters?",
    ],
)
def test_inside_running_speech_it_is_a_word_like_any_other(text):
    assert found(text) is None


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("Stop", "STOP"),
        ("no stop", "STOP"),
        ("wait I meant Tuesday", "WAIT"),
        ("hold on that's not what", "WAIT"),
    ],
)
def test_over_the_agent_the_head_of_the_utterance_is_enough(text, action):
    assert found(text, after_s=0.0, agent_speaking=True) == action


def test_over_the_agent_it_must_still_be_the_head():
    assert found("the next stop is ours", agent_speaking=True) is None
    assert found("I am done", agent_speaking=True) is None


def test_a_tail_behind_a_pause_holds_or_ends_the_turn():
    assert found("My number is ... one moment") == "WAIT"
    assert found("Two coffees and a tea. That's it.") == "DONE"
    assert found("This is how I'm done") is None


@pytest.mark.parametrize("text", ["Hey Jarvis", "hey, Jervis,", "Hey Jar vis what time is it"])
def test_a_wake_phrase_is_known_by_its_sound(text):
    assert found(text, wake=("hey jarvis",)) == "WAKE"


def test_a_wake_phrase_acts_at_the_head_and_behind_a_pause_only():
    wake = ("hey jarvis",)
    assert found("play some music ... hey jarvis stop that", wake=wake) == "WAKE"
    assert found("they called it hey jarvis back then", wake=wake) is None
    assert found("hey travellers come in", wake=wake) is None


def test_positions_are_those_of_the_words():
    words = utterance("okay hold on")
    hotword = Hotwords().find(words, words[-1].end_sample, agent_speaking=True)
    assert (hotword.first_word, hotword.last_word) == (1, 2)
    assert (hotword.start_sample, hotword.end_sample) == (words[1].start_sample, 33_600 - 3_200)


WAKING = Hotwords(HotwordSettings(wake_phrases=("hey jarvis",)))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=8), st.booleans(), st.integers(-5, 10**6))
def test_no_text_breaks_it(texts, agent_speaking, at):
    words = tuple(Word(text, 100 * i, 100 * i + 50, 1.0) for i, text in enumerate(texts))
    hotword = WAKING.find(words, at, agent_speaking=agent_speaking)
    assert hotword is None or words[hotword.first_word].start_sample == hotword.start_sample


def test_a_phrase_must_have_words():
    with pytest.raises(SettingsError, match="words to say"):
        Hotwords(HotwordSettings(wake_phrases=("?!",)))


def test_every_action_but_wake_has_phrases():
    listed = HotwordSettings().phrases
    assert set(HotwordAction) - set(listed) == {HotwordAction.WAKE}
