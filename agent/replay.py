"""`duplex replay`: a recording through the whole pipeline, in the time it takes to say it."""

import asyncio
import json
import wave
from pathlib import Path

import numpy as np
import soundfile
from loguru import logger

from agent.audio.chunk import Float32Array, Int16Array, samples, to_int16
from agent.audio.resample import resample
from agent.errors import AudioFormatError
from agent.llm.prompt import system_prompt
from agent.runtimes import Runtimes
from agent.session import Channel, VoiceSession, close
from agent.settings import Settings
from agent.transports.memory import MemoryTransport

_RATE = 16_000
_OUT_RATE = 24_000
_PACKET_S = 0.02
_GIVE_UP_S = 60.0
"""Longest wait for the end of the last answer."""

_QUIET_S = 3.0
"""Rest that ends the conversation: longer than the longest silence that ends a turn."""


async def replay(
    settings: Settings, recording: Path, *, out: Path | None, as_json: bool, greet: bool
) -> int:
    """Play `recording` to the agent and report its turns.

    Returns:
        Exit code: 0 when the conversation ran to its end.

    Raises:
        AudioFormatError: Not an audio file.
    """
    pcm = read(recording)
    runtimes = Runtimes(settings)
    try:
        models = await runtimes.load()
        transport = MemoryTransport(_RATE)
        session = VoiceSession(
            settings,
            models,
            transport,
            Channel("replay", _OUT_RATE, delay_s=0.0),
            system_prompt=system_prompt(settings.agent.instructions),
        )
        task = asyncio.create_task(session.run())
        await transport.input().ready.wait()
        if greet:
            await session.greet()
        await _play(pcm, transport, session)
        await close(session, task, drain_s=1.0)
    finally:
        await runtimes.close()
    if out:
        _write(out, transport.output().recording())
    _print(session, as_json=as_json)
    return 0


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


def _print(session: VoiceSession, *, as_json: bool) -> None:
    turns = [turn.as_json() for turn in session.recorder.turns if turn.turn or turn.answered]
    if as_json:
        print(json.dumps({"turns": turns}, ensure_ascii=False, indent=2))
        return
    for turn in turns:
        latency = turn["stages"].get("voice_to_voice_s")
        print(f"user:  {turn['heard']}" if turn["turn"] else "")
        cut = " — interrupted" if turn["interrupted"] else ""
        print(f"agent: {turn['answered']}{cut}" + (f"  [{latency} s]" if latency else ""))
