"""Processor time of this process and of the models it runs beside itself."""

import os
import time
from pathlib import Path

from agent.server.pressure import Worked

_TASKS = Path("/proc/self/task")


def cores() -> int:
    """That this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def worked() -> Worked:
    """Until now; to be called by the thread that runs the event loop."""
    return Worked(time.process_time() + _children_s(), time.thread_time())


def _children_s() -> float:
    """Of the language model, which lives in a process of its own. Linux; elsewhere 0."""
    ticks = 0
    # A process may end between two reads, and a kernel may have no such list.
    try:
        for children in _TASKS.glob("*/children"):
            for pid in children.read_text("ascii").split():
                fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
                ticks += sum(map(int, fields.rpartition(")")[2].split()[11:13]))
    except OSError:
        pass
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else 0.0
