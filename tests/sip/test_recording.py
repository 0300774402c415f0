"""Both sides of a SIP call in one file, only while it lasts."""

import asyncio

import numpy as np
import soundfile

from tests.sip.household import WORD_S
from tests.sip.peers import RATE
from tests.sip.test_pipeline import answered, call, until_heard


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
