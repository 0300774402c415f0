"""The models of this process: loaded once, off the event loop, shared by all sessions."""

import asyncio
from pathlib import Path

from agent.asr.moonshine import Moonshine
from agent.asr.streaming import StreamingMoonshine
from agent.llm.embedded import EmbeddedServer
from agent.models.store import locate
from agent.session import Models
from agent.settings import Settings
from agent.tts.speech import Voice
from agent.tts.tier import load_voice
from agent.turns.policy import SilenceTable
from agent.turns.smart_turn import SmartTurn
from agent.vad.silero import SileroModel

_LANGUAGE_FALLBACK = "smollm2-135m"


class Runtimes:
    """Everything that is heavy. `load` takes seconds; a session made from it takes none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server: EmbeddedServer | None = None

    async def load(self) -> Models:
        """Load all models at the same time.

        Raises:
            MissingModelError: A weight is absent or damaged; names the command that brings it.
            DegradedError: The embedded language model would not start.
        """
        settings = self._settings
        async with asyncio.TaskGroup() as group:
            silero = group.create_task(asyncio.to_thread(self._silero))
            smart_turn = group.create_task(asyncio.to_thread(self._smart_turn))
            moonshine = group.create_task(asyncio.to_thread(self._moonshine))
            voice = group.create_task(asyncio.to_thread(self._voice))
            endpoint = group.create_task(self._language_endpoint())
        recogniser, spoken, language = moonshine.result(), voice.result(), endpoint.result()
        return Models(
            silero=silero.result(),
            smart_turn=smart_turn.result(),
            recogniser=lambda: StreamingMoonshine(recogniser),
            policy=lambda: SilenceTable(policy_settings(settings)),
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
        return load_voice(self._settings.tts, self._settings.models.paths)
