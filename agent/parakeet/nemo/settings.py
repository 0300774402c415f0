"""What can be said about a NeMo engine on the command line. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from agent.errors import SettingsError

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class NemoSettings:
    """Knobs of one engine.

    Attributes:
        model: Path of a ``.nemo`` file, or a hub name such as ``nvidia/parakeet-tdt-0.6b-v2``.
        device: As PyTorch names it: ``cuda``, ``cuda:1``, ``cpu``, ``npu:0``, ``mps``; ``auto``
            takes the best there is.
        decoder_device: Where the token loop runs; ``auto`` is the encoder's device if the loop
            works there, else the CPU. On NPUs it is the CPU at once: the loop is many tiny steps,
            each the price of a kernel launch.
        dtype: Of encoder and decoder. In float32 a text does not depend on its batch; in the halves
            near ties may fall either way.
        threads: CPU threads of PyTorch; 0 leaves its own choice, all cores.
        max_batch: Most utterances in one pass; 0 serves streams only.
        max_utterance_s: Longest single utterance, if the memory allows it.
        memory_mb: Device memory for one pass; 0 takes half of what is free after loading.
        slots: Streams open at once, for a cache-aware checkpoint; others have none.
        lookahead: Right context of streaming in encoder frames of 80 ms, one of those the
            checkpoint was trained for; -1 takes its default. Less answers sooner, more is right
            more often.
        hint_weight: Added to the score of tokens that go on with a name to expect; 0 ignores names.
        languages: ISO 639-1 codes, comma-separated, where the checkpoint's name does not tell.
    """

    model: str
    device: str = "auto"
    decoder_device: str = "auto"
    dtype: str = "float32"
    threads: int = 0
    max_batch: int = 32
    max_utterance_s: float = 60.0
    memory_mb: int = 0
    slots: int = 32
    lookahead: int = -1
    hint_weight: float = 1.0
    languages: str = ""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "NemoSettings":
        """Check what the command line gave.

        Raises:
            SettingsError: An unknown key, a wrong type or value, or no model.
        """
        known = {item.name: type(item.default) for item in fields(cls)}
        known["model"] = str
        for key, value in config.items():
            if key not in known:
                near = get_close_matches(key, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; there are {sorted(known)}"
                raise SettingsError(f"the NeMo engine has no setting {key!r}{hint}")
            wanted = known[key]
            if wanted is float and type(value) is int:
                continue
            if type(value) is not wanted:
                raise SettingsError(f"{key} must be {wanted.__name__}, not {value!r}")
        if not config.get("model"):
            raise SettingsError("model is missing: a .nemo file or nvidia/parakeet-tdt-0.6b-v2")
        settings = cls(**config)
        if settings.dtype not in DTYPES:
            raise SettingsError(f"dtype must be one of {', '.join(DTYPES)}, not {settings.dtype!r}")
        for name in ("threads", "max_batch", "memory_mb", "slots"):
            if getattr(settings, name) < 0:
                raise SettingsError(f"{name} must not be negative")
        if not 0 <= settings.hint_weight <= 10:
            raise SettingsError("hint_weight must be 0 to 10")
        if not settings.max_utterance_s > 0:
            raise SettingsError("max_utterance_s must be positive")
        return settings
