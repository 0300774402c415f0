"""One-time words: good once, for a while, for what they were given out for. Pure.

A provider's webhook is answered with an address nobody can guess: who connects to it is the
provider, and brings the call that the webhook announced. A page is given one in exchange for its
key, so that the key itself stays out of addresses and logs.
"""

import secrets
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

_TTL_S = 60.0
_MOST_WAITING = 1_000
"""Given out and not taken. Beyond, the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class _Ticket(Generic[T]):
    what: T
    expires_s: float


class Tickets(Generic[T]):
    """Given out once, taken once. Pure: time is an argument.

    Args:
        ttl_s: How long a ticket is good.
    """

    def __init__(self, ttl_s: float = _TTL_S) -> None:
        self.ttl_s = ttl_s
        self._waiting: dict[str, _Ticket[T]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def issue(self, what: T, now_s: float) -> str:
        """A ticket for something: 32 characters, safe in an address."""
        self._prune(now_s)
        token = secrets.token_urlsafe(24)
        self._waiting[token] = _Ticket(what, now_s + self.ttl_s)
        return token

    def redeem(self, token: str, now_s: float) -> T | None:
        """What a ticket was issued for; None if it is unknown, used or too old."""
        ticket = self._waiting.pop(token, None)
        if ticket is None or ticket.expires_s < now_s:
            return None
        return ticket.what

    def _prune(self, now_s: float) -> None:
        # Issued in order of time, so what is too old comes first.
        while self._waiting:
            token, ticket = next(iter(self._waiting.items()))
            if ticket.expires_s >= now_s and len(self._waiting) < _MOST_WAITING:
                return
            del self._waiting[token]
