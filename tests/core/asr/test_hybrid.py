"""Edge and cloud: one final, the right one, in time. No clock: seconds are arguments."""

import os
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.asr.hybrid.core import HybridCore, HybridSettings
from agent.asr.hybrid.events import (
    Answer,
    Ask,
    Begin,
    Cancel,
    Correction,
    Final,
    Mode,
    Side,
)
from agent.asr.hybrid.health import CloudHealth
from agent.asr.hybrid.patience import LONGEST_S
from agent.asr.hypothesis import Hypothesis, Word

RATE = 16_000


def heard_by_edge(number: int, text: str, end: int, *, final: bool, sure: float = 0.9):
    words = tuple(Word(word, 0, end, sure) for word in text.split())
    return Hypothesis(number, text, words, final, 0, end)


@dataclass
class Scene:
    """One session's core, its orders and outcomes so far."""

    options: HybridSettings = field(default_factory=lambda: HybridSettings(mode=Mode.PREFER_CLOUD))
    health: CloudHealth = field(default_factory=CloudHealth)
    orders: list = field(default_factory=list)
    outcomes: list = field(default_factory=list)

    def __post_init__(self):
        self.core = HybridCore(self.options, self.health)

    def do(self, step, *arguments, **named):
        getattr(self.core, step)(*arguments, **named)
        orders, outcomes = self.core.take()
        self.orders += orders
        self.outcomes += outcomes
        return [*orders, *outcomes]

    def says(self, number: int, from_s: float, to_s: float, *, private: bool = False):
        """Speech, then 0.1 s of silence."""
        self.do("open", number, 0, is_private=private)
        self.do("heard", RATE // 2, True, from_s)
        self.do("confirm", from_s)
        self.do("heard", RATE // 2, True, to_s)
        self.do("heard", RATE // 10, False, to_s + 0.1)

    def ends(self, number: int, at_s: float, text: str = "edge text", sure: float = 0.9):
        self.do("finish", at_s)
        end = 2 * RATE
        return self.do("edge_said", heard_by_edge(number, text, end, final=True, sure=sure), at_s)

    def of(self, kind):
        return [outcome for outcome in self.outcomes if isinstance(outcome, kind)]

    @property
    def attempt(self) -> int:
        return [order for order in self.orders if isinstance(order, Begin)][-1].attempt


def test_an_answer_that_nobody_asked_for_is_ignored():
    scene = Scene()
    scene.do("open", 1, 0)
    scene.do("heard", RATE // 2, True, 0.0)
    scene.do("confirm", 0.0)
    assert scene.do("answered", scene.attempt, Answer("Too soon."), 0.1) == []
    assert scene.do("drop", 0.2) == [Cancel(scene.attempt)]


def test_the_cloud_answers_in_the_pause_and_the_final_waits_for_nothing():
    scene = Scene()
    scene.says(1, 0.0, 1.0)
    assert scene.orders == [Begin(1, 1), Ask(1)]
    assert scene.do("answered", 1, Answer("Cloud text."), 1.2) == []
    assert scene.core.due_s is None
    (final,) = scene.do("finish", 1.35)
    assert (final.hypothesis.text, final.side) == ("Cloud text.", Side.CLOUD)
    assert final.hypothesis.is_final


def test_before_the_turns_end_only_a_cloud_without_an_edge_is_shown():
    scene = Scene(HybridSettings(mode=Mode.CLOUD))
    scene.says(1, 0.0, 1.0)
    (shown,) = scene.do("answered", 1, Answer("Hello there."), 1.2)
    assert (shown.hypothesis.text, shown.is_complete) == ("Hello there.", True)
    assert not shown.hypothesis.is_final


def test_speech_after_the_question_voids_it_and_the_next_attempt_hears_it_all():
    scene = Scene()
    scene.says(1, 0.0, 1.0)
    scene.do("heard", 512, True, 1.3)
    assert scene.orders == [Begin(1, 1), Ask(1), Cancel(1), Begin(2, 1)]
    assert scene.do("answered", 1, Answer("half"), 1.4) == []
    scene.do("heard", 512, False, 1.5)
    scene.do("answered", 2, Answer("all of it"), 1.6)
    scene.do("finish", 1.8)
    assert [final.hypothesis.text for final in scene.of(Final)] == ["all of it"]


def test_the_wait_ends_at_the_deadline_and_the_late_text_is_a_correction():
    scene = Scene()
    scene.says(1, 0.0, 1.0)
    assert scene.ends(1, 1.3) == []
    # Asked at 1.1 s, so the wait is over 0.4 s later, not 0.4 s after the turn's end.
    assert scene.core.due_s == pytest.approx(1.1 + LONGEST_S)
    (final,) = scene.do("advance", 1.5)
    assert (final.side, final.reason) == (Side.EDGE, "the cloud had not answered")
    (correction,) = scene.do("answered", 1, Answer("better text"), 2.0)
    assert correction == Correction(correction.hypothesis, "edge text")
    assert correction.hypothesis.text == "better text"
    assert scene.core.due_s is None


def test_a_late_text_that_says_the_same_is_no_correction():
    scene = Scene()
    scene.says(1, 0.0, 1.0)
    scene.ends(1, 2.0)
    assert scene.do("answered", 1, Answer("Edge, text!"), 2.1) == []


def test_after_one_wait_in_vain_the_next_finals_wait_for_nothing():
    scene = Scene()
    for number in range(1, 5):
        scene.says(number, 10.0 * number, 10.0 * number + 1)
        scene.ends(number, 10.0 * number + 1.2)
        if number == 1:
            scene.do("advance", 10.0 * number + 1.5)
        # The answer is given up long before the next utterance.
        while (due := scene.core.due_s) is not None:
            scene.do("advance", due)
        assert len(scene.of(Final)) == number
    assert scene.health.breaker.is_closed is False
    assert [final.side for final in scene.of(Final)] == [Side.EDGE] * 4


def test_a_cloud_lost_in_the_turn_is_begun_again_at_once():
    scene = Scene()
    scene.do("open", 1, 0)
    scene.do("heard", RATE, True, 1.0)
    scene.do("confirm", 1.0)
    scene.do("failed", 1, "lost", 1.2)
    assert scene.orders == [Begin(1, 1), Begin(2, 1)]
    # The second loss in one utterance waits a little.
    scene.do("failed", 2, "lost", 1.3)
    assert scene.core.due_s == pytest.approx(1.55)
    assert scene.do("advance", 1.55) == [Begin(3, 1)]


def test_a_cloud_lost_after_the_turn_costs_no_wait():
    scene = Scene()
    scene.says(1, 0.0, 1.0)
    scene.ends(1, 1.2)
    (final,) = scene.do("failed", 1, "lost", 1.25)
    assert (final.side, final.reason) == (Side.EDGE, "the cloud broke off")


@pytest.mark.parametrize("mode", [Mode.EDGE, Mode.PREFER_CLOUD, Mode.RACE])
def test_nothing_is_begun_for_private_speech(mode):
    scene = Scene(HybridSettings(mode=mode))
    scene.says(1, 0.0, 1.0, private=True)
    scene.ends(1, 1.2)
    assert scene.orders == []
    assert [final.side for final in scene.of(Final)] == [Side.EDGE]


def test_what_becomes_private_in_mid_speech_is_taken_back():
    scene = Scene()
    scene.says(1, 0.0, 1.0)
    scene.do("withhold", 1.15)
    scene.do("answered", 1, Answer("secret"), 1.2)
    scene.ends(1, 1.4)
    assert scene.orders == [Begin(1, 1), Ask(1), Cancel(1)]
    assert [final.reason for final in scene.of(Final)] == ["private"]


def test_noise_has_no_final_and_is_never_sent():
    scene = Scene()
    scene.do("open", 1, 0)
    scene.do("heard", 512, True, 0.0)
    scene.do("drop", 1.0)
    scene.do("edge_said", heard_by_edge(1, "you", 512, final=True), 1.1)
    assert scene.orders == [] and scene.outcomes == []


def test_the_race_takes_what_is_there():
    first = Scene(HybridSettings(mode=Mode.RACE))
    first.says(1, 0.0, 1.0)
    (final,) = first.ends(1, 1.2)
    assert final.side is Side.EDGE
    second = Scene(HybridSettings(mode=Mode.RACE))
    second.says(1, 0.0, 1.0)
    second.do("finish", 1.2)
    (final,) = second.do("answered", 1, Answer("first"), 1.25)
    assert final.side is Side.CLOUD


def test_without_an_edge_the_cloud_is_tried_until_it_is_given_up():
    scene = Scene(HybridSettings(mode=Mode.CLOUD, give_up_s=4.0))
    scene.says(1, 0.0, 1.0)
    scene.do("finish", 1.2)
    scene.do("failed", 1, "lost", 1.3)
    assert scene.orders[-2:] == [Begin(2, 1), Ask(2)]
    (final,) = scene.do("answered", 2, Answer("at last"), 1.6)
    assert final.hypothesis.text == "at last"

    scene.says(2, 10.0, 11.0)
    scene.do("finish", 11.2)
    while (due := scene.core.due_s) is not None:
        scene.do("advance", due)
    lost = scene.of(Final)[-1]
    assert (lost.hypothesis.text, lost.reason) == ("", "the cloud is lost")


def test_only_what_the_edge_is_unsure_of_is_sent():
    scene = Scene(HybridSettings(mode=Mode.PREFER_CLOUD, cloud_below=0.6))
    scene.says(1, 0.0, 1.0)
    scene.do("edge_said", heard_by_edge(1, "sure of it", 2 * RATE, final=False, sure=0.9), 1.1)
    (final,) = scene.ends(1, 1.3, "sure of it", sure=0.9)
    assert scene.orders == [] and final.reason == "the edge is sure"

    scene.says(2, 10.0, 11.0)
    unsure = heard_by_edge(2, "tree", 2 * RATE, final=False, sure=0.4)
    assert scene.do("edge_said", unsure, 11.1)[:2] == [Begin(1, 2), Ask(1)]
    scene.do("answered", 1, Answer("three"), 11.2)
    (final,) = scene.do("finish", 11.4)
    assert final.hypothesis.text == "three"


def test_an_empty_answer_does_not_overrule_an_edge_that_is_sure():
    for sure, text in ((0.9, "yes"), (0.3, "")):
        scene = Scene()
        scene.says(1, 0.0, 1.0)
        scene.do("edge_said", heard_by_edge(1, "yes", 2 * RATE, final=False, sure=sure), 1.1)
        scene.do("answered", 1, Answer(""), 1.2)
        scene.ends(1, 1.4, "yes", sure)
        assert [final.hypothesis.text for final in scene.of(Final)] == [text]


def test_a_long_utterance_is_asked_for_once():
    scene = Scene()
    scene.do("open", 1, 0)
    scene.do("confirm", 0.0)
    for at_s in range(1, 30):
        scene.do("heard", RATE * 9 // 10, True, at_s)
        scene.do("heard", RATE // 10, False, at_s + 0.9)
    scene.ends(1, 31.0)
    asked_after_15_s = [order for order in scene.orders if isinstance(order, Ask)][15:]
    assert len(asked_after_15_s) == 1


def test_an_answer_lies_on_the_media_clock():
    scene = Scene()
    scene.do("open", 1, 32_000)
    scene.do("heard", RATE, True, 1.0)
    scene.do("confirm", 1.0)
    scene.do("finish", 1.2)
    (final,) = scene.do("answered", 1, Answer("hi", (Word("hi", 100, 200, 0.8),)), 1.3)
    assert final.hypothesis.words == (Word("hi", 32_100, 32_200, 0.8),)
    assert (final.hypothesis.start_sample, final.hypothesis.end_sample) == (32_000, 48_000)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("open", "speech", "silence", "confirm", "finish", "drop", "withhold"),
                *("edge", "final", "answer", "fail", "refuse", "wait"),
            ]
        ),
        st.integers(0, 7),
    ),
    max_size=60,
)


@settings(max_examples=int(os.environ.get("DUPLEX_EXAMPLES", "100")), deadline=None)
@given(st.sampled_from(list(Mode)), st.sampled_from([None, 0.6]), STEPS)
def test_whatever_the_order_of_events_each_utterance_has_exactly_one_final(mode, below, steps):
    scene = Scene(HybridSettings(mode=mode, cloud_below=below))
    now_s, utterances, finished, private = 0.0, 0, [], set()
    is_open = False
    for step, which in steps:
        now_s += 0.05 * which
        match step:
            case "open" if not is_open:
                utterances += 1
                is_open = True
                hidden = which % 3 == 0
                private |= {utterances} if hidden else set()
                scene.do("open", utterances, 0, is_private=hidden)
            case "speech" | "silence":
                scene.do("heard", 4000, step == "speech", now_s)
            case "confirm":
                scene.do("confirm", now_s)
            case "finish" if is_open:
                is_open = False
                finished.append(utterances)
                scene.do("finish", now_s)
            case "drop":
                is_open = False
                scene.do("drop", now_s)
            case "withhold":
                scene.do("withhold", now_s)
            case "edge" | "final":
                sure, final = which / 7, step == "final" and which in finished
                scene.do(
                    "edge_said", heard_by_edge(which, "e", 99_999, final=final, sure=sure), now_s
                )
            case "answer":
                scene.do("answered", which, Answer("" if which == 5 else "c"), now_s)
            case "fail" | "refuse":
                scene.do("failed", which, "lost", now_s, is_refused=step == "refuse")
            case "wait":
                scene.do("advance", now_s)
    if is_open:
        finished.append(utterances)
        scene.do("finish", now_s)
    for number in finished:
        if mode is not Mode.CLOUD:
            scene.do("edge_said", heard_by_edge(number, "e", 99_999, final=True), now_s)
    while (due := scene.core.due_s) is not None:
        now_s = max(now_s, due)
        scene.do("advance", now_s)
    assert sorted(final.hypothesis.utterance_id for final in scene.of(Final)) == finished
    corrected = [correction.hypothesis.utterance_id for correction in scene.of(Correction)]
    assert len(set(corrected)) == len(corrected) and set(corrected) <= set(finished)
    _orders_make_sense(scene.orders, private)


def _orders_make_sense(orders, private):
    state = {}
    for order in orders:
        before = state.get(order.attempt)
        if isinstance(order, Begin):
            assert before is None and order.utterance_id not in private
        elif isinstance(order, Ask):
            assert before is Begin
        else:
            assert before in (Begin, Ask)
        state[order.attempt] = type(order)
