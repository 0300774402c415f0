import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.turns.echo import SILENT_DBFS, EchoLevel, EchoVeto, level_dbfs

HOP, RATE = 512, 16_000


def speechlike(duration_s, seed):
    """Noise in syllables: on and off a few times a second, as speech is."""
    random = np.random.default_rng(seed)
    size = round(duration_s * RATE)
    signal = random.normal(0, 3000, size)
    at = 0
    while at < size:
        length = round(random.uniform(0.08, 0.3) * RATE)
        signal[at : at + length] *= random.choice([0.02, 0.4, 1.0])
        at += length
    return np.clip(signal, -32768, 32767).astype(np.int16)


def delayed(pcm, delay_s, gain_db):
    shift = round(delay_s * RATE)
    echo = np.concatenate([np.zeros(shift), pcm[: len(pcm) - shift] * 10 ** (gain_db / 20)])
    noise = np.random.default_rng(9).normal(0, 5, len(pcm))
    return (echo + noise).astype(np.int16)


def follow(level, near, far, probability=1.0):
    return [
        level.push(at + HOP, near[at : at + HOP], far[at : at + HOP], probability)
        for at in range(0, len(far) - HOP + 1, HOP)
    ]


@pytest.mark.parametrize("delay_s", [0.0, 0.08, 0.25])
@pytest.mark.parametrize("gain_db", [-20.0, -6.0, 0.0])
def test_return_and_delay_are_found(delay_s, gain_db):
    far = speechlike(4.0, 1)
    last = follow(EchoLevel(), delayed(far, delay_s, gain_db), far)[-1]
    assert last.return_db == pytest.approx(gain_db, abs=4.0)
    assert last.delay_s == pytest.approx(delay_s, abs=0.017)


def test_an_echo_stays_below_its_prediction_and_a_voice_does_not():
    far = speechlike(6.0, 1)
    near = delayed(far, 0.1, -15)
    voice = near.copy()
    voice[-RATE:] = np.clip(voice[-RATE:] + speechlike(1.0, 2).astype(np.int32), -32768, 32767)
    echo = follow(EchoLevel(), near, far)[-31:]
    assert sum(hop.near_dbfs > hop.echo_dbfs + 6 for hop in echo) <= 3
    talk = follow(EchoLevel(), voice, far)[-31:]
    assert sum(hop.near_dbfs > hop.echo_dbfs + 6 for hop in talk) >= 10


def test_who_speaks_over_the_beginning_of_an_answer_is_not_taken_for_its_echo():
    far = speechlike(3.5, 1)
    near = delayed(far, 0.1, -30)
    near[-RATE:] = speechlike(1.0, 2)
    talk = follow(EchoLevel(), near, far)[-31:]
    assert sum(hop.near_dbfs > hop.echo_dbfs + 6 for hop in talk) >= 20


def in_a_loud_room(near, far):
    """Before the agent speaks the room is heard for 2 s."""
    room = np.random.default_rng(4).normal(0, 600, len(near) + 2 * RATE)
    near = np.concatenate([np.zeros(2 * RATE), near]) + room
    far = np.concatenate([np.zeros(2 * RATE, np.int16), far])
    return np.clip(near, -32768, 32767).astype(np.int16), far


def test_a_loud_room_is_no_echo():
    far = speechlike(6.0, 1)
    near, played = in_a_loud_room(np.zeros(len(far)), far)
    hops = follow(EchoLevel(), near, played, probability=0.02)[-31:]
    assert all(hop.near_dbfs > hop.echo_dbfs + 12 for hop in hops)


@pytest.mark.parametrize("gain_db", [-12.0, 0.0])
def test_an_echo_louder_than_the_room_is_found_in_it(gain_db):
    far = speechlike(6.0, 1)
    near, played = in_a_loud_room(delayed(far, 0.08, gain_db), far)
    last = follow(EchoLevel(), near, played, probability=0.02)[-1]
    assert last.return_db == pytest.approx(gain_db, abs=4.0)


def test_an_echo_below_a_noise_that_has_stopped_is_found():
    far = speechlike(6.0, 1)
    near, played = in_a_loud_room(np.zeros(len(far)), far)
    near[2 * RATE + RATE // 2 :] = delayed(far, 0.08, -20.0)[RATE // 2 :]
    last = follow(EchoLevel(), near, played, probability=0.02)[-1]
    assert last.return_db == pytest.approx(-20.0, abs=4.0)


def test_who_speaks_while_the_agent_does_not_is_not_the_room():
    far = speechlike(6.0, 1)
    quiet = np.zeros(2 * RATE, np.int16)
    near = np.concatenate([speechlike(2.0, 2), delayed(far, 0.08, -12.0)])
    last = follow(EchoLevel(), near, np.concatenate([quiet, far]), probability=0.9)[-1]
    assert last.return_db == pytest.approx(-12.0, abs=4.0)


def test_a_silent_agent_leaves_no_echo():
    near = speechlike(2.0, 3)
    hops = follow(EchoLevel(), near, np.zeros_like(near))
    assert {hop.echo_dbfs for hop in hops} == {SILENT_DBFS}


def test_unknown_return_is_the_one_given():
    assert EchoLevel(unknown_return_db=-12.0).return_db == -12.0


def test_levels():
    assert level_dbfs(np.full(HOP, -32768, np.int16)) == pytest.approx(0.0)
    assert level_dbfs(np.zeros(HOP, np.int16)) == SILENT_DBFS
    assert level_dbfs(np.zeros(0, np.int16)) == SILENT_DBFS


SPOKEN = "Saturn is the sixth planet from the sun and the second largest".split()


@pytest.mark.parametrize(
    "partial",
    ["the sixth planet", "Saturn is the six planet.", "planets from the son", "and the second"],
)
def test_a_partial_that_repeats_the_agent_is_vetoed(partial):
    assert EchoVeto().repeats(partial.split(), SPOKEN)


@pytest.mark.parametrize(
    "partial", ["", "no the car", "sun Saturn planet is", "what about Jupiter", "the second one no"]
)
def test_the_users_own_words_are_not(partial):
    assert not EchoVeto().repeats(partial.split(), SPOKEN)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=10), max_size=8), st.lists(st.text(max_size=10), max_size=20))
def test_a_share_is_a_share(words, spoken):
    assert 0.0 <= EchoVeto().share(words, spoken) <= 1.0
    own = EchoVeto().share(words, words)
    assert own in (0.0, pytest.approx(1.0))
