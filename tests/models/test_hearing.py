"""Real ears on virtual time: Silero, Moonshine and Smart Turn in the whole pipeline.

The language model and the voice are scripted; the same audio gives the same turns every time.
"""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from agent.asr.moonshine import Moonshine
from agent.asr.streaming import StreamingMoonshine, StreamingSettings
from agent.audio.chunk import samples
from agent.models.store import locate
from agent.turns.policy import FusedPolicy
from agent.turns.smart_turn import SmartTurn
from agent.vad.silero import HOP, SileroModel, SileroPosterior
from tests.scenarios.scripted import ScriptedCall
from tests.speech import dialogue

pytestmark = pytest.mark.model

DATA = Path(os.environ.get("DUPLEX_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


@cache
def moonshine():
    return Moonshine(locate("moonshine-base-en"))


@cache
def ears():
    return {
        "silero": SileroModel(locate("silero-vad") / "silero_vad.onnx"),
        "smart_turn": SmartTurn(locate("smart-turn-v3.2") / "smart-turn-v3.2-cpu.onnx"),
        "recogniser": lambda: StreamingMoonshine(moonshine()),
        "policy": FusedPolicy,
    }


def hear(recording, lines=("Yes.",) * 20, rest_s=4.0):
    call = ScriptedCall(ears=ears())
    call.plays(recording, start_s=0.5)
    for line in lines:
        call.agent_says(line)
    return call.run(lasting_s=0.5 + len(recording) / 16_000 + rest_s)


def heard(outcome):
    return [m["content"].lower() for m in outcome.history if m["role"] == "user"]


def test_a_question_is_heard_and_answered_once():
    outcome = hear(dialogue("What is the capital of France?"))
    assert heard(outcome) == ["what is the capital of france?"]
    assert len(outcome.agent_speaks_at()) == 1


def test_a_pause_inside_a_sentence_does_not_cut_the_speaker_off():
    outcome = hear(
        dialogue("I would like to book a table for", 1.0, "four people tomorrow evening.")
    )
    assert len(heard(outcome)) == 1
    assert "four people tomorrow evening" in heard(outcome)[0]


def test_the_same_audio_gives_the_same_decisions():
    audio = dialogue("Tell me about Saturn.", 2.0, "No, stop, I mean the car.")

    def decisions():
        messages = hear(audio).messages
        return [(at, event) for at, event in messages if event["type"] == "decision"]

    assert decisions() == decisions()


def noises(duration_s):
    rng = np.random.default_rng(7)
    count = samples(duration_s)
    white = rng.normal(0, 1, count)
    brown = np.cumsum(white)
    brown /= np.abs(brown).max()
    clicks = np.zeros(count)
    clicks[rng.integers(0, count, count // 4000)] = 1.0
    hum = np.sin(2 * np.pi * 100 * np.arange(count) / 16_000)
    return {
        "silence": np.zeros(count),
        "quiet white": 0.003 * white,
        "loud white": 0.2 * white,
        "brown": 0.7 * brown,
        "typing": np.convolve(clicks, rng.normal(0, 0.3, 200), "same"),
        "hum": 0.5 * hum,
        "dc": np.full(count, 0.5),
        "full scale square": np.sign(hum),
    }


@pytest.mark.parametrize("kind", list(noises(0.1)))
def test_a_minute_of_noise_is_no_turn(kind):
    signal = np.clip(noises(60)[kind], -1, 1)
    outcome = hear((signal * 32767).astype(np.int16))
    assert heard(outcome) == []
    assert outcome.agent_speaks_at() == []


@pytest.mark.parametrize("gain", [0.02, 8.0])
def test_whispered_and_overdriven_speech_is_heard(gain):
    loud = dialogue("What is the capital of France?").astype(np.float64) * gain
    outcome = hear(np.clip(loud, -32768, 32767).astype(np.int16))
    assert "capital of france" in heard(outcome)[0]


def test_speech_on_a_constant_offset_is_heard():
    offset = dialogue("What is the capital of France?").astype(int) + 8000
    outcome = hear(np.clip(offset, -32768, 32767).astype(np.int16))
    assert "capital of france" in heard(outcome)[0]


@pytest.mark.slow
def test_a_ten_minute_monologue_loses_nothing():
    sentence = dialogue("The train goes on along the river and past the old mill and", 0.3)
    count = 600 * 16_000 // len(sentence)
    # The small model, and partials every two seconds: a tenth of the work, the same cuts.
    sparse = StreamingSettings(partial_every_s=2.0)
    tiny = Moonshine(locate("moonshine-tiny-en"))
    models = {**ears(), "recogniser": lambda: StreamingMoonshine(tiny, sparse)}
    call = ScriptedCall(ears=models)
    call.plays(np.concatenate([sentence] * count), start_s=0.5)
    call.agent_says("Quite a journey.")
    turns = heard(call.run(lasting_s=0.5 + count * len(sentence) / 16_000 + 6.0))
    assert turns
    # Every repetition is there, whatever the window's cuts did.
    spoken = " ".join(turns)
    assert abs(spoken.count("old mill") - count) <= count // 20


def test_first_word_is_not_clipped_after_a_loud_start():
    outcome = hear(dialogue("Stop the music please."))
    assert heard(outcome)[0].startswith("stop")


def test_the_posterior_knows_real_speech_from_its_room():
    folder = DATA / "commands"
    if not folder.is_dir():
        pytest.skip("only for machines with the recordings; set DUPLEX_DATA to their folder")
    posterior = SileroPosterior(ears()["silero"])
    spoken = quiet = 0
    files = sorted(folder.glob("*.flac"))[:20]
    for path in files:
        posterior.reset()
        pcm, _ = soundfile.read(path, dtype="int16")
        scores = [posterior.push(pcm[i : i + HOP]) for i in range(0, len(pcm) - HOP + 1, HOP)]
        spoken += max(scores) > 0.8
        # Every clip ends in seconds of its room's tone.
        quiet += np.mean(np.array(scores[-30:]) < 0.35) > 0.9
    assert spoken == len(files)
    assert quiet >= 0.9 * len(files)
