"""Which device, how much memory it has left, and what its errors mean."""

import os
from collections.abc import Callable
from typing import TypeVar

import torch

from agent.errors import SettingsError
from agent.parakeet.engine import DeviceLostError, OutOfMemoryError

T = TypeVar("T")

_NO_ROOM = (
    "out of memory",
    "can't allocate memory",
    "alloc_failed",
    "not enough memory",
    # oneDNN's words on a CPU that has no memory left for it.
    "could not create a primitive",
)

_BROKEN = (
    "device-side assert",
    "illegal memory access",
    "illegal instruction",
    "misaligned address",
    "unspecified launch failure",
    "uncorrectable",
    "captur",
)
"""After these a CUDA context answers nothing but the same error, whatever is asked."""

_UNKNOWN_CPU_MEMORY = 2 << 30


def resolve(name: str) -> torch.device:
    """Find the device, and that it works.

    Args:
        name: As PyTorch names it, or ``auto``.

    Raises:
        SettingsError: No such device here; the message names what is missing.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind = name.partition(":")[0]
    if kind == "npu":
        _import_npu()
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).add(1).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SettingsError(
            f"device {name!r} does not work here: {reason}; "
            "`duplex asr-server check` lists what does, and cpu always works"
        ) from error
    return device


def _import_npu() -> None:
    try:
        import torch_npu  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "device npu needs Huawei's torch_npu, of the same version as torch "
            f"{torch.__version__}, and its CANN toolkit"
        ) from error


def available() -> list[str]:
    """Devices that work here, best first."""
    found = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    try:
        resolve("npu")
    except SettingsError:
        pass
    else:
        found.append("npu")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def free_bytes(device: torch.device) -> int:
    """Memory that a pass may still take."""
    if device.type == "cpu":
        try:
            return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (ValueError, OSError, AttributeError):
            return _UNKNOWN_CPU_MEMORY
    module = torch.get_device_module(device)
    if not hasattr(module, "mem_get_info"):
        return _UNKNOWN_CPU_MEMORY
    free, _total = module.mem_get_info(device)
    return int(free)


def synchronise(device: torch.device) -> None:
    """Wait for the device, so that a stage's time is its own."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize()


def release(device: torch.device) -> None:
    """Give cached memory back."""
    module = torch.get_device_module(device)
    if hasattr(module, "empty_cache"):
        module.empty_cache()


def guarded(device: torch.device, step: Callable[[], T]) -> T:
    """Run one step on the device and tell its errors apart.

    Raises:
        OutOfMemoryError: No room; what the step held is released.
        DeviceLostError: The context is broken.
    """
    try:
        return step()
    except (RuntimeError, MemoryError) as error:
        failure = meaning(error)
        if failure is None:
            raise
    # Outside the handler: the error's traceback would keep the step's tensors alive.
    release(device)
    raise failure


def meaning(error: RuntimeError | MemoryError) -> OutOfMemoryError | DeviceLostError | None:
    """What a device's error asks for; None where it says nothing about the device."""
    text = str(error).lower()
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        words in text for words in _NO_ROOM
    ):
        return OutOfMemoryError("the device has no room for the batch")
    if isinstance(error, torch.AcceleratorError) or any(words in text for words in _BROKEN):
        return DeviceLostError(str(error).splitlines()[0])
    return None
