"""Any server with OpenAI's Realtime transcription: one connection an attempt, audio as it comes."""

import asyncio
import base64
import json
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from agent.asr.cloud.client import CloudLostError, CloudRefusedError, CloudSettings, Feed
from agent.asr.hybrid.events import Answer
from agent.audio.chunk import SAMPLE_RATE, samples
from agent.audio.resample import StreamResampler

RATE = 24_000
"""The protocol's only rate for PCM, in Hz."""

_LEAST = samples(0.1)
"""The server refuses to commit less."""

_CONNECT_S = 3.0
_PIECE = samples(0.5)
_WRONG_KEY = {401, 403}


class RealtimeClient:
    """A `CloudClient` over OpenAI's Realtime protocol; the server's own turn detection is off."""

    def __init__(self, settings: CloudSettings) -> None:
        self._settings = settings

    async def transcribe(self, feed: Feed) -> Answer:
        """See `agent.asr.cloud.client.CloudClient`."""
        socket = await self._connect()
        try:
            await _send(socket, self._session())
            await self._speak(socket, feed)
            return await _answer(socket)
        except (OSError, WebSocketException) as error:
            raise CloudLostError("the connection broke") from error
        finally:
            socket.transport.abort()

    async def close(self) -> None:
        """Nothing outlives an attempt."""

    async def _connect(self) -> ClientConnection:
        try:
            async with asyncio.timeout(_CONNECT_S):
                return await connect(self._settings.url, additional_headers=self._settings.headers)
        except TimeoutError:
            raise CloudLostError("no connection in time") from None
        except InvalidStatus as error:
            if error.response.status_code in _WRONG_KEY:
                raise CloudLostError("the server refuses the key") from error
            raise CloudLostError("no connection") from error
        except (OSError, WebSocketException) as error:
            raise CloudLostError("no connection") from error

    def _session(self) -> dict[str, Any]:
        audio = {
            "format": {"type": "audio/pcm", "rate": RATE},
            "transcription": self._settings.described(),
            "turn_detection": None,
        }
        session = {"type": "transcription", "audio": {"input": audio}}
        return {"type": "session.update", "session": session}

    async def _speak(self, socket: ClientConnection, feed: Feed) -> None:
        resampler = StreamResampler(SAMPLE_RATE, RATE)
        heard = 0
        while await feed.wait(heard):
            pcm = feed.read(heard)[:_PIECE]
            heard += len(pcm)
            await _append(socket, resampler.push(pcm).tobytes())
        # What the filter still holds, and silence up to what may be committed.
        rest = resampler.flush().tobytes() + bytes(2 * max(0, _LEAST - heard) * RATE // SAMPLE_RATE)
        await _append(socket, rest)
        await _send(socket, {"type": "input_audio_buffer.commit"})


async def _append(socket: ClientConnection, pcm: bytes) -> None:
    if pcm:
        audio = base64.b64encode(pcm).decode()
        await _send(socket, {"type": "input_audio_buffer.append", "audio": audio})


async def _send(socket: ClientConnection, event: dict[str, Any]) -> None:
    await socket.send(json.dumps(event))


async def _answer(socket: ClientConnection) -> Answer:
    """Read on until the one committed item is transcribed."""
    async for message in socket:
        try:
            event = json.loads(message)
        except (ValueError, RecursionError):
            continue
        match event:
            case {
                "type": "conversation.item.input_audio_transcription.completed",
                "transcript": str(text),
            }:
                return Answer(text.strip())
            case {"type": "conversation.item.input_audio_transcription.failed"}:
                raise CloudLostError("the server failed to transcribe")
            case {"type": "error", "error": {"type": "invalid_request_error"}}:
                raise CloudRefusedError("the server says: invalid_request_error")
            case {"type": "error"}:
                raise CloudLostError("the server says: error")
    raise CloudLostError("the connection broke")
