"""The models of this process: loaded once, off the event loop, shared by all sessions."""

import asyncio
from pathlib import Path

from agent.asr.moonshine import Moonshine
from agent.asr.streaming import StreamingMoonshine
from agent.errors import DuplexError, MissingModelError
from agent.llm.cores import physical_cores
from agent.llm.embedded import EmbeddedServer, EmbeddedSettings
from agent.llm.endpoint import Endpoint, resolve
from agent.models.catalog import CATALOG
from agent.models.store import locate
from agent.processors.language import Language, LanguageEndpoint
from agent.session import Models
from agent.settings import LlmSettings, Settings, TurnSettings
from agent.tts.speech import Voice
from agent.turns.policy import PolicySettings, SilenceTable
from agent.turns.smart_turn import SmartTurn
from agent.vad.silero import SileroModel


class Runtimes:
    """Everything that is heavy. `load` takes seconds; a session made from it takes none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._named = resolve(settings.llm)
        self._server: EmbeddedServer | None = None

    @property
    def is_offline(self) -> bool:
        """Whether nothing that is said leaves this machine."""
        return self._named is None or self._named.is_local

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
        settings = self._settings
        recogniser, spoken, language = moonshine.result(), voice.result(), endpoint.result()
        return Models(
            silero=silero.result(),
            smart_turn=smart_turn.result(),
            recogniser=lambda: StreamingMoonshine(recogniser),
            policy=lambda: SilenceTable(policy_settings(settings.turns)),
            voice=spoken,
            language=lambda prompt: self._language(language, prompt),
            names={"asr": settings.asr.model, "llm": language.model, "tts": spoken.name},
        )

    async def close(self) -> None:
        """Stop what runs beside this process."""
        if self._server:
            await self._server.stop()

    def _path(self, name: str) -> Path:
        return locate(name, self._settings.models.paths)

    def _silero(self) -> SileroModel:
        return SileroModel(self._path("silero-vad") / "silero_vad.onnx")

    def _smart_turn(self) -> SmartTurn:
        return SmartTurn(self._path("smart-turn-v3.2") / "smart-turn-v3.2-cpu.onnx")

    def _moonshine(self) -> Moonshine:
        return Moonshine(self._path(self._settings.asr.model))

    def _voice(self) -> Voice:
        # Imported here: the phonemiser's dictionaries take a third of a second.
        from agent.tts.student import StudentVoice

        return StudentVoice(self._path("kokoro-student"))

    async def _endpoint(self) -> Endpoint:
        if self._named:
            return self._named
        name, path = await asyncio.to_thread(self._embedded_model, self._settings.llm)
        self._server = EmbeddedServer(
            EmbeddedSettings(
                gguf=path,
                name=name,
                threads=self._settings.llm.threads or physical_cores(),
                slots=self._settings.server.max_sessions,
            )
        )
        return Endpoint(url=await self._server.start(), model=name, key="none")

    def _embedded_model(self, settings: LlmSettings) -> tuple[str, Path]:
        """Find the chosen model, or the one set-up fetched in its place."""
        try:
            return settings.embedded, self._path(settings.embedded) / "model.gguf"
        except MissingModelError:
            model = CATALOG.get(settings.embedded)
            if model is None or not model.substitute:
                raise
            return model.substitute, self._path(model.substitute) / "model.gguf"

    def _language(self, endpoint: Endpoint, prompt: str) -> Language:
        settings = self._settings.llm
        server = self._server
        slot = server.slots.take() if server else None
        extra = {} if server is None else {"cache_prompt": True, "repeat_penalty": 1.1}
        if slot is not None:
            extra["id_slot"] = slot
        return Language(
            LanguageEndpoint(
                url=endpoint.url,
                model=endpoint.model,
                key=endpoint.key,
                sampling={
                    "temperature": settings.temperature,
                    "max_tokens": settings.max_tokens,
                },
                extra_body=extra,
            ),
            prompt,
            on_closed=lambda: server.slots.give_back(slot) if server else None,
        )


def policy_settings(settings: TurnSettings) -> PolicySettings:
    """Return the policy's part of the settings."""
    return PolicySettings(
        closed_and_final_s=settings.closed_and_final_s,
        closed_s=settings.closed_s,
        open_and_final_s=settings.open_and_final_s,
        open_s=settings.open_s,
        trailing_s=settings.trailing_s,
        barge_in_s=settings.barge_in_s,
        speculate_s=PolicySettings().speculate_s if settings.speculate else float("inf"),
    )


def _first(errors: "BaseExceptionGroup[DuplexError]") -> DuplexError:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
