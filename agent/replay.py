"""`duplex replay`: a recording through the whole pipeline."""

import asyncio
import json
import wave
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from loguru import logger

from agent.audio.chunk import Float32Array, Int16Array, samples, to_int16
from agent.audio.resample import resample
from agent.errors import AudioFormatError
from agent.llm.prompt import system_prompt
from agent.observe.record import TurnRecorder
from agent.runtimes import Runtimes
from agent.session import Channel, VoiceSession, close
from agent.settings import Settings
from agent.transports.memory import MemoryTransport
from agent.virtual_time import VirtualLoop

_RATE = 16_000
_OUT_RATE = 24_000
_PACKET_S = 0.02
_GIVE_UP_S = 60.0
"""Longest wait for the end of the last answer."""

_QUIET_S = 3.0
"""Rest that ends the conversation: longer than the longest silence that ends a turn."""


_SEED = 1
"""So that the language model gives the same answers, where the settings name no seed."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a recording.

    Attributes:
        recorder: The session's records.
        agent: What the agent said, 24 kHz mono int16, on the time line of the recording.
    """

    recorder: TurnRecorder
    agent: Int16Array


def replay(
    settings: Settings,
    recording: Path,
    *,
    out: Path | None,
    as_json: bool,
    greet: bool,
    live: bool = False,
) -> int:
    """Play `recording` to the agent and report its turns.

    Returns:
        Exit code: 0 when the conversation ran to its end.

    Raises:
        AudioFormatError: Not an audio file.
    """
    outcome = run(settings, read(recording), greet=greet, live=live)
    if out:
        _write(out, outcome.agent)
    print_turns(outcome.recorder, as_json=as_json)
    return 0


def run(
    settings: Settings,
    pcm: Int16Array,
    *,
    greet: bool = False,
    live: bool = False,
    watch: Callable[[TurnRecorder], None] = lambda recorder: None,
) -> Replay:
    """Put audio through the pipeline.

    Args:
        settings: Every knob.
        pcm: 16 kHz mono int16, shape (n,).
        greet: Whether the agent speaks first.
        live: At the pace of speech, so that the stages say how long the work takes. Otherwise work
            takes no time: the same audio gives the same decisions on any machine.
        watch: Told of the session's recorder before the first sample.
    """
    if live:
        return asyncio.run(_replay(settings, pcm, greet, watch, nullcontext()))
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        if settings.llm.seed is None:
            llm = settings.llm.model_copy(update={"seed": _SEED})
            settings = settings.model_copy(update={"llm": llm})
        return runner.run(_replay(settings, pcm, greet, watch, loop.virtual()))


async def _replay(
    settings: Settings,
    pcm: Int16Array,
    greet: bool,
    watch: Callable[[TurnRecorder], None],
    pace: AbstractContextManager[None],
) -> Replay:
    runtimes = Runtimes(settings)
    try:
        models = await runtimes.load()
        transport = MemoryTransport(_RATE)
        if not runtimes.is_self_contained:
            # A server keeps a clock of its own, and a connection open.
            logger.info("replaying at the pace of speech: not every model is ours")
            pace = nullcontext()
        with pace:
            session = VoiceSession(
                settings,
                models,
                transport,
                Channel("replay", _OUT_RATE, delay_s=0.0),
                system_prompt=system_prompt(settings.agent.instructions),
                clock=asyncio.get_running_loop().time,
            )
            watch(session.recorder)
            task = asyncio.create_task(session.run())
            await transport.input().ready.wait()
            if greet:
                await session.greet()
            await _play(pcm, transport, session)
            await close(session, task, drain_s=1.0)
    finally:
        await runtimes.close()
    return Replay(session.recorder, transport.output().recording())


def read(path: Path) -> Int16Array:
    """Any audio file as 16 kHz mono int16; what is not a number becomes silence.

    Raises:
        AudioFormatError: Not an audio file.
    """
    try:
        signal, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioFormatError(f"cannot read {path}: {error}") from error
    # One channel that is not a number must not silence the other.
    mono: Float32Array = np.nan_to_num(signal, posinf=0.0, neginf=0.0).mean(
        axis=1, dtype=np.float32
    )
    return resample(to_int16(mono), rate, _RATE)


async def _play(pcm: Int16Array, transport: MemoryTransport, session: VoiceSession) -> None:
    """Speak the recording, then stay silent until the conversation has come to rest."""
    loop = asyncio.get_running_loop()
    size = samples(_PACKET_S, _RATE)
    silence = np.zeros(size, np.int16)
    start_s, sent = loop.time(), 0
    last_busy_s = 0.0
    while sent < len(pcm) or loop.time() - last_busy_s < _QUIET_S:
        packet = pcm[sent : sent + size] if sent < len(pcm) else silence
        await transport.input().speak(packet)
        sent += len(packet)
        if sent <= len(pcm) or not session.is_idle:
            last_busy_s = loop.time()
        if sent > len(pcm) + _GIVE_UP_S * _RATE:
            logger.warning("the last answer did not end within {} s", _GIVE_UP_S)
            return
        await asyncio.sleep(max(0.0, start_s + sent / _RATE - loop.time()))


def _write(path: Path, pcm: Int16Array) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_OUT_RATE)
        file.writeframes(pcm.tobytes())


def print_turns(recorder: TurnRecorder, *, as_json: bool) -> None:
    """Print one record per turn."""
    turns = [turn.as_json() for turn in recorder.turns if turn.turn or turn.answered]
    if as_json:
        record = {"turns": turns, "decisions": list(recorder.decisions)}
        print(json.dumps(record, ensure_ascii=False, indent=2))
        return
    for turn in turns:
        latency = turn["stages"].get("voice_to_voice_s")
        print(f"user:  {turn['heard']}" if turn["turn"] else "")
        cut = " — interrupted" if turn["interrupted"] else ""
        print(f"agent: {turn['answered']}{cut}" + (f"  [{latency} s]" if latency else ""))
