"""Both sides of a SIP call in one file, only while it lasts."""

import asyncio
import socket
import threading
import time

import numpy as np
import pytest
import soundfile

from agent.transports.jitter import AudioPacket
from agent.transports.sip import rtp
from agent.transports.sip.g711 import PCMU
from tests.sip.exchange import exchange, finished, within
from tests.sip.household import WORD_S
from tests.sip.peers import RATE, sipp
from tests.sip.scenarios import bye, invited, pause, scenario
from tests.sip.test_pipeline import answered, call, until_heard

_LOUD = PCMU.encode(np.full(160, 9000, np.int16))
_QUIET = PCMU.encode(np.zeros(160, np.int16))


class Beeper(threading.Thread):
    """A telephone's audio with a clock of its own: it beeps, and notes when it hears and sends.

    Times are those of the event loop's clock, in seconds; sound is sent once it has been spoken.
    """

    def __init__(self, lateness: list[float]) -> None:
        super().__init__(daemon=True)
        self._lateness = lateness
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.spoke_at: list[float] = []
        self.heard_at: list[float] = []
        self._enough = threading.Event()
        self._peer = None

    def run(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()
        while self._peer is None:
            time.sleep(0.005)
        began = time.monotonic() + 0.3
        for i, late in enumerate(self._lateness):
            due = began + (i + 1) * 0.02
            time.sleep(max(0.0, due + late - time.monotonic()))
            if self._enough.is_set():
                return
            if i % 25 == 10:
                self.spoke_at.append(due - 0.02)
            payload = _LOUD if 10 <= i % 25 < 15 else _QUIET
            self._socket.sendto(rtp.build(AudioPacket(9, i, i * 160, 0, payload)), self._peer)

    def _listen(self) -> None:
        quiet_since = 9
        while not self._enough.is_set():
            data, self._peer = self._socket.recvfrom(2048)
            at, packet = time.monotonic(), rtp.parse(data)
            loud = np.abs(PCMU.decode(packet.payload).astype(int)).max() > 1000
            if loud and quiet_since > 4:
                self.heard_at.append(at)
            quiet_since = 0 if loud else quiet_since + 1

    def stop(self) -> None:
        self._enough.set()


def onsets(track):
    loud = np.flatnonzero(np.abs(track.astype(int)) > 1000)
    return loud[np.flatnonzero(np.diff(loud, prepend=-RATE) > RATE // 20)] / RATE


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(lambda i, chance: 0.0, id="even"),
        pytest.param(lambda i, chance: 0.08 if i < 5 else 0.0, id="first packets late"),
        pytest.param(lambda i, chance: chance.uniform(0.0, 0.04), id="40 ms jitter"),
    ],
)
async def test_both_channels_are_as_the_peer_sent_and_heard_them_within_20_ms(tmp_path, network):
    chance = np.random.default_rng(2)
    beeper = Beeper([network(i, chance) for i in range(500)])
    steps = scenario(invited(str(beeper.port)), pause(8.0), bye(2))
    async with exchange(recordings=tmp_path) as ours:
        run = sipp(steps, ours.port, tmp_path / "s", "-m", "1")
        taken = await ours.next()
        path = await taken.call.record()
        beeper.start()
        await within(taken.talking.wait())
        for i in range(12):
            await taken.hum(0.1)
            await asyncio.sleep(0.3 + 0.017 * (i % 3))
        await finished(run)
        beeper.stop()
        await within(taken.over.wait())
    tracks, _ = soundfile.read(path, dtype="int16")
    caller, agent = onsets(tracks[:, 0]), onsets(tracks[:, 1])
    spoke, heard = (np.array(at) for at in (beeper.spoke_at, beeper.heard_at))
    assert len(agent) == len(heard) >= 10 and len(spoke) - 1 <= len(caller) <= len(spoke)
    # When the recording began is not known here: only that both channels have the same beginning.
    left, right = spoke[: len(caller)] - caller, heard - agent
    # A machine that is busy for a moment is late to look at its clock: the middle of many counts.
    assert abs(np.median(left) - np.median(right)) <= 0.02
    assert np.mean(np.abs(left - np.median(right)) <= 0.02) >= 0.8


async def test_caller_left_agent_right_aligned_and_over_when_the_line_is_cut(tmp_path):
    phone = {"recordings": str(tmp_path), "record_all": True}
    async with answered(phone=phone) as (household, caller, uri):
        taken = await call(caller, uri)
        # The caller answers each sound with one of his own: how far apart is to be seen.
        while not taken.audio or np.abs(taken.audio[-1].astype(int)).max() < 1000:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        echoed = asyncio.create_task(taken.hum(0.1, 900.0))
        await until_heard(taken, 5 * WORD_S - 0.05)
        await echoed
        await taken.call.hang_up()
        async with asyncio.timeout(10):
            while household.active:  # noqa: ASYNC110 - has no event
                await asyncio.sleep(0.05)
        (path,) = tmp_path.glob("*.wav")
        size = path.stat().st_size
        await asyncio.sleep(0.3)
        assert path.stat().st_size == size and path.stat().st_mode & 0o077 == 0
    tracks, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    left, right = (np.flatnonzero(np.abs(track.astype(int)) > 1000) for track in tracks.T)
    assert abs(len(right) / RATE - 5 * WORD_S) < 0.3
    # It left, was heard, and the answer came back: loopback, a queue and a busy machine.
    assert 0 < (left[0] - right[0]) / RATE < 0.25
    assert abs((left[-1] - left[0]) / RATE - 0.1) < 0.06
