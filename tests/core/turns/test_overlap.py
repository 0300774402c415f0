import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.asr.hypothesis import Word
from agent.turns.hotwords import Hotword, HotwordAction
from agent.turns.overlap import OverlapKind, OverlapVerdict
from agent.turns.overlap_evidence import AgentSpeech, OverlapHop, OverlapWords

HOP, RATE = 512, 16_000
ONSET, CONFIRMED = 10 * HOP, 13 * HOP
TALE = AgentSpeech(
    said=tuple("Saturn is the sixth planet from the sun and the second".split()),
    unsaid=tuple("largest in the solar system after Jupiter".split()),
)


class Over:
    """Speech over the agent, hop by hop."""

    def __init__(self, agent=TALE, echoes=0):
        self.judge = OverlapVerdict(ONSET, CONFIRMED, agent, echoes=echoes)
        self.at = CONFIRMED
        self.changes = []

    def tell(self, evidence):
        verdict = self.judge.push(evidence)
        if not self.changes or verdict is not self.changes[-1]:
            self.changes.append(verdict)
        return self

    def hops(self, probability, duration_s, level=-30.0, echo=-96.0):
        for _ in range(round(duration_s * RATE / HOP)):
            self.at += HOP
            self.tell(OverlapHop(self.at, probability, level, echo))
        return self

    def speech(self, duration_s, **levels):
        return self.hops(0.95, duration_s, **levels)

    def silence(self, duration_s):
        return self.hops(0.02, duration_s, level=-70.0)

    def hears(self, text, half="", confidence=0.9):
        """`half`: the word that is still being spoken."""
        words = tuple(Word(part, ONSET, self.at, confidence) for part in text.split())
        unfinished = Word(half, ONSET, self.at, confidence) if half else None
        return self.tell(OverlapWords(self.at, words, self.at, unfinished))

    @property
    def kind(self):
        return self.judge.verdict.kind.name

    @property
    def decided_s(self):
        return (self.judge.verdict.at_sample - CONFIRMED) / RATE


@pytest.mark.parametrize("word", ["Yeah.", "Mm-hmm.", "Okay.", "Right, I see.", "Oh wow."])
def test_a_backchannel_leaves_the_agent_the_floor(word):
    over = Over().speech(0.25).silence(0.1).hears(word).silence(0.2)
    assert over.kind == "BACKCHANNEL"
    assert over.decided_s <= 0.7


def test_okay_to_a_question_is_an_answer():
    agent = AgentSpeech(said=("Shall", "I", "book", "it?"), unsaid=("It", "costs"))
    assert Over(agent).speech(0.25).hears("Okay.").kind == "INTERRUPTION"
    assert Over(agent).speech(0.25).hears("Mhm, um.").silence(1).kind == "INTERRUPTION"
    long_ago = AgentSpeech(said=(*agent.said, *"and so on for very many words now".split()))
    assert Over(long_ago).speech(0.25).hears("Um.").silence(1).kind == "BACKCHANNEL"


@pytest.mark.parametrize("text", ["book tomorrow", "no", "but the ring", "okay book the car"])
def test_words_with_content_take_the_floor_at_once(text):
    over = Over().speech(0.2).hears(text)
    assert over.kind == "INTERRUPTION"


def test_speech_that_goes_on_takes_the_floor_without_words():
    over = Over().speech(1.0)
    assert over.kind == "INTERRUPTION"
    assert over.decided_s < 0.7


def test_a_cough_is_a_noise():
    assert Over().speech(0.1).silence(0.1).hears("").silence(0.2).kind == "NOISE"


def test_there_is_a_verdict_even_if_the_recogniser_is_stuck():
    for length in (0.03, 0.2, 0.4, 0.6):
        over = Over().speech(length).silence(1.0)
        assert over.kind != "UNDECIDED"
        assert over.decided_s <= 0.7


def test_our_own_level_is_echo_and_a_louder_voice_is_not():
    assert Over().speech(0.9, level=-32.0, echo=-30.0).kind == "ECHO"
    assert Over().speech(0.9, level=-20.0, echo=-30.0).kind == "INTERRUPTION"


def test_what_the_agent_is_saying_is_echo_whatever_its_level():
    over = Over().speech(0.4).hears("and the second largest")
    assert over.kind == "ECHO"


def test_more_words_turn_a_backchannel_into_an_interruption():
    over = Over().speech(0.2).silence(0.1).hears("Okay.").silence(0.3)
    assert over.kind == "BACKCHANNEL"
    over.speech(0.4).hears("Okay. Book the flight.")
    assert over.kind == "INTERRUPTION"
    over.hears("Okay.").silence(2)
    assert over.kind == "INTERRUPTION"


def test_speech_in_tatters_does_not_take_the_floor_by_going_on():
    over = Over()
    for _ in range(8):
        over.hops(0.95, 0.064).hops(0.2, 0.064)
    assert over.kind == "NOISE"
    assert over.speech(0.5).hears("book the flight now").kind == "INTERRUPTION"


def test_nods_do_not_add_up_to_a_turn():
    over = Over()
    for _ in range(5):
        over.speech(0.2).hears("Yeah.").silence(0.5)
    assert over.kind == "BACKCHANNEL"


def test_doubted_words_and_the_agents_own_do_not_count():
    over = Over().speech(0.3)
    words = (Word("car", ONSET, over.at, 0.2), Word("Jupiter", ONSET, over.at, 0.9))
    over.tell(OverlapWords(over.at, words, over.at))
    assert over.kind in ("UNDECIDED", "ECHO")


def test_doubts_about_a_nod_that_is_over_do_not_make_it_more_than_one():
    nod = Over().speech(0.4).hears("Uh", half="okay").speech(0.4)
    assert nod.silence(0.1).hears("Ah ok", confidence=0.3).kind == "BACKCHANNEL"
    # What goes on behind it is no nod.
    assert nod.speech(0.2).kind == "INTERRUPTION"


def test_words_that_come_in_the_place_of_a_nod_must_be_sure():
    def read_anew(confidence):
        nod = Over().speech(0.2).hears("Huh", confidence=0.6).speech(0.1)
        return nod.hears("Come on", confidence=confidence)

    assert read_anew(0.65).silence(0.3).kind == "BACKCHANNEL"
    assert read_anew(0.65).speech(0.7).kind == "INTERRUPTION"
    assert read_anew(0.9).kind == "INTERRUPTION"
    assert Over().speech(0.3).hears("Come on", confidence=0.65).kind == "INTERRUPTION"
    # Words behind the nod are no other reading of it.
    more = Over().speech(0.2).hears("Ok").speech(0.2).hears("Okay book the table", confidence=0.65)
    assert more.kind == "INTERRUPTION"


def test_half_a_word_behind_the_first_tells_an_order_from_a_nod():
    assert Over().speech(0.2).hears("make").kind == "UNDECIDED"
    assert Over().speech(0.2).hears("make", "me").kind == "INTERRUPTION"
    assert Over().speech(0.3).hears("make", "sense").silence(1).kind == "BACKCHANNEL"


def test_half_a_word_does_not_count_where_the_words_are_guessed():
    assert Over().speech(0.2).hears("make", "me", confidence=0.4).kind == "UNDECIDED"


@pytest.mark.parametrize("echo, kind", [(-43.0, "INTERRUPTION"), (-41.0, "UNDECIDED")])
def test_half_a_word_counts_only_far_above_our_own_echo(echo, kind):
    over = Over().speech(0.1, level=-30.0, echo=echo)
    # The agent has been paused, and nothing of it comes back any more.
    over.speech(0.1, level=-30.0).hears("make", "me")
    assert over.kind == kind


def test_doubtful_words_take_the_floor_later_where_our_own_voice_comes_back():
    def needs_s(echo):
        over = Over().speech(0.1, level=-30.0, echo=echo).hears("car", confidence=0.3)
        while over.kind == "UNDECIDED":
            over.speech(HOP / RATE, level=-30.0, echo=echo)
        assert over.kind == "INTERRUPTION"
        return over.judge.verdict.figures["speech_s"]

    assert needs_s(echo=-60.0) == pytest.approx(0.45, abs=0.033)
    assert needs_s(echo=-40.0) == pytest.approx(0.55, abs=0.033)


@pytest.mark.parametrize(
    "echoes, level, kind",
    [(2, -30.0, "INTERRUPTION"), (3, -30.0, "UNDECIDED"), (3, -10.0, "INTERRUPTION")],
)
def test_words_at_our_level_need_a_steadier_voice_after_many_echoes(echoes, level, kind):
    over = Over(echoes=echoes).hops(0.88, 0.3, level=level, echo=-25.0)
    assert over.hears("book tomorrow").kind == kind


@pytest.mark.parametrize("level", [-30.0, -10.0])
@pytest.mark.parametrize(
    "probability, spoken_s, kind",
    [(1.0, 0.5, "UNDECIDED"), (1.0, 1.0, "ECHO"), (1.0, 1.3, "INTERRUPTION"), (0.97, 2.0, "ECHO")],
)
def test_only_a_voice_held_for_long_counts_while_it_is_not_known_what_the_agent_says(
    level, probability, spoken_s, kind
):
    # Bursts of our own voice that a canceller left are loud and clear, and can be understood.
    over = Over(AgentSpeech()).hops(probability, spoken_s, level=level, echo=-25.0)
    assert over.hears("book the later one").kind == kind


def test_a_voice_held_for_long_takes_the_floor_of_an_unknown_speaker_without_words():
    heard = {"level": -10.0, "echo": -25.0}
    assert Over(AgentSpeech()).hops(1.0, 1.3, **heard).kind == "INTERRUPTION"
    # Two bursts are none that is held.
    over = Over(AgentSpeech()).hops(1.0, 0.8, **heard).hops(0.3, 0.1, **heard)
    assert over.hops(1.0, 0.8, **heard).kind == "ECHO"


def test_an_agent_of_which_nothing_comes_back_is_interrupted_at_once_whatever_it_says():
    # It may be silent as yet: a tool is running.
    assert Over(AgentSpeech()).speech(0.5).hears("book the later one").kind == "INTERRUPTION"
    assert Over(AgentSpeech()).speech(1.0).kind == "INTERRUPTION"


def test_a_hotword_decides():
    def hotword(action):
        return Hotword(action, "x", 0, 0, ONSET, CONFIRMED, 0.0)

    assert Over().tell(hotword(HotwordAction.STOP)).kind == "INTERRUPTION"
    assert Over().tell(hotword(HotwordAction.GO_ON)).kind == "BACKCHANNEL"
    assert Over(AgentSpeech()).tell(hotword(HotwordAction.STOP)).kind == "INTERRUPTION"


def test_every_verdict_tells_its_figures():
    verdict = Over().speech(1.0).judge.verdict
    assert verdict.reason.startswith("speech that goes on")
    assert verdict.figures["speech_s"] >= 0.6


evidence = st.lists(
    st.tuples(
        st.floats(0, 1), st.floats(-96, 0), st.floats(-96, 0), st.none() | st.text(max_size=20)
    ),
    min_size=25,
    max_size=60,
)


@settings(max_examples=15, deadline=None)
@given(evidence, st.sampled_from([TALE, AgentSpeech()]))
def test_whatever_comes_there_is_a_verdict_in_time_and_an_interruption_stands(steps, agent):
    over = Over(agent)
    for probability, level, echo, text in steps:
        over.hops(probability, HOP / RATE, level=level, echo=echo)
        if text is not None:
            over.hears(text)
        if over.at >= CONFIRMED + round(0.7 * RATE):
            assert over.judge.verdict.kind is not OverlapKind.UNDECIDED
    kinds = [change.kind for change in over.changes]
    assert OverlapKind.INTERRUPTION not in kinds[:-1]
