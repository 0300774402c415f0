"""People talking behind a caller who has finished."""

from agent.asr.hypothesis import Hypothesis, Word
from agent.turns.events import Heard, SpeechProbability
from tests.core.turns.talk import HOP, RATE, Talk


def talk_behind(talk, duration_s):
    """Hops as `agent.vad.foreground` tells them."""
    for _ in range(round(duration_s * RATE / HOP)):
        talk.at += HOP
        talk.tell(SpeechProbability(talk.at, 0.0, -46.0, -96.0, 0.95, -26.0, -46.0))
    return talk


def test_the_turn_ends_and_the_record_says_who_talked_on():
    talk = Talk().speech(1.5)
    talk_behind(talk, 0.1)
    talk.hears("what time do you open?").sounds(0.9)
    talk_behind(talk, 2.0)
    assert "COMMIT" in talk.kinds()
    commit = next(each for each in talk.decisions if each.kind.name == "COMMIT")
    assert commit.evidence["caller_dbfs"] == -26.0 and commit.evidence["behind_dbfs"] == -46.0
    silence_s = commit.evidence["silence_s"]
    assert abs(commit.evidence["behind_s"] - silence_s) < 0.05


def test_without_anybody_behind_the_record_says_nothing_of_it():
    talk = Talk().speech(1.5).silence(0.1).hears("what time do you open?").silence(2.0)
    commit = next(each for each in talk.decisions if each.kind.name == "COMMIT")
    assert "behind_s" not in commit.evidence


def heard(talk, *words):
    """Words with their first and last second."""
    words = tuple(Word(text, int(a * RATE), int(b * RATE), 0.9) for text, a, b in words)
    text = " ".join(word.text for word in words)
    return talk.tell(Heard(talk.at, Hypothesis(1, text, words, False, 0, talk.at)))


def sounds(talk, dbfs, duration_s, caller=None, behind=None):
    for _ in range(round(duration_s * RATE / HOP)):
        talk.at += HOP
        talk.tell(SpeechProbability(talk.at, 0.95, dbfs, -96.0, None, caller, behind))
    return talk


TELEVISION = (("and", 0.1, 0.4), ("now", 0.5, 0.9), ("sports.", 1.0, 1.5))
ORDER = (("a", 2.1, 2.2), ("latte,", 2.3, 2.9), ("please.", 3.0, 3.5))


def test_what_a_television_said_before_the_caller_is_no_part_of_his_turn():
    talk = sounds(Talk(), -46.0, 2.0)
    sounds(talk, -26.0, 1.5, -26.0, -46.0)
    talk_behind(talk, 0.1)
    heard(talk, *TELEVISION, *ORDER)
    talk_behind(talk, 2.0)
    commit = next(each for each in talk.decisions if each.kind.name == "COMMIT")
    assert int(1.0 * RATE) < commit.words_from < int(2.1 * RATE)


def test_soft_first_words_on_a_quiet_line_are_the_callers():
    talk = sounds(Talk(), -46.0, 2.0)
    sounds(talk, -26.0, 1.5, -26.0, -62.0)
    talk.silence(0.1)
    heard(talk, *TELEVISION, *ORDER)
    talk.silence(2.0)
    commit = next(each for each in talk.decisions if each.kind.name == "COMMIT")
    assert commit.words_from == 0


def test_nothing_is_left_out_where_nothing_would_be_left():
    talk = sounds(Talk(), -46.0, 2.0, -26.0, -46.0)
    heard(talk, *TELEVISION)
    assert talk.policy._hearing.hypothesis.text == "and now sports."


def test_who_talks_for_minutes_keeps_his_first_words():
    talk = sounds(Talk(), -26.0, 90.0, -26.0, -46.0)
    story = [(f"w{second}", second + 0.1, second + 0.8) for second in range(90)]
    for count in (10, 50, 90):
        heard(talk, *story[:count])
        assert len(talk.policy._hearing.hypothesis.words) == count


def test_what_a_television_said_stays_out_however_long_the_caller_talks():
    talk = sounds(Talk(), -46.0, 2.0)
    sounds(talk, -26.0, 3.0, -26.0, -46.0)
    heard(talk, *TELEVISION, *ORDER)
    assert talk.policy._hearing.hypothesis.text == "a latte, please."
    more = []
    for second in range(5, 45):
        sounds(talk, -26.0, 1.0, -26.0, -46.0)
        more.append(("and", second + 0.1, second + 0.8))
        heard(talk, *TELEVISION, *ORDER, *more)
    assert talk.policy._hearing.hypothesis.text == "a latte, please." + 40 * " and"
