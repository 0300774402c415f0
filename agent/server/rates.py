"""How often somebody may do something: a token bucket for each address. Pure."""

from collections import OrderedDict
from dataclasses import dataclass

_MOST = 4096
"""Addresses remembered; beyond, whoever has been quiet longest starts with a full bucket again."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at_s: float


class Rates:
    """Allows `burst` at once and `per_s` in the long run, to each key. Pure.

    Args:
        per_s: In the long run.
        burst: At once.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        """Take one; 0 if there was one, else how long until there is."""
        bucket = self._buckets.pop(key, None) or _Bucket(self._burst, now_s)
        bucket.left = min(self._burst, bucket.left + (now_s - bucket.at_s) * self._per_s)
        bucket.at_s = now_s
        self._buckets[key] = bucket
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        if bucket.left < 1:
            return (1 - bucket.left) / self._per_s
        bucket.left -= 1
        return 0.0
