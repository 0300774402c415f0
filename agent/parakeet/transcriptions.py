"""``POST /v1/audio/transcriptions``, as OpenAI's clients send it."""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from agent.audio.chunk import Int16Array, seconds
from agent.parakeet import formats
from agent.parakeet.engine import Options, Transcript
from agent.parakeet.errors import (
    BadInputError,
    DrainingError,
    OverloadedError,
    RequestError,
)
from agent.parakeet.refusals import bounded, refusal
from agent.parakeet.segments import Segment
from agent.parakeet.service import Service
from agent.parakeet.sound import decode

MOST_BYTES = 1 << 30
"""Of one upload: four hours of 16 kHz wav are half of that."""

ROUTE = "transcriptions"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request, read.

    Attributes:
        options: For the engine.
        format: One of `formats.FORMATS`.
        granularities: Of ``verbose_json``.
        logprobs: Whether ``json`` has them.
        is_streamed: Whether to answer by server-sent events.
        deadline_s: Seconds from now; None leaves it to the server.
    """

    options: Options
    format: str
    granularities: tuple[str, ...]
    logprobs: bool
    is_streamed: bool
    deadline_s: float | None


def wanted(form: FormData, headers: Mapping[str, str]) -> Wanted:
    """Read a request's fields.

    Raises:
        BadInputError: A value is unknown.
    """
    kind = _text(form, "response_format") or "json"
    if kind not in formats.FORMATS:
        raise BadInputError(f"response_format {kind!r} is unknown; {', '.join(formats.FORMATS)}")
    granularities = tuple(str(value) for value in form.getlist("timestamp_granularities[]"))
    if unknown := set(granularities) - {"word", "segment"}:
        raise BadInputError(f"timestamp_granularities {sorted(unknown)} are unknown")
    languages = [_text(form, "language"), *map(str, form.getlist("languages[]"))]
    keywords = (*form.getlist("keywords[]"), *form.getlist("keywords"))
    return Wanted(
        options=Options(
            language=next((code.split("-")[0].lower() for code in languages if code), None),
            hints=tuple(str(word) for word in keywords),
        ),
        format=kind,
        granularities=granularities or ("segment",),
        logprobs="logprobs" in map(str, form.getlist("include[]")),
        is_streamed=_flag(form, "stream"),
        deadline_s=_deadline(headers.get("x-deadline-s")),
    )


async def transcriptions(service: Service, request: Request) -> Response:
    """Answer one request; a failure has a status, a code and, where it helps, a time to retry."""
    with service.occupied():
        started_s = asyncio.get_running_loop().time()
        try:
            if not service.accepts:
                raise unready(service)
            pcm, asked = await _read(service, request)
            deadline_s = asyncio.get_running_loop().time() + (
                asked.deadline_s or service.settings.file_deadline_s
            )
            if asked.is_streamed:
                response: Response = _streamed(service, pcm, asked, deadline_s)
            else:
                heard = await _or_disconnect(
                    request, service.recording(pcm, asked.options, deadline_s)
                )
                response = _written(heard, seconds(len(pcm)), asked)
            service.metrics.audio_s.labels(ROUTE).inc(seconds(len(pcm)))
        except RequestError as error:
            response = refusal(error)
        except ClientDisconnect:
            response = Response(status_code=499)
        took_s = asyncio.get_running_loop().time() - started_s
        service.metrics.requests.labels(ROUTE, str(response.status_code)).inc()
        service.metrics.request_s.labels(ROUTE).observe(took_s)
        return response


def unready(service: Service) -> RequestError:
    """Why nothing new is accepted."""
    if service.is_draining:
        service.metrics.rejected.labels("draining").inc()
        return DrainingError("this server is going away; send it to another one", 1.0)
    service.metrics.rejected.labels("loading").inc()
    return OverloadedError("the model is loading", 2.0)


async def _read(service: Service, request: Request) -> tuple[Int16Array, Wanted]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise BadInputError(f"send multipart/form-data with a part 'file', not {kind or 'nothing'}")
    async with bounded(request, MOST_BYTES).form(max_part_size=1 << 20) as form:
        asked = wanted(form, request.headers)
        file = form.get("file")
        if not isinstance(file, UploadFile):
            what = "is no upload; it needs a file name" if "file" in form else "is missing"
            raise BadInputError(f"the form's part 'file' {what}")
        data = await file.read()
    longest_s = service.settings.longest_file_s
    # A short file is decoded sooner than a thread takes over.
    if len(data) < 1 << 20:
        return decode(data, longest_s), asked
    return await asyncio.to_thread(decode, data, longest_s), asked


async def _or_disconnect(request: Request, work: "asyncio.Future[Transcript] | Any") -> Transcript:
    """Wait for a transcript, but not longer than someone waits for it."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        heard: Transcript = task.result()
        return heard
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _written(heard: Transcript, length_s: float, asked: Wanted) -> Response:
    match asked.format:
        case "text":
            return PlainTextResponse(heard.text + "\n")
        case "srt":
            return PlainTextResponse(formats.srt_of(heard.words))
        case "vtt":
            return PlainTextResponse(formats.vtt_of(heard.words), media_type="text/vtt")
        case "verbose_json":
            return JSONResponse(formats.verbose_of(heard, length_s, asked.granularities))
        case _:
            return JSONResponse(formats.json_of(heard, length_s, logprobs=asked.logprobs))


def _streamed(
    service: Service, pcm: Int16Array, asked: Wanted, deadline_s: float
) -> StreamingResponse:
    """Each segment's text as soon as it is known, then the whole."""

    async def events() -> AsyncIterator[str]:
        told: asyncio.Queue[str | None] = asyncio.Queue()
        has_begun = False

        def on_segment(_segment: Segment, part: Transcript) -> None:
            nonlocal has_begun
            if part.text:
                told.put_nowait(_event(_delta(part, asked, " " if has_begun else "")))
                has_begun = True

        async def work() -> None:
            try:
                heard = await service.recording(pcm, asked.options, deadline_s, on_segment)
                told.put_nowait(_event(_done(heard, asked)))
            except RequestError as error:
                body = json.loads(bytes(refusal(error).body))
                told.put_nowait(_event({"type": "error", **body}))
            finally:
                told.put_nowait(None)

        with service.occupied():
            task = asyncio.create_task(work())
            try:
                while (line := await told.get()) is not None:
                    yield line
                yield "data: [DONE]\n\n"
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    return StreamingResponse(events(), media_type="text/event-stream")


def _delta(part: Transcript, asked: Wanted, before: str) -> dict[str, Any]:
    event: dict[str, Any] = {"type": "transcript.text.delta", "delta": before + part.text}
    if asked.logprobs:
        event["logprobs"] = formats.logprobs_of(part.words)
    return event


def _done(heard: Transcript, asked: Wanted) -> dict[str, Any]:
    event: dict[str, Any] = {"type": "transcript.text.done", "text": heard.text}
    if asked.logprobs:
        event["logprobs"] = formats.logprobs_of(heard.words)
    return event


def _event(content: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(content)}\n\n"


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _flag(form: FormData, name: str) -> bool:
    value = _text(form, name).lower()
    if value not in ("", "true", "false", "1", "0"):
        raise BadInputError(f"{name} is true or false, not {value!r}")
    return value in ("true", "1")


def _deadline(header: str | None) -> float | None:
    if header is None:
        return None
    try:
        value = float(header)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise BadInputError(f"X-Deadline-S is a positive number of seconds, not {header!r}")
    return value
