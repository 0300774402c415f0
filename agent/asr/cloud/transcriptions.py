"""Any server with OpenAI's ``POST /v1/audio/transcriptions``: an utterance goes when whole."""

import io
import wave
from collections.abc import Mapping
from typing import Any

import httpx

from agent.asr.cloud.client import CloudLostError, CloudRefusedError, CloudSettings, Feed
from agent.asr.hybrid.events import Answer
from agent.asr.hypothesis import Word
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples

_TIMEOUT_S = 10.0
"""Of any single step; the core gives an answer up earlier."""

_LONGEST_S = 86_400.0
"""No word of an utterance stands behind this."""

_RETRYABLE = {408, 409, 425, 429}
_REFUSED = range(400, 500)
_WRONG_KEY = {401, 403}
_MISPLACED = {404, 405}


class TranscriptionClient:
    """A `CloudClient` over HTTP: one request an attempt."""

    def __init__(self, settings: CloudSettings) -> None:
        self._settings = settings
        self._http = httpx.AsyncClient(headers=settings.headers, timeout=_TIMEOUT_S)
        # Newer models of OpenAI's know no word times and refuse the format that has them.
        self._has_words = True

    async def transcribe(self, feed: Feed) -> Answer:
        """See `agent.asr.cloud.client.CloudClient`."""
        heard = 0
        while await feed.wait(heard):
            heard += len(feed.read(heard))
        recording = wav(feed.read(0))
        response = await self._post(recording)
        if response.status_code == httpx.codes.BAD_REQUEST and self._has_words:
            self._has_words = False
            response = await self._post(recording)
        return _answer(response)

    async def close(self) -> None:
        """Hang up."""
        await self._http.aclose()

    async def _post(self, recording: bytes) -> httpx.Response:
        settings = self._settings
        form: dict[str, Any] = {**settings.described(), "response_format": "json"}
        if self._has_words:
            form |= {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
        try:
            return await self._http.post(
                f"{settings.url.rstrip('/')}/audio/transcriptions",
                data=form,
                files={"file": ("utterance.wav", recording, "audio/wav")},
            )
        except httpx.TimeoutException as error:
            raise CloudLostError("no answer in time") from error
        except httpx.HTTPError as error:
            raise CloudLostError("no connection") from error


def wav(pcm: Int16Array) -> bytes:
    """Put 16 kHz mono samples, shape (n,), int16, into a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(pcm.astype("<i2").tobytes())
    return file.getvalue()


def _answer(response: httpx.Response) -> Answer:
    status = response.status_code
    if status in _WRONG_KEY:
        raise CloudLostError("the server refuses the key")
    if status in _MISPLACED:
        raise CloudLostError("no transcription at this address")
    if status in _REFUSED and status not in _RETRYABLE:
        raise CloudRefusedError(f"the server says: {status}")
    if not response.is_success:
        raise CloudLostError(f"the server says: {status}")
    try:
        body = response.json()
    except (ValueError, RecursionError) as error:
        raise CloudLostError("an answer that is no JSON") from error
    if not isinstance(body, dict) or not isinstance(body.get("text"), str):
        raise CloudLostError("an answer without text")
    return Answer(body["text"].strip(), _words(body))


def _words(body: Mapping[str, Any]) -> tuple[Word, ...]:
    """Words with their times; none if any of them makes no sense."""
    given = body.get("words")
    words = []
    for item in given if isinstance(given, list) else ():
        match item:
            case {"word": str(text), "start": int() | float(), "end": int() | float()}:
                start_s, end_s = item["start"], item["end"]
                if not 0 <= start_s <= end_s <= _LONGEST_S:
                    return ()
                words.append(Word(text.strip(), samples(start_s), samples(end_s), 1.0))
            case _:
                return ()
    return tuple(words)
