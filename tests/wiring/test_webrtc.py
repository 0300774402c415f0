"""Two real aiortc peers, a real pipeline, and a relay between that loses packets."""

import asyncio
import functools
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiortc", reason='needs the extra: pip install "duplex-voice[webrtc]"')

from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from agent.audio.chunk import Int16Array
from agent.transports.webrtc import Offers, WebRTCTransport
from tests.wiring.webrtc_peers import (
    PACKET,
    RATE,
    Caller,
    Faults,
    Microphone,
    Relay,
    chirp,
    chirps,
)


class Ear(FrameProcessor):
    """Keeps what the transport delivers."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[Int16Array] = []
        self.samples = 0
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self._grown = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            assert (frame.sample_rate, frame.num_channels) == (16000, 1)
            self.parts.append(np.frombuffer(frame.audio, np.int16))
            self.samples += len(self.parts[-1])
            self._grown.set()
        elif isinstance(frame, InputTransportMessageFrame):
            self.messages.put_nowait(frame.message)
        await self.push_frame(frame, direction)

    async def heard(self, samples: int) -> Int16Array:
        """Everything up to a number of samples, once there."""
        while self.samples < samples:
            self._grown.clear()
            await self._grown.wait()
        return np.concatenate(self.parts)


@dataclass
class Server:
    """What `serve` has for a call: the endpoint, and a running pipeline per connection."""

    offers: Offers
    answer: Callable[..., Any]
    ear: Ear
    worker: PipelineWorker
    transports: list[WebRTCTransport]
    connected: asyncio.Event
    hung_up: asyncio.Event
    over: asyncio.Event


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Server]:
    server = Server.__new__(Server)
    server.transports, server.ear = [], Ear()
    server.connected, server.hung_up, server.over = (asyncio.Event() for _ in range(3))
    tasks = []

    def on_connection(transport: WebRTCTransport) -> None:
        server.transports.append(transport)
        server.worker = PipelineWorker(
            Pipeline([transport.input(), server.ear, transport.output()]),
            params=PipelineParams(audio_in_sample_rate=16000, audio_out_sample_rate=24000),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )

        async def on_connected(*_: object) -> None:
            server.connected.set()

        async def on_hung_up(*_: object) -> None:
            server.hung_up.set()

        transport.add_event_handler("on_client_connected", on_connected)
        transport.add_event_handler("on_client_disconnected", on_hung_up)
        tasks.append(asyncio.create_task(run(server.worker)))

    async def run(worker: PipelineWorker) -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()
        server.over.set()

    server.offers = Offers(**options)
    server.answer = functools.partial(server.offers.answer, on_connection=on_connection)
    try:
        yield server
    finally:
        for _ in tasks:
            await server.worker.cancel()
        await asyncio.gather(*tasks)
        await server.offers.close()


@asynccontextmanager
async def calling(
    server: Server, microphone: Microphone, faults: Faults | None = None
) -> AsyncIterator[Caller]:
    caller = Caller(microphone, Relay(faults or Faults()))
    try:
        await caller.call(server.answer)
        await asyncio.wait_for(server.connected.wait(), 15)
        yield caller
    finally:
        await caller.close()


def _found_chirps(heard: Int16Array, count: int) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Where the chirps are in 16 kHz audio, in seconds; one in each window of half a second."""
    wanted = chirp(16000)
    likeness = np.correlate(heard.astype(float), wanted, mode="valid")
    places = []
    for index in range(count):
        first = max(0, round((index * 0.5 + 0.1) * 16000))
        window = likeness[first : first + 8000 - 1600]
        places.append((first + int(np.argmax(window))) / 16000)
    return np.array(places)


# Faster than real time: holds are counted in packets, so the pace of the packets does not matter.
_QUICK_S = 0.006
_CALL_S = 16.0


@pytest.mark.parametrize(
    "faults",
    [
        Faults(),
        Faults(loss=0.01, seed=11),
        Faults(loss=0.03, seed=12),
        Faults(reorder=0.02, seed=13),
        Faults(loss=0.03, reorder=0.01, seed=14),
    ],
    ids=lambda f: f"loss{f.loss:.0%}-reorder{f.reorder:.0%}",
)
async def test_delay_does_not_grow_and_the_clock_does_not_slip(faults: Faults) -> None:
    microphone = Microphone(chirps(_CALL_S), _QUICK_S)
    # A test machine that stands still is no muted caller.
    serve = serving(fill_after_s=30.0)
    async with serve as server, calling(server, microphone, faults) as caller:
        microphone.go.set()
        sent = microphone.packets * 320
        # The filter holds 40 samples back, a loss at the end as much as it is long.
        heard = await asyncio.wait_for(server.ear.heard(sent - 40 - 3 * 320), 60)
        await microphone.finished.wait()
        relay = caller._relay
        receiver = server.transports[0].receiver
        assert relay is not None and receiver is not None
        stats = receiver.stats

    print(faults, relay.dropped, relay.reordered, stats)
    # The packet that settles a hole can itself be overtaken, when packets are late and lost.
    assert stats.longest_hold * 20 <= (80 if faults.loss and faults.reorder else 60)
    if not faults.loss and not faults.reorder:
        assert stats.longest_hold == 0
    assert stats.late == stats.duplicate == stats.restarts == 0
    assert abs(stats.lost - relay.dropped) <= 3
    if faults.loss:
        assert relay.dropped >= microphone.packets * faults.loss / 3

    # Each chirp lies where it was sent, for the whole call: nothing was left out or put in.
    places = _found_chirps(heard, int(_CALL_S * 2) - 1)
    offsets = places - (0.2 + 0.5 * np.arange(len(places)))
    typical = float(np.median(offsets))
    assert 0 <= typical <= 0.010, "Opus looks 6.5 ms ahead; nothing else may add"
    # A chirp that lost a packet is found less exactly.
    assert np.sum(np.abs(offsets - typical) > 0.001) <= max(1, relay.dropped // 4)
    assert np.abs(offsets - typical).max() < 0.02


async def test_everything_sent_is_heard_to_the_packet() -> None:
    microphone = Microphone(chirps(6.0), _QUICK_S)
    async with serving() as server, calling(server, microphone, Faults(0.03, 0, 21)) as caller:
        microphone.go.set()
        sent = microphone.packets * 320
        await asyncio.wait_for(server.ear.heard(sent - 3 * 320), 30)
        await microphone.finished.wait()
        assert caller._relay is not None and caller._relay.dropped > 0
        # Then the sender is mute, and the stream goes on as silence.
        muted = await asyncio.wait_for(server.ear.heard(sent + 16000), 15)
    assert not muted[sent + 3200 : sent + 16000].any()


async def test_agent_is_heard_without_holes() -> None:
    microphone = Microphone(np.zeros(RATE * 30, np.int16))
    async with serving() as server, calling(server, microphone) as caller:
        recording = asyncio.create_task(caller.listen(150))
        await caller.heard
        t = np.arange(24000 * 2) / 24000
        tone = np.rint(8000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)
        output = server.transports[0].output()
        most_queued = 0.0
        for at in range(0, len(tone), 480):
            frame = OutputAudioRawFrame(tone[at : at + 480].tobytes(), 24000, 1)
            assert await output.write_audio_frame(frame)
            most_queued = max(most_queued, output.queued_s)
        heard = await asyncio.wait_for(recording, 15)

    assert most_queued <= 0.02
    level = np.abs(heard[: len(heard) // 240 * 240].reshape(-1, 240)).max(axis=1)
    voiced = np.flatnonzero(level > 2000)
    assert (level[voiced[0] : voiced[-1] + 1] > 2000).all(), "a hole in the middle of a tone"
    assert abs((voiced[-1] + 1 - voiced[0]) * 0.005 - 2.0) < 0.03
    spectrum = np.abs(np.fft.rfft(heard[voiced[0] * 240 :][:RATE]))
    assert int(np.argmax(spectrum)) == 440


async def test_last_words_are_sent_before_the_line_is_closed() -> None:
    microphone = Microphone(np.zeros(RATE * 30, np.int16))
    async with serving() as server, calling(server, microphone) as caller:
        await caller.heard
        pcm = np.full(24000, 3000, np.int16)
        pcm[::2] = -3000
        recording = asyncio.create_task(caller.listen(500))
        await server.worker.queue_frames([OutputAudioRawFrame(pcm.tobytes(), 24000, 1), EndFrame()])
        await asyncio.wait_for(server.over.wait(), 15)
        gone = json.loads(await asyncio.wait_for(caller.messages.get(), 5))
        recording.cancel()
    assert gone == {"type": "signalling", "message": {"type": "peerLeft"}}
    assert not server.hung_up.is_set(), "it was not the caller who hung up"


async def test_messages_both_ways() -> None:
    microphone = Microphone(np.zeros(RATE, np.int16))
    async with serving() as server, calling(server, microphone) as caller:
        await server.worker.queue_frame(
            OutputTransportMessageUrgentFrame(message={"type": "clear"})
        )
        assert json.loads(await asyncio.wait_for(caller.messages.get(), 5)) == {"type": "clear"}
        for nonsense in ("[]", "{", "1", '"x"', "null", "{}"):
            caller.channel.send(nonsense)
        caller.channel.send(json.dumps({"type": "mute", "on": True}))
        assert await asyncio.wait_for(server.ear.messages.get(), 5) == {"type": "mute", "on": True}


async def test_caller_who_hangs_up_ends_the_call_once() -> None:
    microphone = Microphone(np.zeros(RATE, np.int16))
    async with serving() as server:
        async with calling(server, microphone) as caller:
            assert server.offers._connections.keys() == {caller.pc_id}
        await asyncio.wait_for(server.hung_up.wait(), 10)
        assert not server.offers._connections


async def test_caller_who_vanishes_is_noticed_by_silence_and_missing_pings() -> None:
    microphone = Microphone(np.zeros(RATE * 30, np.int16))
    async with serving() as server, calling(server, microphone) as caller:
        microphone.go.set()
        # The first message back says that the data channel is open.
        await server.worker.queue_frame(OutputTransportMessageUrgentFrame(message={"type": "x"}))
        await asyncio.wait_for(caller.messages.get(), 5)
        caller.channel.send("ping")
        await asyncio.wait_for(server.ear.heard(8000), 10)
        assert caller._relay is not None
        caller._relay.is_cut = True
        await asyncio.wait_for(server.hung_up.wait(), 15)
        assert not server.offers._connections


async def test_restarted_connection_goes_on_in_the_same_pipeline() -> None:
    first = Microphone(chirps(1.0), _QUICK_S)
    async with serving() as server, calling(server, first) as caller:
        first.go.set()
        await asyncio.wait_for(server.ear.heard(14000), 10)
        server.connected.clear()
        second = Microphone(chirps(30.0), _QUICK_S)
        again = Caller(second, Relay())
        try:
            await again.call(server.offers.negotiate, pc_id=caller.pc_id, restart_pc=True)
            await asyncio.wait_for(server.connected.wait(), 15)
            second.go.set()
            before = server.ear.samples
            await asyncio.wait_for(server.ear.heard(before + 16000), 10)
            assert len(server.transports) == 1
            assert again.pc_id != caller.pc_id
            assert server.offers._connections.keys() == {again.pc_id}
        finally:
            await again.close()


@pytest.mark.parametrize(
    "offer",
    [
        {},
        {"type": "answer", "sdp": "v=0"},
        {"type": "offer", "sdp": 7},
        {"type": "offer", "sdp": ""},
        {"type": "offer", "sdp": "\0\xff"},
        {"type": "offer", "sdp": "v=0\r\nm=audio x y\r\n"},
        {"type": "offer", "sdp": "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"},
        {"type": "offer", "sdp": "a" * 70000},
    ],
)
async def test_offer_without_sense_is_refused(offer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="offer"):
        await Offers().answer(offer, lambda _: pytest.fail("no call may begin"))


async def test_refused_caller_gets_the_reason_and_no_connection_is_left() -> None:
    def refuse(_: WebRTCTransport) -> None:
        raise RuntimeError("all lines are busy")

    offers = Offers()
    caller = Caller(Microphone(np.zeros(PACKET, np.int16)))
    try:
        with pytest.raises(RuntimeError, match="busy"):
            await caller.call(functools.partial(offers.answer, on_connection=refuse))
        assert not offers._connections
    finally:
        await caller.close()


async def test_candidates_are_taken_checked_and_refused() -> None:
    microphone = Microphone(np.zeros(RATE, np.int16))
    async with serving() as server, calling(server, microphone) as caller:
        add = server.offers.add_candidates
        good = {
            "candidate": "candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host",
            "sdp_mid": "0",
            "sdp_mline_index": 0,
        }
        await add({"pc_id": caller.pc_id, "candidates": [good, {**good, "candidate": ""}]})
        with pytest.raises(KeyError):
            await add({"pc_id": "nobody", "candidates": []})
        bad: list[Callable[[], Any]] = [
            dict,
            lambda: {"candidates": 3},
            lambda: {"candidates": [{"candidate": "candidate:1"}]},
            lambda: {"candidates": [{**good, "candidate": "candidate:a b c d e f g h"}]},
            lambda: {"candidates": [{**good, "candidate": 5}]},
            lambda: {"candidates": ["x"]},
        ]
        for body in bad:
            with pytest.raises(ValueError, match="candidate"):
                await add({"pc_id": caller.pc_id, **body()})


async def test_nobody_on_the_network_is_asked_for_addresses() -> None:
    caller = Caller(Microphone(np.zeros(PACKET, np.int16)))
    offers = Offers()
    try:
        await caller.call(functools.partial(offers.answer, on_connection=lambda _: None))
        sdp = caller.pc.remoteDescription.sdp
        kinds = {line.split(" typ ")[1].split()[0] for line in sdp.splitlines() if " typ " in line}
        assert kinds == {"host"}
        (connection,) = offers._connections.values()
        assert connection.ice_servers == []
    finally:
        await caller.close()
        await offers.close()


def test_without_the_extra_the_error_names_it() -> None:
    script = (
        "import sys; sys.modules['aiortc'] = None\n"
        "try:\n    import agent.transports.webrtc\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert 'pip install "duplex-voice[webrtc]"' in done.stdout, done.stderr
