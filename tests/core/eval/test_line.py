"""What happens to the caller's voice on its way."""

import numpy as np
import pytest

from agent.audio.chunk import samples
from agent.eval.line import PACKET, Line, noise_track
from agent.eval.scenario import CallerPart, Faults

QUIET = np.zeros(0, np.int16)
TONE = (8000 * np.sin(2 * np.pi * 300 / 16_000 * np.arange(32_000))).astype(np.int16)


def line(faults, noise=QUIET, seed=1):
    return Line(Faults(**faults), CallerPart(room_dbfs=-96), noise, agent_rate=24_000, seed=seed)


def sent(wire, pcm=TONE):
    return np.concatenate(
        [wire.push(pcm[start : start + PACKET]) for start in range(0, len(pcm), PACKET)]
    )


def level(pcm):
    return 20 * np.log10(max(np.sqrt(np.mean(pcm.astype(np.float64) ** 2)), 0.1) / 32768)


def test_without_faults_what_is_said_arrives():
    assert np.abs(sent(line({})) - TONE.astype(np.int32)).max() <= 3


@pytest.mark.parametrize("kind", ["white", "pink"])
def test_noise_stands_at_its_distance_below_the_speech(kind):
    faults = {"noise": {"snr_db": 10, "kind": kind}}
    noise = noise_track(Faults(**faults), -20.0, 1, QUIET)
    arrived = sent(line(faults, noise), np.zeros(32_000, np.int16))
    assert level(arrived) == pytest.approx(-30, abs=1.0)


def test_the_agents_voice_comes_back_late_and_quiet():
    wire = line({"echo": {"level_db": -20, "delay_s": 0.1}})
    tone = (8000 * np.sin(2 * np.pi * 300 / 24_000 * np.arange(24_000))).astype(np.int16)
    for start in range(0, len(tone), 480):
        wire.sounds(start / 24_000, tone[start : start + 480])
    arrived = sent(wire, np.zeros(32_000, np.int16))
    first = int(np.flatnonzero(np.abs(arrived) > 100)[0])
    assert first == pytest.approx(samples(0.1), abs=samples(0.03))
    assert level(arrived[samples(0.3) : samples(0.9)]) == pytest.approx(level(tone) - 20, abs=0.5)


def test_a_telephone_is_narrow_and_half_as_fast():
    wire = line({"telephone": True})
    high = (8000 * np.sin(2 * np.pi * 6000 / 16_000 * np.arange(32_000))).astype(np.int16)
    assert wire.sample_rate == 8_000
    assert level(sent(wire, high)[800:]) < level(high) - 30


def test_lost_and_late_packets_cost_no_time_and_little_sound():
    arrived = sent(line({"network": {"loss": 0.05, "jitter_s": 0.06}}))
    # What is still under way when the call ends is missing at its end.
    assert len(TONE) - samples(0.2) <= len(arrived) <= len(TONE)
    assert level(arrived) == pytest.approx(level(TONE), abs=1.5)


def test_the_same_seed_loses_the_same_packets():
    def once(seed):
        return sent(line({"network": {"loss": 0.2}}, seed=seed))

    assert np.array_equal(once(1), once(1)) and not np.array_equal(once(1), once(2))
