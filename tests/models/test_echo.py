"""The agent beside its own loudspeaker: real canceller, real voice, real speech detector."""

import numpy as np
import pytest
import soundfile

from agent.audio.chunk import SAMPLE_RATE
from agent.audio.echo import EchoCanceller
from agent.turns.echo import level_dbfs
from agent.turns.overlap_settings import OverlapSettings
from agent.vad.silero import HOP
from benchmarks.ladder import Ears
from benchmarks.self_echo import ROOMS, Call, Cast, Room, Scene, Tally, clipped
from tests.speech import spoken, write

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def agent_voice():
    return spoken(
        "Your order left our warehouse on Monday morning, and reached the depot at night."
    )


@pytest.fixture(scope="module")
def person():
    """Another voice: ours, a third higher and faster."""
    pcm = spoken("No, I would like to change the address, please.")
    return np.interp(np.arange(0, len(pcm) - 1, 1.25), np.arange(len(pcm)), pcm).astype(np.int16)


def through(room, far, return_db, delay_s):
    echo = Room(ROOMS[room], return_db, delay_s, seed=1)
    whole = np.concatenate([far, np.zeros(-len(far) % HOP, np.int16)])
    back = np.concatenate([echo.push(hop) for hop in whole.reshape(-1, HOP)])[: len(far)]
    return clipped(back + np.random.default_rng(0).normal(0, 8, len(far)))


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize(("return_db", "delay_s"), [(0.0, 0.25), (-20.0, 0.0)])
def test_the_echo_is_taken_out(agent_voice, room, return_db, delay_s):
    near = through(room, agent_voice, return_db, delay_s)
    cleaned = EchoCanceller().process(near, agent_voice)
    after = slice(2 * SAMPLE_RATE, len(cleaned))
    assert level_dbfs(cleaned[after]) < level_dbfs(near[after]) - 15


def test_a_person_is_left_in(agent_voice, person):
    near = through("small", agent_voice, -10.0, 0.1).astype(np.int32)
    start = 2 * SAMPLE_RATE
    count = min(len(person), len(near) - start)
    near[start : start + count] += person[:count]
    cleaned = EchoCanceller().process(near.astype(np.int16), agent_voice)
    talk = slice(start, start + count)
    assert level_dbfs(cleaned[talk]) > level_dbfs(person[:count]) - 10


@pytest.fixture(scope="module")
def cast(tmp_path_factory, person):
    path = write(tmp_path_factory.mktemp("people") / "person.wav", person)
    assert soundfile.info(path).samplerate == SAMPLE_RATE
    ears = Ears()
    return Cast([path], ears), ears


def test_the_agent_does_not_interrupt_itself_and_a_person_does(cast):
    cast, ears = cast
    tally = Tally()
    Call(Scene(3, answers=2), cast, ears, OverlapSettings()).run(tally)
    assert tally.notes == []
    assert (tally.answers, tally.self_interruptions) == (2, 0)
    assert tally.barge_ins == tally.passed == 1
