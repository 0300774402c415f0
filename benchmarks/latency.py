"""Percentiles of times, as every benchmark of the recognition server prints them."""

import statistics
from collections.abc import Sequence


def milliseconds(took_s: Sequence[float]) -> dict[str, float]:
    """Percentiles of seconds, in milliseconds."""
    if not took_s:
        return {"count": 0}
    ordered = sorted(took_s)
    return {
        "count": len(ordered),
        "p50_ms": round(statistics.median(ordered) * 1000, 3),
        "p95_ms": round(ordered[int(0.95 * len(ordered))] * 1000, 3),
        "p99_ms": round(ordered[int(0.99 * len(ordered))] * 1000, 3),
        "max_ms": round(ordered[-1] * 1000, 3),
    }
