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


def onsets(track):
    """Where loud samples begin after quiet ones."""
    loud = np.flatnonzero(np.abs(track.astype(int)) > 1000)
    return loud[np.flatnonzero(np.diff(loud, prepend=-RATE) > RATE // 10)]


def beeps(count, every=25, length=5):
    """Packets of 20 ms, one beep of `length` of them each half second."""
    return [np.full(160, 9000 if i % every < length else 0, np.int16) for i in range(count * every)]


def test_a_first_packet_that_is_late_makes_nothing_else_late():
    tracks = TwoTracks(RATE, 0.0)
    for i, packet in enumerate(beeps(8)):
        tracks.caller(packet, (i + 1) * 0.02 + (0.08 if i < 3 else 0.0))
    assert onsets(tracks.take(4.0)[:, 0]).tolist() == [i * 4000 for i in range(8)]


@pytest.mark.parametrize("side", ["caller", "left"])
def test_a_loop_that_stood_still_moves_nothing_and_loses_nothing(side):
    tracks = TwoTracks(RATE, 0.0)
    for i, packet in enumerate(beeps(8)):
        due = (i + 1) * 0.02 if side == "caller" else i * 0.02
        # From 1.0 s on nothing is read or sent for 0.3 s, then all of it at once.
        at = 1.3 if 1.0 <= due < 1.3 else due
        getattr(tracks, side)(packet, at)
    track = tracks.take(4.0)[:, 0 if side == "caller" else 1]
    assert onsets(track).tolist() == [i * 4000 for i in range(8)]
    assert np.count_nonzero(track) == 8 * 5 * 160


@pytest.mark.parametrize("pace", [0.0199, 0.0201])
def test_a_clock_of_another_pace_is_followed(pace):
    """Half a per cent, as no telephone is off: after a minute it would be 0.3 s."""
    tracks = TwoTracks(RATE, 0.0)
    packets = beeps(120)
    for i, packet in enumerate(packets):
        tracks.caller(packet, (i + 1) * pace)
    heard = onsets(tracks.take(70.0)[:, 0])
    meant = [i * pace * RATE for i in range(0, len(packets), 25)]
    assert len(heard) == len(meant)
    assert np.abs(heard - meant).max() <= 0.02 * RATE


def test_what_follows_a_pause_of_the_agents_is_where_it_left():
    tracks = TwoTracks(RATE, 0.0)
    loud = np.full(160, 9000, np.int16)
    for start in (0.5, 1.0, 1.43):
        for i in range(10):
            tracks.left(loud, start + i * 0.02)
    assert onsets(tracks.take(4.0)[:, 1]).tolist() == [4000, 8000, 11440]


@pytest.mark.parametrize("seed", range(5))
def test_both_channels_agree_within_20_ms_whatever_the_network_does(seed):
    chance = np.random.default_rng(seed)
    tracks, events = TwoTracks(RATE, 0.0), []
    # Both say the same at the same time; packets that were overtaken wait for their turn.
    came = left = 0.0
    for i, packet in enumerate(beeps(40)):
        came = max(came, (i + 1) * 0.02 + chance.uniform(0.0, 0.06))
        left = max(left, i * 0.02 + chance.uniform(0.0, 0.02))
        events += [(came, "caller", packet), (left, "left", packet)]
    pieces = []
    for at_s, side, packet in sorted(events, key=lambda event: event[0]):
        getattr(tracks, side)(packet, at_s)
        pieces.append(tracks.take(at_s - 2.0))
    both = np.concatenate([*pieces, tracks.take(30.0)])
    caller, agent = onsets(both[:, 0]), onsets(both[:, 1])
    assert len(caller) == len(agent) == 40
    assert np.abs(caller - agent).max() <= 0.02 * RATE


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
