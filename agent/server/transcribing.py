"""`POST /v1/audio/transcriptions`: the agent's ears for a recording, as OpenAI's clients ask."""

import asyncio
import io
from itertools import groupby
from typing import Any

import numpy as np
import soundfile
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.formparsers import MultiPartException

from agent.asr.hybrid.recogniser import Sides
from agent.asr.hypothesis import Hypothesis, Recogniser
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples, seconds, to_int16
from agent.audio.resample import resample
from agent.errors import AudioFormatError
from agent.server.sessions import Sessions
from agent.server.speaking import bad_request, refusal
from agent.vad.silero import HOP, SileroModel, SileroPosterior

_FORMATS = ("json", "text", "verbose_json")

_MOST_BYTES = 32 << 20
_LONGEST_S = 1800.0

_AT_ONCE = 1
"""Recordings read at the same time; others wait. Callers come first."""

_SPEECH = 0.3
_AROUND = round(0.5 * SAMPLE_RATE / HOP)
"""Hops before and after speech that are read with it."""

_STRETCH = samples(4.0)
"""Audio given to the recogniser at a time: it then reads no more often than it must."""


def add_transcriptions(app: FastAPI, sessions: Sessions) -> None:
    """Add the route."""
    busy = asyncio.Semaphore(_AT_ONCE)

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(request: Request) -> Response:
        if refused := refusal(sessions, request, _MOST_BYTES):
            return refused
        ears = sessions.models.recogniser()
        edge = ears.edge if isinstance(ears, Sides) else ears
        if edge is None:
            return bad_request("this agent's recogniser is a server elsewhere: ask it", 501)
        try:
            pcm, kind, granularities = await _read(request)
        except (ValueError, AudioFormatError, MultiPartException) as error:
            return bad_request(str(error))
        async with busy:
            heard = await asyncio.to_thread(_recognise, edge, sessions.models.silero, pcm)
        return _written(heard, seconds(len(pcm)), kind, granularities)


async def _read(request: Request) -> tuple[Int16Array, str, list[str]]:
    async with request.form(max_files=1, max_fields=20) as form:
        kind = str(form.get("response_format") or "json")
        if kind not in _FORMATS:
            raise ValueError(f"response_format is one of {', '.join(_FORMATS)}")
        if str(form.get("stream", "")).lower() == "true":
            raise ValueError("stream is not supported: use /v1/realtime for speech as it comes")
        granularities = [str(value) for value in form.getlist("timestamp_granularities[]")]
        file = form.get("file")
        if file is None or isinstance(file, str):
            raise ValueError("the form has no file")
        return await asyncio.to_thread(_decoded, await file.read()), kind, granularities


def _decoded(data: bytes) -> Int16Array:
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.frames > _LONGEST_S * file.samplerate:
                raise ValueError(f"a recording has at most {_LONGEST_S:.0f} s")
            signal = file.read(dtype="float32", always_2d=True)
            mono = np.nan_to_num(signal, posinf=0.0, neginf=0.0).mean(axis=1, dtype=np.float32)
            return resample(to_int16(mono), file.samplerate, SAMPLE_RATE)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"not a sound file this server reads ({error})") from None


def _recognise(recogniser: Recogniser, silero: SileroModel, pcm: Int16Array) -> Hypothesis | None:
    """Read a recording, and only the speech in it; None where there is none."""
    posterior = SileroPosterior(silero)
    spoken = posterior.push_all(np.pad(pcm, (0, -len(pcm) % HOP))) >= _SPEECH
    if not spoken.any():
        return None
    near = np.convolve(spoken, np.ones(2 * _AROUND + 1), "same") > 0
    recogniser.start(1, 0)
    at = 0
    for is_speech, run in groupby(near.tolist()):
        size = HOP * sum(1 for _ in run)
        stretch = pcm[at : at + size]
        at += size
        for start in range(0, len(stretch), _STRETCH):
            recogniser.push(stretch[start : start + _STRETCH], is_speech)
    return recogniser.finish()


def _written(
    heard: Hypothesis | None, length_s: float, kind: str, granularities: list[str]
) -> Response:
    text = heard.text if heard else ""
    if kind == "text":
        return PlainTextResponse(text + "\n")
    usage = {"type": "duration", "seconds": int(-(-length_s // 1))}
    if kind == "json":
        return JSONResponse({"text": text, "usage": usage})
    words = [
        {
            "word": word.text,
            "start": round(seconds(word.start_sample), 3),
            "end": round(seconds(word.end_sample), 3),
        }
        for word in (heard.words if heard else ())
    ]
    told: dict[str, Any] = {
        "task": "transcribe",
        "language": "english",
        "duration": round(length_s, 3),
        "text": text,
        "usage": usage,
    }
    if not granularities or "segment" in granularities:
        told["segments"] = [_segment(text, words)] if words else []
    if "word" in granularities:
        told["words"] = words
    return JSONResponse(told)


def _segment(text: str, words: list[dict[str, Any]]) -> dict[str, Any]:
    """Return all of it as one segment; its figures of Whisper's decoding are neutral."""
    return {
        "id": 0,
        "seek": 0,
        "start": words[0]["start"],
        "end": words[-1]["end"],
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }
