"""One-time addresses: a stream is taken only if we have just ordered it. Pure.

A provider's webhook, checked by its signature, is answered with an address nobody can guess. Who
connects to it is the provider, and brings the call that the webhook announced.
"""

import secrets
from dataclasses import dataclass

from agent.transports.phone.call import CallFacts

_TTL_S = 60.0
_MOST_WAITING = 1_000
"""Answered webhooks whose stream has not come. Beyond, the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class _Ticket:
    facts: CallFacts
    expires_s: float


class Tickets:
    """Given out once, taken once. Pure: time is an argument.

    Args:
        ttl_s: How long a ticket is good.
    """

    def __init__(self, ttl_s: float = _TTL_S) -> None:
        self._ttl_s = ttl_s
        self._waiting: dict[str, _Ticket] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def issue(self, facts: CallFacts, now_s: float) -> str:
        """A ticket for a call: 32 characters, safe in an address."""
        self._prune(now_s)
        token = secrets.token_urlsafe(24)
        self._waiting[token] = _Ticket(facts, now_s + self._ttl_s)
        return token

    def redeem(self, token: str, now_s: float) -> CallFacts | None:
        """The call a ticket was issued for; None if it is unknown, used or too old."""
        ticket = self._waiting.pop(token, None)
        if ticket is None or ticket.expires_s < now_s:
            return None
        return ticket.facts

    def _prune(self, now_s: float) -> None:
        # Issued in order of time, so what is too old comes first.
        while self._waiting:
            token, ticket = next(iter(self._waiting.items()))
            if ticket.expires_s >= now_s and len(self._waiting) < _MOST_WAITING:
                return
            del self._waiting[token]
