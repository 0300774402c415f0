"""`POST /v1/audio/speech`: the agent's voice for a text, as OpenAI's clients ask for it."""

import asyncio
import io
import json
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import soundfile
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from agent.audio.chunk import Int16Array
from agent.audio.resample import StreamResampler
from agent.server.sessions import Sessions
from agent.transports.realtime.configuration import OPENAI_VOICES
from agent.tts.clauses import ClauseSplitter
from agent.tts.speech import Voice

_RATE = 24_000
"""Of OpenAI's audio, whatever the voice's own."""

_STREAMED = {"wav": "audio/wav", "pcm": "audio/pcm"}

_WHOLE = {
    "mp3": ("audio/mpeg", "MP3", "MPEG_LAYER_III"),
    "flac": ("audio/flac", "FLAC", "PCM_16"),
    "opus": ("audio/ogg", "OGG", "OPUS"),
}
"""Encoded when all of it is there."""

_MOST_TEXT = 4096
"""OpenAI's own bound."""

_MOST_BYTES = 64 << 10

_AT_ONCE = 1
"""Texts spoken at the same time; others wait. Callers come first, and have their own threads."""

_UNKNOWN_LENGTH = 0xFFFFFFFF


def add_speech(app: FastAPI, sessions: Sessions) -> None:
    """Add the route."""
    busy = asyncio.Semaphore(_AT_ONCE)

    @app.post("/v1/audio/speech")
    async def speech(request: Request) -> Response:
        if refused := refusal(sessions, request, _MOST_BYTES):
            return refused
        try:
            asked = json.loads(await request.body())
            text, kind = _wanted(asked, sessions.models.voice)
        except (ValueError, RecursionError) as error:
            return bad_request(str(error))
        pieces = _spoken(sessions.models.voice, text, busy)
        if kind in _STREAMED:
            return StreamingResponse(_written(pieces, kind), media_type=_STREAMED[kind])
        media_type, container, subtype = _WHOLE[kind]
        pcm = np.concatenate([piece async for piece in pieces])
        file = io.BytesIO()
        await asyncio.to_thread(
            soundfile.write, file, pcm, _RATE, format=container, subtype=subtype
        )
        return Response(file.getvalue(), media_type=media_type)


def refusal(sessions: Sessions, request: Request, most_bytes: int) -> Response | None:
    """Look at who asks and how much is sent; None lets the request in.

    Raises:
        RefusedError: It brings no key, or comes too often.
    """
    sessions.admission.limit_rate(request)
    sessions.admission.identify(request)
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > most_bytes:
        return bad_request(f"a request has at most {most_bytes >> 10} KiB", 413)
    return None


def bad_request(message: str, status: int = 400) -> JSONResponse:
    """Refuse as OpenAI does."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": error}, status_code=status)


def _wanted(asked: Any, voice: Voice) -> tuple[str, str]:
    """Return the text and the format.

    Raises:
        ValueError: Something else is wanted than can be had.
    """
    if not isinstance(asked, dict):
        raise ValueError('send {"input": "...", "voice": "...", "model": "..."}')
    text = asked.get("input")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("input is the text to speak")
    if len(text) > _MOST_TEXT:
        raise ValueError(f"input has at most {_MOST_TEXT} characters")
    kind = asked.get("response_format", "mp3")
    known = [*_STREAMED, *_WHOLE]
    if kind not in known:
        raise ValueError(f"response_format is one of {', '.join(known)}")
    own = voice.name.rpartition("/")[2]
    named = asked.get("voice", own)
    if named != own and named not in OPENAI_VOICES:
        raise ValueError(
            f"this agent speaks as {own}; OpenAI's names mean the same voice. Another one is "
            "chosen at the server, with models.tts"
        )
    if asked.get("speed", 1) != 1:
        raise ValueError("speed must be 1: the voice has one pace")
    if asked.get("stream_format", "audio") != "audio":
        raise ValueError("stream_format must be audio: the bytes are streamed as they are spoken")
    return text, kind


async def _spoken(voice: Voice, text: str, busy: asyncio.Semaphore) -> AsyncIterator[Int16Array]:
    splitter = ClauseSplitter()
    clauses = [*splitter.push(text), *splitter.finish()]
    resampler = StreamResampler(voice.sample_rate, _RATE) if voice.sample_rate != _RATE else None
    stretches = _stretches(voice, clauses)
    while True:
        async with busy:
            pcm = await asyncio.to_thread(next, stretches, None)
        if pcm is None:
            break
        yield resampler.push(pcm) if resampler else pcm
    if resampler:
        yield resampler.flush()


def _stretches(voice: Voice, clauses: list[str]) -> Iterator[Int16Array]:
    for clause in clauses:
        for speech in voice.speak(clause):
            yield speech.pcm


async def _written(pieces: AsyncIterator[Int16Array], kind: str) -> AsyncIterator[bytes]:
    if kind == "wav":
        yield _wav_header()
    async for pcm in pieces:
        yield pcm.tobytes()


def _wav_header() -> bytes:
    """Return the header of a file whose length is not known yet."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, 2 * _RATE, 2, 16)
    riff = struct.pack("<4sI4s", b"RIFF", _UNKNOWN_LENGTH, b"WAVE")
    return riff + form + struct.pack("<4sI", b"data", _UNKNOWN_LENGTH)
