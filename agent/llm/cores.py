"""How many threads a model on this machine deserves."""

import os
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")
_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def physical_cores(most: int = 4) -> int:
    """Count the cores this process may use, hyper-threads not counted.

    Decoding is bound by memory: the second thread of a core adds nothing, and a thread waiting
    for its turn on a core holds up all others at every layer.

    Args:
        most: Upper bound. The recogniser and the voice run on the same machine.

    Returns:
        At least 1.
    """
    usable = _usable_cpus()
    cores = {_core_of(cpu) for cpu in usable}
    return max(1, min(len(cores), _quota(len(usable)), most))


def _usable_cpus() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    # macOS and Windows do not tell; half is right wherever there are hyper-threads.
    return set(range(max(1, (os.cpu_count() or 2) // 2)))


def _core_of(cpu: int) -> tuple[str, ...]:
    folder = _TOPOLOGY / f"cpu{cpu}" / "topology"
    try:
        return tuple((folder / name).read_text() for name in ("physical_package_id", "core_id"))
    except OSError:
        return (str(cpu),)


def _quota(unlimited: int) -> int:
    """Whole CPUs the container may use (`docker run --cpus`)."""
    try:
        quota, period = _CGROUP_QUOTA.read_text().split()
    except (OSError, ValueError):
        return unlimited
    return unlimited if quota == "max" else max(1, int(quota) // int(period))
