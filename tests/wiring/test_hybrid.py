"""Edge and cloud with the real service, killed, cut off and swallowed by the network.

Both sides spell the checksum of what they heard, so one lost or doubled sample shows in the text.
"""

import asyncio
import os
import random
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np
import pytest

from agent.asr.cloud.client import CloudSettings
from agent.asr.cloud.cloud import Cloud, client_for
from agent.asr.hybrid.breaker import BreakerSettings
from agent.asr.hybrid.core import HybridSettings
from agent.asr.hybrid.events import Correction, Final, Mode, Side
from agent.asr.hybrid.health import CloudHealth
from agent.asr.hybrid.patience import LONGEST_S
from agent.asr.hybrid.recogniser import HybridRecogniser, Sides
from agent.asr.hypothesis import Hypothesis
from agent.parakeet.fake import BLOCK, words_of
from tests.speech import spoken
from tests.wiring.asr_server import AsrServer, BreakablePath

CHUNK = 512
PAUSE = 3
PROBE_S = 0.5
PATIENT_S = 10.0
"""Waited for the cloud where it must be heard, however busy the machine is."""
UTTERANCES = int(os.environ.get("DUPLEX_UTTERANCES", "60"))
KILLS = int(os.environ.get("DUPLEX_KILLS", "4"))
"""At least so many of each; the bars of 200 are run by hand, CI runs fewer of the same."""


class SpellingEdge:
    """A `Recogniser` that spells what it heard, as the service's fake engine does."""

    mishears = ""

    def start(self, utterance_id, start_sample):
        self._id, self._start, self._pcm = utterance_id, start_sample, []

    def push(self, pcm, is_speech=True):
        self._pcm.append(pcm)

    def settle(self):
        return self._hypothesis(is_final=False)

    def finish(self):
        return self._hypothesis(is_final=True)

    def _hypothesis(self, *, is_final):
        pcm = np.concatenate(self._pcm)
        words = words_of(pcm)
        text = self.mishears or " ".join(word.text for word in words)
        end = self._start + len(pcm)
        return Hypothesis(self._id, text, words, is_final, self._start, end)


def speech(seed: int, duration_s: float) -> np.ndarray:
    """Noise of whole blocks, so that the silence behind it, of which the sides hear more or less,
    changes no word."""
    blocks = max(1, round(duration_s * 16_000 / BLOCK))
    return np.random.default_rng(seed).integers(-3000, 3000, blocks * BLOCK).astype(np.int16)


@dataclass
class Session:
    """One caller's recogniser and all that it told."""

    recogniser: HybridRecogniser
    health: CloudHealth
    edge: SpellingEdge | None
    told: list = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    ended_s: dict[int, float] = field(default_factory=dict)
    waited_s: dict[int, float] = field(default_factory=dict)
    expected: dict[int, str] = field(default_factory=dict)
    _number: int = 0

    async def tell(self, outcome):
        self.told.append(outcome)
        if isinstance(outcome, Final):
            number = outcome.hypothesis.utterance_id
            self.waited_s[number] = time.monotonic() - self.ended_s[number]
        self.came.set()

    @property
    def finals(self) -> list[Final]:
        return [outcome for outcome in self.told if isinstance(outcome, Final)]

    @property
    def by_cloud(self) -> int:
        return sum(final.side is Side.CLOUD for final in self.finals)

    async def says(self, pcm: np.ndarray, *, pace_s: float = 0.0) -> int:
        """An utterance with a short pause behind; ends when its final is asked for."""
        self._number += 1
        number, recogniser = self._number, self.recogniser
        self.expected[number] = " ".join(word.text for word in words_of(pcm))
        recogniser.open(number, 0)
        for start in range(0, len(pcm), CHUNK):
            recogniser.push(pcm[start : start + CHUNK], True)
            recogniser.confirm()
            await asyncio.sleep(pace_s)
        for _ in range(PAUSE):
            recogniser.push(np.zeros(CHUNK, np.int16), False)
            await asyncio.sleep(pace_s)
        self.ended_s[number] = time.monotonic()
        recogniser.finish()
        return number

    async def final(self, number: int) -> Final:
        async with asyncio.timeout(20):
            while True:
                for final in self.finals:
                    if final.hypothesis.utterance_id == number:
                        return final
                self.came.clear()
                await self.came.wait()

    async def hears(self, pcm: np.ndarray) -> Final:
        final = await self.final(await self.says(pcm))
        assert final.hypothesis.text == self.expected[final.hypothesis.utterance_id]
        return final


@asynccontextmanager
async def session(
    url: str,
    mode: Mode = Mode.PREFER_CLOUD,
    *,
    wait_s: float = PATIENT_S,
) -> AsyncIterator[Session]:
    health = CloudHealth(BreakerSettings(probe_every_s=PROBE_S, memory_s=0.0), wait_s)
    cloud = Cloud(client_for(CloudSettings(url, model="fake")), health)
    edge = None if mode is Mode.CLOUD else SpellingEdge()
    sides = Sides(edge, cloud, HybridSettings(mode=mode))
    executor = ThreadPoolExecutor(1)
    made = Session(None, health, edge)
    made.recogniser = HybridRecogniser(sides, executor, made.tell)
    running = asyncio.create_task(made.recogniser.run())
    # The task group must stand before the first utterance.
    await asyncio.sleep(0)
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await cloud.close()
        executor.shutdown()


async def back_to_the_cloud(caller: Session) -> None:
    """Speak until the cloud is heard again."""
    async with asyncio.timeout(30):
        while True:
            final = await caller.hears(speech(99, 1.0))
            if final.side is Side.CLOUD:
                return
            # The breaker's clock is the wall's: give it time to send its probe.
            await asyncio.sleep(PROBE_S / 4)


async def no_more_patience(caller: Session) -> None:
    """Until finals wait for nothing."""
    async with asyncio.timeout(10):
        while caller.health.patience.wait_s:  # noqa: ASYNC110 - it is a figure, not an event
            await asyncio.sleep(0.01)


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def server():
    # Without guards: they cut silence off, and the checksum with it.
    made = AsrServer("--no-guards").start()
    asyncio.run(made.wait_ready())
    yield made
    made.kill()


async def test_the_cloud_hears_every_sample(server):
    async with session(server.url) as caller:
        # Finals wait as long as answers usually take. One that was slow is among them, since on a
        # busy machine the next may be.
        caller.health.patience.answered(PATIENT_S)
        for seed in range(5):
            final = await caller.hears(speech(seed, 0.9))
            assert final.side is Side.CLOUD


async def test_speech_after_a_pause_is_heard_with_what_was_before(server):
    async with session(server.url, Mode.CLOUD) as caller:
        first, second = speech(1, 0.5), speech(2, 0.5)
        gap = np.zeros(PAUSE * CHUNK, np.int16)
        whole = np.concatenate([first, gap, second])
        recogniser = caller.recogniser
        recogniser.open(1, 0)
        caller.expected[1] = " ".join(word.text for word in words_of(whole))
        for pcm, is_speech in ((first, True), (gap, False), (second, True)):
            recogniser.push(pcm, is_speech)
            recogniser.confirm()
            await asyncio.sleep(0.1)
        caller.ended_s[1] = time.monotonic()
        recogniser.finish()
        final = await caller.final(1)
        assert final.hypothesis.text == caller.expected[1]


@pytest.mark.parametrize("place", ["http://{}/v1", "ws://{}/v1/realtime"])
async def test_other_protocols_are_chosen_by_the_address(place):
    guarded = AsrServer().start()
    try:
        await guarded.wait_ready()
        async with session(place.format(f"127.0.0.1:{guarded.port}"), Mode.CLOUD) as caller:
            # The guards of the service take noise for what it is.
            final = await caller.final(await caller.says(spoken("Good morning to you.")))
            assert final.side is Side.CLOUD
            assert final.hypothesis.text
    finally:
        guarded.kill()


async def test_a_cut_connection_is_resumed_where_it_broke(server):
    async with BreakablePath(server.port) as path, session(path.url, Mode.CLOUD) as caller:
        pcm = speech(4, 6.0)
        recogniser = caller.recogniser
        recogniser.open(1, 0)
        for start in range(0, len(pcm), CHUNK):
            recogniser.push(pcm[start : start + CHUNK], True)
            recogniser.confirm()
            await asyncio.sleep(0.001)
            if start == 40 * CHUNK:
                path.cut()
        caller.ended_s[1] = time.monotonic()
        caller.expected[1] = " ".join(word.text for word in words_of(pcm))
        recogniser.finish()
        final = await caller.final(1)
        assert final.hypothesis.text == caller.expected[1]
        assert path.connections == 2
        # Not sent twice.
        assert path.upstream_bytes < 1.3 * pcm.nbytes


async def test_a_network_that_swallows_everything_costs_one_wait(server):
    async with (
        BreakablePath(server.port) as path,
        session(path.url, wait_s=LONGEST_S) as caller,
    ):
        await back_to_the_cloud(caller)
        path.swallow()
        assert (await caller.hears(speech(5, 0.6))).side is Side.EDGE
        await no_more_patience(caller)
        finals = [await caller.hears(speech(seed, 0.6)) for seed in range(6, 10)]
        assert [final.side for final in finals] == [Side.EDGE] * 4
        path.mend()
        await back_to_the_cloud(caller)


async def test_an_address_that_takes_calls_and_says_nothing_delays_nobody():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with session(f"ws://127.0.0.1:{mute.getsockname()[1]}", wait_s=LONGEST_S) as caller:
            for seed in range(3):
                assert (await caller.hears(speech(seed, 0.4))).side is Side.EDGE


async def test_the_late_text_corrects(server):
    async with (
        BreakablePath(server.port) as path,
        session(path.url, wait_s=LONGEST_S) as caller,
    ):
        await back_to_the_cloud(caller)
        path.swallow()
        caller.edge.mishears = "eh"
        number = await caller.says(speech(2, 0.5))
        assert (await caller.final(number)).hypothesis.text == "eh"
        path.mend()
        async with asyncio.timeout(10):
            while not isinstance(caller.told[-1], Correction):
                caller.came.clear()
                await caller.came.wait()
        correction = caller.told[-1]
        assert correction.hypothesis.text == caller.expected[number]
        assert correction.replaced == "eh"


@pytest.mark.parametrize("mode", [Mode.EDGE, Mode.PREFER_CLOUD])
async def test_no_byte_leaves_in_private(mode):
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        async with session(f"ws://127.0.0.1:{trap.getsockname()[1]}", mode) as caller:
            caller.recogniser.is_private = mode is not Mode.EDGE
            for seed in range(5):
                assert (await caller.hears(speech(seed, 0.5))).side is Side.EDGE
            with pytest.raises(BlockingIOError):
                trap.accept()
            # The trap works: what is not private does call.
            if mode is not Mode.EDGE:
                caller.recogniser.is_private = False
                await caller.says(speech(9, 0.5))
                async with asyncio.timeout(5):
                    await asyncio.get_running_loop().sock_accept(trap)


def percentile(values, share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


async def edge_alone_s() -> float:
    """Seconds a final takes at most (95th percentile) without any cloud."""
    async with session("ws://127.0.0.1:9", Mode.EDGE) as caller:
        for seed in range(40):
            await caller.hears(speech(seed, 0.2 + seed / 40))
        return percentile(caller.waited_s.values(), 0.95)


async def test_killed_at_random_every_utterance_has_one_final_and_no_sample_is_missing():
    chance = random.Random(7)
    kills = Counter()
    alone_s = await edge_alone_s()
    server = AsrServer("--no-guards").start()
    await server.wait_ready()

    async def reaper():
        for victim in cycle(("worker", "server")):
            # Only who is used is worth killing.
            heard = caller.by_cloud
            while caller.by_cloud == heard:  # noqa: ASYNC110 - two waiters on one event
                await asyncio.sleep(0.01)
            await asyncio.sleep(chance.uniform(0.0, 1.0))
            if victim == "worker":
                kills[victim] += server.kill_worker()
            else:
                server.kill()
                kills[victim] += 1
                server.start()
                await server.wait_ready()

    try:
        async with session(server.url, wait_s=LONGEST_S) as caller:
            killing = asyncio.create_task(reaper())
            numbers = []
            while len(numbers) < UTTERANCES or kills.total() < KILLS:
                assert not killing.done()
                pcm = speech(len(numbers), chance.uniform(0.2, 1.2))
                numbers.append(await caller.says(pcm, pace_s=chance.choice([0.0, 0.005, 0.01])))
                if chance.random() < 0.7:
                    await caller.final(numbers[-1])
            for number in numbers:
                await caller.final(number)
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)
    finally:
        server.kill()
    heard = {final.hypothesis.utterance_id: final.hypothesis.text for final in caller.finals}
    assert len(caller.finals) == len(numbers)
    assert heard == caller.expected
    assert min(kills["worker"], kills["server"]) >= KILLS // 2
    late_s = percentile(caller.waited_s.values(), 0.95)
    print(
        f"{len(numbers)} utterances, {dict(kills)} killed, {caller.by_cloud} by the cloud, "
        f"final p95 {late_s:.3f} s after the end, edge alone {alone_s:.3f} s"
    )


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("ip"),
    reason="only for root, who may make network namespaces",
)
async def test_a_black_hole_in_a_real_network():
    name, here, there = f"dpx{os.getpid()}", f"dh{os.getpid()}", f"dt{os.getpid()}"
    net = f"10.{os.getpid() % 200 + 20}.77"

    try:
        run("ip", "netns", "add", name)
    except subprocess.CalledProcessError:
        pytest.skip("only for machines on which network namespaces can be made")
    server = AsrServer("--no-guards", prefix=("ip", "netns", "exec", name), host=f"{net}.2")
    try:
        run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        run("ip", "addr", "add", f"{net}.1/24", "dev", here)
        run("ip", "link", "set", here, "up")
        run("ip", "-n", name, "addr", "add", f"{net}.2/24", "dev", there)
        run("ip", "-n", name, "link", "set", there, "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        server.start()
        await server.wait_ready()
        neighbour = ("ip", "neigh", "replace", f"{net}.2", "nud", "permanent")
        async with session(server.url, wait_s=LONGEST_S) as caller:
            await back_to_the_cloud(caller)
            known = len(caller.waited_s)
            # Sent to a network card that is not there: dropped, and nobody is told.
            run(*neighbour, "lladdr", "02:00:00:00:00:99", "dev", here)
            assert (await caller.hears(speech(1, 0.6))).side is Side.EDGE
            await no_more_patience(caller)
            finals = [await caller.hears(speech(seed, 0.6)) for seed in range(2, 6)]
            assert [final.side for final in finals] == [Side.EDGE] * 4
            waits_s = list(caller.waited_s.values())[known:]
            print("black hole, seconds waited:", [round(wait_s, 3) for wait_s in waits_s])
            run("ip", "neigh", "del", f"{net}.2", "dev", here)
            await back_to_the_cloud(caller)
    finally:
        server.kill()
        with suppress(subprocess.CalledProcessError):
            run("ip", "netns", "del", name)
