"""Both sides of a call on one clock."""

import stat
import wave

import numpy as np
import pytest

from agent.transports.phone.call import NotAllowedError, UnsupportedError
from agent.transports.phone.recording import Recording, TwoTracks
from tests.core.phone.calls import PhoneCall
from tests.core.phone.providers import TwilioSide

RATE = 8_000


def test_each_channel_is_where_it_sounded():
    tracks = TwoTracks(RATE, 10.0)
    for number in range(50):
        # Packets come up to 40 ms late and still belong one behind the other.
        late = (number % 3) * 0.02
        tracks.caller(np.full(160, 7, np.int16), 10.0 + (number + 1) * 0.02 + late)
    tracks.agent(np.full(800, 9, np.int16), 10.5)
    both = tracks.take(11.0)
    assert both.shape == (8000, 2)
    assert (both[:, 0] == 7).all()
    assert np.flatnonzero(both[:, 1])[[0, -1]].tolist() == [4000, 4799]


def test_what_was_cleared_was_not_heard():
    tracks = TwoTracks(RATE, 0.0)
    tracks.agent(np.full(8000, 9, np.int16), 0.0)
    tracks.cleared(0.25)
    assert np.count_nonzero(tracks.take(2.0)[:, 1]) == 2000


def test_a_gap_of_the_callers_stays_a_gap():
    tracks = TwoTracks(RATE, 0.0)
    tracks.caller(np.full(160, 7, np.int16), 0.02)
    tracks.caller(np.full(160, 7, np.int16), 1.02)
    assert np.flatnonzero(tracks.take(2.0)[:, 0]).tolist() == [*range(160), *range(8000, 8160)]


def test_taking_in_pieces_is_taking_at_once():
    def fill(tracks):
        for number in range(100):
            tracks.caller(np.full(160, number, np.int16), (number + 1) * 0.02)
        tracks.agent(np.arange(8000, dtype=np.int16), 0.5)

    whole, pieces = TwoTracks(RATE, 0.0), TwoTracks(RATE, 0.0)
    fill(whole)
    fill(pieces)
    taken = [pieces.take(until) for until in (0.1, 0.1, 0.77, 1.999, 5.0)]
    assert np.array_equal(np.concatenate(taken), whole.take(5.0))


def test_nothing_is_kept_after_the_end(tmp_path):
    recording = Recording(tmp_path / "calls", RATE, 0.0)
    recording.caller(np.full(160, 7, np.int16), 0.02)
    recording.close(0.02)
    size = recording.path.stat().st_size
    recording.caller(np.full(160, 7, np.int16), 0.04)
    recording.agent(np.full(160, 7, np.int16), 0.04)
    recording.close(9.0)
    assert recording.path.stat().st_size == size and not recording.is_open
    assert stat.S_IMODE(recording.path.stat().st_mode) & 0o077 == 0


def test_a_recorded_call_has_both_voices_in_step(tmp_path):
    paths, refused = [], []
    call = PhoneCall(TwilioSide(), network_s=0.0, recordings=tmp_path)
    call.caller_says("what is the capital of France?", start_s=0.5, end_s=1.5)
    call.agent_says("Paris.")

    async def record(call):
        with pytest.raises(NotAllowedError):
            await call.record(consented=False)
        refused.append(True)
        paths.append(await call.record(consented=True))

    call.at(0.0, record)

    outcome = call.run(lasting_s=5.0)

    assert refused
    with wave.open(str(paths[0])) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, RATE)
        tracks = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    caller = np.flatnonzero(np.abs(tracks[:, 0]) > 1000)
    agent = np.flatnonzero(np.abs(tracks[:, 1]) > 1000)
    # The recording began as the call did, and the call's clock at 0.
    ((heard_from, heard_to),) = outcome.agent_speaks_at()
    assert abs(caller[0] / RATE - 0.5) <= 0.02 and abs(caller[-1] / RATE - 1.5) <= 0.02
    assert abs(agent[0] / RATE - heard_from) <= 0.02 and abs(agent[-1] / RATE - heard_to) <= 0.02
    assert outcome.closed_at is not None and len(tracks) / RATE <= outcome.closed_at + 0.02


def test_without_a_directory_nothing_is_recorded():
    refused = []
    call = PhoneCall(TwilioSide())

    async def record(call):
        with pytest.raises(UnsupportedError, match="record"):
            await call.record(consented=True)
        refused.append(True)

    call.at(0.1, record)
    call.run(lasting_s=0.3)
    assert refused


def test_a_secret_is_kept_as_silence(tmp_path):
    is_secret = False
    recording = Recording(tmp_path, 8_000, 0.0, lambda: is_secret)
    loud = np.full(800, 9000, np.int16)
    for i in range(30):
        is_secret = 10 <= i < 20
        recording.caller(loud, (i + 1) * 0.1)
    recording.close(3.0)
    with wave.open(str(recording.path)) as file:
        left = np.frombuffer(file.readframes(24_000), np.int16)[::2]
    assert left[:8000].all() and not left[8000:16000].any() and left[16000:].all()
