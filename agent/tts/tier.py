"""Which of the two tiers of the voice this machine speaks with."""

import hashlib
import importlib.metadata
import json
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from loguru import logger

from agent.errors import SettingsError
from agent.models import store
from agent.models.lock import sole_worker
from agent.tts.prepared import discard
from agent.tts.speech import Voice

FASTEST_NEEDED = 0.5
"""Real-time factor up to which the full voice is chosen: twice real time, so that the next window
is ready before the one being heard has ended, with as much to spare."""

_FULL = "kokoro-82m"

_CLAUSE = "I can help you with that, would Tuesday at half past ten suit you?"
_RUNS = 3


class Tier(StrEnum):
    """A model for the same voice."""

    FULL = "full"
    STUDENT = "student"


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast this machine speaks with the full voice while another thread is busy.

    Attributes:
        real_time_factor: Seconds of work for a second of speech, median of several runs.
        first_audio_s: From the clause to its first samples, likewise.
    """

    real_time_factor: float
    first_audio_s: float


def decide(speed: Speed | None) -> Tier:
    """Choose by the measured speed, None where there is no full voice. Pure."""
    if speed is not None and speed.real_time_factor <= FASTEST_NEEDED:
        return Tier.FULL
    return Tier.STUDENT


def open_voice(
    tier: str = "auto", voice: str = "af_heart", paths: Mapping[str, Path] | None = None
) -> Voice:
    """Load the voice for a setting.

    Args:
        tier: ``auto``, ``full`` or ``student``; `auto` measures once on each machine.
        voice: Name of one of Kokoro's voices; the student has only ``af_heart``.
        paths: Directories to use instead of the cache, by model name.

    Raises:
        SettingsError: No such tier, or a voice the tier does not have.
        MissingModelError: The tier that was asked for by name is not on this machine.
    """
    paths = paths or {}
    match tier:
        case "student":
            return _open_student(voice, paths)
        case "full":
            return _open_full(voice, paths)
        case "auto":
            return _open_best(voice, paths)
    raise SettingsError(f"tts.tier is {tier!r}; it can be auto, full or student")


def _open_best(voice: str, paths: Mapping[str, Path]) -> Voice:
    if not store.is_present(_FULL, paths):
        logger.info("speaking with the student: the full voice is not on this machine")
        return _open_student(voice, paths)
    speed, full = _speed(voice, paths)
    tier = decide(speed)
    logger.info("speaking with the {}: real-time factor {:.2f}", tier, speed.real_time_factor)
    # Other voices exist in the full model only, whatever it costs.
    if tier is Tier.FULL or voice != "af_heart":
        return full or _open_full(voice, paths)
    if full is not None:
        # Its cut graphs were made for the measurement alone: 92 MB.
        full = None
        discard(_FULL)
    return _open_student(voice, paths)


def _speed(voice: str, paths: Mapping[str, Path]) -> tuple[Speed, Voice | None]:
    """The machine's speed as it is remembered; else measured, with the voice opened for that."""
    cache, machine = store.home() / "voice-speed.json", machine_key(paths.get(_FULL))
    with ExitStack() as block:
        if speed := _recall(cache, machine):
            return speed, None
        # Two processes that start at once would slow each other down: the second waits and reads.
        with suppress(OSError):
            block.enter_context(sole_worker(cache.with_suffix(".lock"), logger.info))
        if speed := _recall(cache, machine):
            return speed, None
        full = _open_full(voice, paths)
        speed = measure(full)
        _remember(cache, machine, speed)
        return speed, full


def _open_full(voice: str, paths: Mapping[str, Path]) -> Voice:
    from agent.tts.kokoro import KokoroVoice

    return KokoroVoice(store.locate(_FULL, paths), voice)


def _open_student(voice: str, paths: Mapping[str, Path]) -> Voice:
    if voice != "af_heart":
        raise SettingsError(
            f"tts.voice is {voice!r}, which only the full model has; "
            "run: duplex models fetch kokoro-82m, or set tts.voice to af_heart"
        )
    from agent.tts.student import StudentVoice

    return StudentVoice(store.locate("kokoro-student", paths))


def measure(voice: Voice, clock: Callable[[], float] = time.perf_counter) -> Speed:
    """Time the voice while one other thread works, as the recogniser will."""
    for _ in voice.speak(_CLAUSE):
        pass
    factors, firsts = [], []
    with _busy_thread():
        for _ in range(_RUNS):
            began = clock()
            first_s, speech_s = 0.0, 0.0
            for speech in voice.speak(_CLAUSE):
                first_s = first_s or clock() - began
                speech_s += len(speech.pcm) / speech.sample_rate
            factors.append((clock() - began) / speech_s)
            firsts.append(first_s)
    return Speed(sorted(factors)[_RUNS // 2], sorted(firsts)[_RUNS // 2])


@contextmanager
def _busy_thread() -> Iterator[None]:
    stop = threading.Event()
    block = bytes(1 << 20)

    def work() -> None:
        # Hashing holds a core without holding the interpreter, as a model's run does.
        while not stop.is_set():
            hashlib.sha256(block)

    thread = threading.Thread(target=work, name="busy", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def machine_key(weights: Path | None = None) -> str:
    """What a measured speed holds for: the processor, what runs on it, and weights of one's own."""
    parts = [_cpu_model(), str(_cores()), platform.machine()]
    parts += [f"{name} {importlib.metadata.version(name)}" for name in ("onnxruntime", "numpy")]
    parts += [str(weights)] if weights else []
    return "; ".join(parts)


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text("utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _cores() -> int:
    import os

    # Containers may use fewer cores than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _recall(cache: Path, machine: str) -> Speed | None:
    try:
        kept = json.loads(cache.read_text("utf-8"))
        return Speed(**kept["speed"]) if kept["machine"] == machine else None
    except (OSError, ValueError, KeyError, TypeError):
        # Absent, cut short or of another version: measured again, which costs seconds.
        return None


def _remember(cache: Path, machine: str, speed: Speed) -> None:
    making = cache.with_suffix(".new")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        making.write_text(json.dumps({"machine": machine, "speed": asdict(speed)}), "utf-8")
        making.replace(cache)
    except OSError as error:
        logger.warning("the voice's speed is measured at each start: {}", error)


def forget() -> None:
    """Have `auto` measure again: after an upgrade, or when set-up ran on a busy machine."""
    (store.home() / "voice-speed.json").unlink(missing_ok=True)
