"""The models of this process: loaded once, off the event loop, shared by all sessions."""

import asyncio
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loguru import logger

from agent.asr.biased import BiasedMoonshine
from agent.asr.cloud.client import CloudSettings
from agent.asr.cloud.cloud import Cloud, client_for
from agent.asr.hybrid.core import HybridSettings
from agent.asr.hybrid.events import Mode
from agent.asr.hybrid.recogniser import Sides
from agent.asr.moonshine import Moonshine
from agent.asr.streaming import StreamingMoonshine
from agent.choices import Choice, split_endpoint
from agent.errors import DuplexError, MissingModelError
from agent.live import applied
from agent.llm.cores import physical_cores
from agent.llm.embedded import EmbeddedServer, EmbeddedSettings
from agent.llm.endpoint import Endpoint, resolve
from agent.llm.fallback import Fallback, FallbackSettings
from agent.llm.request import LanguageRequest
from agent.llm.sampling import Sampling, embedded_extra
from agent.llm.warm import PromptWarmer
from agent.llm.weights import find
from agent.llm.window import ConversationWindow
from agent.models.catalog import CATALOG
from agent.models.store import is_present, locate
from agent.parts import Parts, named_voice, resolved, voices_elsewhere
from agent.parts import backups as backup_models
from agent.processors.language import Language
from agent.session import Models
from agent.settings import AsrSettings, Settings, TurnSettings
from agent.tts.spare import spare
from agent.tts.speech import Voice
from agent.tts.standby import StandbyVoice
from agent.tts.tier import open_voice
from agent.turns.hotwords import HotwordSettings
from agent.turns.overlap_settings import OverlapSettings
from agent.turns.policy import FusedPolicy
from agent.turns.policy_settings import PolicySettings
from agent.turns.smart_turn import SmartTurn
from agent.vad.readings import Profile
from agent.vad.silero import SileroModel

_MOST_TOKENS = 3200
"""Of conversation, in a context of 4096: the rest is for prompt, answer and wrong guesses."""

_KEPT_TOKENS = 1200
"""After trimming. They are read in anew, some seconds of work, so it must be rare."""

_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


_SLOTS = 4
"""Conversations whose prompts the embedded model keeps, where their number is not set."""

_MOST_SLOTS = 256
"""llama.cpp takes no more."""


class Runtimes:
    """Everything that is heavy. `load` takes seconds; a session made from it takes none."""

    def __init__(self, settings: Settings, parts: Parts | None = None) -> None:
        self._settings, self._parts = resolved(settings, parts)
        llm = self._settings.llm
        key = llm.key.get_secret_value() if llm.key else None
        self._named = resolve(llm.url, llm.model, key, os.environ)
        self._server: EmbeddedServer | None = None
        self._warmer: PromptWarmer | None = None
        self._backups: list[LanguageRequest] = []
        self._cloud = _cloud(self._settings.asr)

    @property
    def is_offline(self) -> bool:
        """Whether nothing that is said leaves this machine."""
        cloud = self._settings.asr.cloud.url if self._cloud else None
        voices = voices_elsewhere(self._settings.models)
        asked = [self._named.base_url if self._named else None, cloud, *voices]
        return all(urlsplit(url).hostname in _THIS_MACHINE for url in asked if url)

    @property
    def is_self_contained(self) -> bool:
        """Whether every model runs in this process or in a child of ours."""
        if voices_elsewhere(self._settings.models):
            return False
        return self._named is None and not (self._cloud and self._settings.asr.cloud.url)

    async def load(self) -> Models:
        """Load all models at the same time.

        Raises:
            MissingModelError: A weight is absent or damaged; names the command that brings it.
            DegradedError: The embedded language model would not start.
        """
        try:
            async with asyncio.TaskGroup() as group:
                silero = group.create_task(asyncio.to_thread(self._silero))
                smart_turn = group.create_task(asyncio.to_thread(self._smart_turn))
                moonshine = group.create_task(asyncio.to_thread(self._moonshine))
                voice = group.create_task(asyncio.to_thread(self._voice))
                endpoint = group.create_task(self._endpoint())
        except* DuplexError as errors:
            raise _first(errors) from None
        (ears, recogniser), spoken = moonshine.result(), voice.result()
        language = endpoint.result()
        models = Models(
            silero=silero.result(),
            smart_turn=smart_turn.result(),
            recogniser=lambda: self._sides(recogniser),
            policy=lambda: FusedPolicy(policy_settings(self._settings.turns)),
            voice=spoken,
            language=lambda prompt: self._language(language, prompt),
            fallback=self._fallback,
            is_model_ready=self._is_model_ready,
            cloud=self._cloud.health if self._cloud else None,
            names={"asr": self._hearing(ears), "llm": language.model, "tts": spoken.name},
        )
        models = self._parts.put_into(models)
        return replace(models, spare=await asyncio.to_thread(spare, models.voice))

    def adopt(self, settings: Settings) -> None:
        """Make what the next conversation is held with by these settings, with the same models."""
        before = self._settings.asr
        self._settings = applied(self._settings, settings)
        asr = self._settings.asr
        if self._cloud and (asr.language, asr.hints) != (before.language, before.hints):
            self._cloud.new_client = client_for(_cloud_settings(asr))

    async def close(self) -> None:
        """Stop what runs beside this process."""
        if self._cloud:
            await self._cloud.close()
        if self._warmer:
            await self._warmer.close()
        if self._server:
            await self._server.stop()

    def _path(self, name: str) -> Path:
        return locate(name, self._settings.models.paths)

    def _silero(self) -> SileroModel:
        return SileroModel(self._path("silero-vad") / "silero_vad.onnx")

    def _smart_turn(self) -> SmartTurn:
        return SmartTurn(self._path("smart-turn-v3.2") / "smart-turn-v3.2-cpu.onnx")

    def _sides(self, moonshine: Moonshine | None) -> Sides:
        asr = self._settings.asr
        reader = BiasedMoonshine(moonshine, asr.hints) if moonshine and asr.hints else moonshine
        edge = StreamingMoonshine(reader) if reader else None
        mode = Mode(asr.effective_mode)
        return Sides(edge, self._cloud, HybridSettings(mode, cloud_below=asr.cloud.below))

    def _hearing(self, here: str) -> str:
        asr = self._settings.asr
        there = f"cloud ({urlsplit(asr.cloud.url).hostname})" if asr.cloud.url else ""
        return " and ".join(filter(None, (here, there if self._cloud else "")))

    def _moonshine(self) -> tuple[str, Moonshine | None]:
        """Load the recogniser, or the one that stands in for it; name the one that listens."""
        if self._settings.asr.effective_mode == Mode.CLOUD:
            return "", None
        wanted = self._settings.asr.model
        try:
            return wanted, Moonshine(self._path(wanted))
        except MissingModelError as error:
            lesser = CATALOG[wanted].substitute
            if lesser is None or not is_present(lesser, self._settings.models.paths):
                raise
            logger.warning("{}. Recognising with {}, a weaker model", error, lesser)
            return lesser, Moonshine(self._path(lesser))

    def _voice(self) -> Voice:
        tts, models = self._settings.tts, self._settings.models
        voice = self._parts.voice or open_voice(tts.tier, tts.voice, models.paths)
        others = [named_voice(name, models.paths) for name in models.tts_standby]
        return StandbyVoice([voice, *others]) if others else voice

    async def _endpoint(self) -> Endpoint:
        if self._parts.language:
            return Endpoint(base_url="", model="custom", key="none")
        backups = backup_models(self._settings)
        self._backups = [
            LanguageRequest(await self._backup(choice), sampling=self._sampling(), extra_body={})
            for choice in backups
        ]
        return self._named or await self._embedded()

    async def _backup(self, choice: Choice) -> Endpoint:
        if choice.kind == "embedded":
            return await self._embedded()
        named = split_endpoint("llm", choice.which)
        key = named.key(os.environ)
        first = self._named
        if key is None and first and _origin(first.base_url) == _origin(named.url):
            # Another model of the same server. Nobody else is sent a key that is not theirs.
            key = first.key
        return Endpoint(named.url, named.model, key or "none")

    async def _embedded(self) -> Endpoint:
        llm, most = self._settings.llm, self._settings.server.max_sessions
        weights = await asyncio.to_thread(find, llm.embedded, self._settings.models.paths)
        self._server = EmbeddedServer(
            EmbeddedSettings(
                gguf=weights.gguf,
                name=weights.name,
                threads=llm.threads or physical_cores(),
                slots=min(most, _MOST_SLOTS) if isinstance(most, int) else _SLOTS,
            )
        )
        url = await self._server.start()
        self._warmer = PromptWarmer(url)
        return Endpoint(base_url=url, model=weights.name, key="none")

    def _language(self, endpoint: Endpoint, prompt: str) -> Language:
        request = LanguageRequest(
            endpoint=endpoint,
            sampling=self._sampling(),
            extra_body={},
            backups=tuple(replace(one, sampling=self._sampling()) for one in self._backups),
        )
        if self._named is None and (server := self._server) and (warmer := self._warmer):
            slot = server.slots.take()
            request = replace(
                request,
                extra_body=embedded_extra(slot),
                warm=lambda messages, tools: warmer.warm(messages, tools, slot=slot),
                read_ahead=lambda messages, tools: warmer.read_ahead(messages, tools, slot=slot),
                window=ConversationWindow(_MOST_TOKENS, _KEPT_TOKENS),
                is_embedded=True,
                on_closed=lambda: server.slots.give_back(slot),
            )
        return Language(request, prompt, self._patience())

    def _sampling(self) -> dict[str, Any]:
        llm = self._settings.llm
        sampling = asdict(Sampling(temperature=llm.temperature, max_tokens=llm.max_tokens))
        return sampling if llm.seed is None else sampling | {"seed": llm.seed}

    def _patience(self) -> FallbackSettings:
        return FallbackSettings(first_token_s=self._settings.llm.first_token_s)

    def _fallback(self) -> Fallback:
        return Fallback(self._patience(), server_tells=self._server is not None)

    def _is_model_ready(self) -> bool:
        return self._server is not None and self._server.is_ready


def _cloud(asr: AsrSettings) -> Cloud | None:
    if asr.effective_mode == Mode.EDGE or not asr.cloud.url:
        return None
    return Cloud(client_for(_cloud_settings(asr)))


def _cloud_settings(asr: AsrSettings) -> CloudSettings:
    return CloudSettings(
        url=asr.cloud.url or "",
        key=asr.cloud.key.get_secret_value() if asr.cloud.key else "",
        model=asr.cloud.model,
        language=asr.language,
        hints=asr.hints,
    )


def policy_settings(settings: TurnSettings) -> PolicySettings:
    """Return the policy's part of the settings."""
    return PolicySettings(
        profile=None if settings.profile == "auto" else Profile(settings.profile),
        cut_off_cost_s=settings.cut_off_cost_s,
        speculate=settings.speculate,
        overlap=OverlapSettings(floor_s=settings.interrupt_s),
        hotwords=HotwordSettings(wake_phrases=settings.wake_phrases),
        wake_required=settings.wake_required,
    )


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _first(errors: "BaseExceptionGroup[DuplexError]") -> DuplexError:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
