"""One cloud as this process sees it: how to reach it, how it is doing, and the probes."""

import asyncio
import wave
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from loguru import logger

from agent.asr.cloud.client import (
    CloudClient,
    CloudLostError,
    CloudRefusedError,
    CloudSettings,
    Feed,
)
from agent.asr.cloud.native import NativeClient
from agent.asr.cloud.realtime import RealtimeClient
from agent.asr.cloud.transcriptions import TranscriptionClient
from agent.asr.hybrid.audio import UtteranceAudio
from agent.asr.hybrid.health import CloudHealth
from agent.audio.chunk import Int16Array
from agent.errors import SettingsError

PROBE_LIMIT_S = 3.0
"""After this a probe has failed; it closes the breaker only if it was answered sooner."""

_NATIVE_PATH = "/v1/stream"


def client_for(settings: CloudSettings) -> Callable[[], CloudClient]:
    """Choose the protocol by the URL.

    Raises:
        SettingsError: The URL is none of the three kinds.
    """
    parts = urlsplit(settings.url)
    if not parts.hostname or parts.scheme not in ("ws", "wss", "http", "https"):
        raise SettingsError(
            f"asr.cloud.url: {settings.url!r} is no address of a recogniser; for our own service "
            "write ws://HOST:PORT, for OpenAI's protocols https://HOST/v1 or wss://HOST/v1/realtime"
        )
    if parts.scheme in ("http", "https"):
        return lambda: TranscriptionClient(settings)
    if parts.path.rstrip("/").endswith("/realtime"):
        query = parts.query or "intent=transcription"
        realtime = replace(settings, url=urlunsplit(parts._replace(query=query)))
        return lambda: RealtimeClient(realtime)
    path = parts.path.rstrip("/") or _NATIVE_PATH
    native = replace(settings, url=urlunsplit(parts._replace(path=path)))
    return lambda: NativeClient(native)


class Cloud:
    """Shared by all sessions of a process: what one learns of the cloud, all know.

    While its breaker is open, a stored clip, never a caller's voice, is sent now and then.
    """

    def __init__(
        self, new_client: Callable[[], CloudClient], health: CloudHealth | None = None
    ) -> None:
        self.new_client = new_client
        self.health = health or CloudHealth()
        self._prober: asyncio.Task[None] | None = None

    def follow(self) -> None:
        """Report switches, and probe while the cloud is left; call after telling `health`."""
        for switch in self.health.take_switches():
            if switch.is_open:
                logger.warning("recognition leaves the cloud: {}", switch.reason)
            else:
                logger.info("recognition uses the cloud again: {}", switch.reason)
        if not self.health.is_usable and (self._prober is None or self._prober.done()):
            self._prober = asyncio.get_running_loop().create_task(self._probe_until_closed())

    async def close(self) -> None:
        """Stop probing."""
        if self._prober:
            self._prober.cancel()
            await asyncio.gather(self._prober, return_exceptions=True)

    async def _probe_until_closed(self) -> None:
        loop = asyncio.get_running_loop()
        breaker = self.health.breaker
        while (due_s := breaker.next_probe_s) is not None:
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            breaker.probe()
            self.health.probed(await self._probe(), loop.time())
        self.follow()

    async def _probe(self) -> float | None:
        """Seconds until a stored clip was answered; None where it was not."""
        audio = UtteranceAudio()
        audio.append(stored_clip())
        feed = Feed(audio)
        feed.close()
        client, loop = self.new_client(), asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(PROBE_LIMIT_S):
                answer = await client.transcribe(feed)
        except (TimeoutError, CloudLostError, CloudRefusedError) as error:
            logger.debug("recognition: a probe failed ({})", error)
            return None
        finally:
            await client.close()
        return loop.time() - began_s if answer.text else None


def stored_clip() -> Int16Array:
    """Two words of a synthetic voice, shape (n,), int16, 16 kHz: never anybody's own."""
    with (files(__package__) / "probe.wav").open("rb") as file, wave.open(file) as clip:
        return np.frombuffer(clip.readframes(clip.getnframes()), "<i2").astype(np.int16)
