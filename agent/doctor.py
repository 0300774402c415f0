"""`duplex doctor`: what is missing on this machine, and the fix for each."""

import ctypes.util
import importlib.util
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.errors import DuplexError
from agent.models.catalog import CATALOG
from agent.models.description import Model
from agent.models.store import home, locate, verify
from agent.settings import Settings

_DISK_NEEDED = 1_500_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: What was looked at.
        is_fine: Whether nothing need be done.
        is_needed: Whether a conversation cannot be held without it.
        detail: What was found.
        fix: What to do; empty when it is fine.
    """

    name: str
    is_fine: bool
    is_needed: bool
    detail: str
    fix: str = ""


def examine(settings: Settings) -> int:
    """Print every finding.

    Returns:
        Exit code: 0 when all that is needed is there.
    """
    broken = False
    for check in (_python, _cpu, _openmp, _models, _port, _sound, _webrtc, _disk):
        for finding in check(settings):
            mark = "ok     " if finding.is_fine else "MISSING" if finding.is_needed else "without"
            print(f"{mark} {finding.name}: {finding.detail}")
            if finding.fix:
                print(f"        fix: {finding.fix}")
            broken |= finding.is_needed and not finding.is_fine
    return 1 if broken else 0


def _python(_settings: Settings) -> Iterator[Finding]:
    fine = (3, 11) <= sys.version_info[:2] <= (3, 13)
    fix = "" if fine else "install Python 3.11, 3.12 or 3.13"
    yield Finding("python", fine, True, platform.python_version(), fix)


def _cpu(_settings: Settings) -> Iterator[Finding]:
    machine = platform.machine().lower()
    if machine in ("arm64", "aarch64"):
        yield Finding("cpu", True, True, f"{machine}, vector units are part of it")
        return
    flags = _cpu_flags()
    if flags is None:
        yield Finding("cpu", True, True, f"{machine}; its features cannot be read here")
        return
    missing = [flag for flag in ("avx2", "fma") if flag not in flags]
    detail = (
        f"{machine} without {', '.join(missing)}" if missing else f"{machine} with AVX2 and FMA"
    )
    fix = (
        "the embedded language model needs AVX2; set OPENAI_BASE_URL to a server elsewhere"
        if missing
        else ""
    )
    yield Finding("cpu", not missing, True, detail, fix)


def _openmp(_settings: Settings) -> Iterator[Finding]:
    found = sys.platform != "linux" or ctypes.util.find_library("gomp") is not None
    fix = "" if found else "the embedded language model needs it: apt install libgomp1"
    yield Finding("openmp", found, True, "found" if found else "libgomp.so.1 is missing", fix)


def _cpu_flags() -> set[str] | None:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return None
    lines = (line for line in text.splitlines() if line.startswith("flags"))
    return set(next(lines, "").split()) or None


def _models(settings: Settings) -> Iterator[Finding]:
    paths = settings.models.paths
    for name, model in CATALOG.items():
        problem = _problem(name, settings)
        if problem is None:
            yield Finding(f"model {name}", True, True, str(locate(name, paths)))
        elif model.by_default or name in paths:
            needed = not _has_substitute(model, settings)
            detail = f"{problem} Without it: {model.absence}"
            yield Finding(f"model {name}", False, needed, detail, f"duplex models fetch {name}")


def _problem(name: str, settings: Settings) -> str | None:
    try:
        if name in settings.models.paths:
            locate(name, settings.models.paths)
        else:
            verify(name)
    except DuplexError as error:
        return str(error)
    return None


def _has_substitute(model: Model, settings: Settings) -> bool:
    """Whether another model of the same role is in order."""
    others = (other for other in CATALOG.values() if other.role is model.role)
    return any(other is not model and _problem(other.name, settings) is None for other in others)


def _port(settings: Settings) -> Iterator[Finding]:
    address = (settings.server.host, settings.server.port)
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            fix = "set DUPLEX_SERVER__PORT to a free port, or stop what listens there"
            yield Finding(f"port {address[1]}", False, True, str(error.strerror), fix)
            return
    yield Finding(f"port {address[1]}", True, True, f"free on {address[0]}")


def _sound(_settings: Settings) -> Iterator[Finding]:
    wanted: tuple[tuple[str, Callable[[dict[str, int]], int]], ...] = (
        ("microphone", lambda device: device["max_input_channels"]),
        ("loudspeaker", lambda device: device["max_output_channels"]),
    )
    try:
        import sounddevice

        devices = list(sounddevice.query_devices())
    except OSError:
        fix = "only for 'duplex talk': apt install libportaudio2 (Debian, Ubuntu)"
        yield Finding("sound", False, False, "PortAudio is not installed", fix)
        return
    for name, channels in wanted:
        found = any(channels(device) > 0 for device in devices)
        fix = "" if found else "only for 'duplex talk': plug one in, or use the page"
        yield Finding(name, found, False, "found" if found else "none", fix)


def _webrtc(_settings: Settings) -> Iterator[Finding]:
    found = importlib.util.find_spec("aiortc") is not None
    fix = "" if found else 'pip install "duplex-voice[webrtc]"; the page uses WebSocket without it'
    yield Finding("webrtc", found, False, "installed" if found else "not installed", fix)


def _disk(_settings: Settings) -> Iterator[Finding]:
    folder = home()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    fine = free > _DISK_NEEDED or all(finding.is_fine for finding in _models(_settings))
    fix = "" if fine else f"free 1.5 GB, or set DUPLEX_HOME to another disk than {folder}"
    yield Finding("disk", fine, True, f"{free / 1e9:.1f} GB free at {folder}", fix)
