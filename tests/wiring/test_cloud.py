"""What all sessions share of a cloud: left with one line, probed, used again with one line."""

import asyncio
import contextlib

from loguru import logger

from agent.asr.cloud.client import CloudLostError
from agent.asr.cloud.cloud import Cloud, stored_clip
from agent.asr.hybrid.breaker import BreakerSettings
from agent.asr.hybrid.events import Answer, Side
from agent.asr.hybrid.health import CloudHealth


class Recovering:
    """A cloud's client that fails so often, then answers."""

    def __init__(self, failures):
        self.failures, self.heard = failures, []
        self.has_answered = asyncio.Event()

    async def transcribe(self, feed):
        heard = 0
        while await feed.wait(heard):
            self.heard.append(feed.read(heard))
            heard += len(self.heard[-1])
        if self.failures:
            self.failures -= 1
            raise CloudLostError("no connection")
        self.has_answered.set()
        return Answer("hello there")

    async def close(self):
        pass


@contextlib.contextmanager
def lines(level):
    told = []
    sink = logger.add(lambda line: told.append(line.record["message"]), level=level)
    try:
        yield told
    finally:
        logger.remove(sink)


async def test_a_switch_is_counted_and_is_one_line_however_many_sessions_notice():
    client = Recovering(failures=2)
    health = CloudHealth(BreakerSettings(probe_every_s=0.01))
    cloud = Cloud(lambda: client, health)
    with lines("INFO") as told:
        for _ in range(5):
            health.failed(asyncio.get_running_loop().time(), "no connection")
            cloud.follow()
        assert not health.is_usable
        async with asyncio.timeout(20):
            await client.has_answered.wait()
            while not health.is_usable:  # noqa: ASYNC110 - has no event
                await asyncio.sleep(0.01)
            await cloud._prober
    left, back = (line for line in told if line.startswith("recognition"))
    assert left.startswith("recognition leaves the cloud")
    assert back.startswith("recognition uses the cloud again")
    assert health.counts.switches == {Side.EDGE: 1, Side.CLOUD: 1}
    # Nobody's voice was sent meanwhile.
    clip = stored_clip().tobytes()
    assert b"".join(piece.tobytes() for piece in client.heard) == clip * 3
    await cloud.close()
