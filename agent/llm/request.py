"""How a session asks its language model, and the clients it asks with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import openai

from agent.llm.endpoint import Endpoint
from agent.llm.window import ConversationWindow

Warm = Callable[[list[dict[str, Any]], list[Any]], Awaitable[object]]
ReadAhead = Callable[[list[dict[str, Any]], list[Any]], Awaitable[float | None]]


@dataclass(frozen=True, slots=True)
class LanguageRequest:
    """How a session asks.

    Attributes:
        endpoint: The server.
        sampling: Standard request parameters, such as temperature.
        extra_body: What only this kind of server knows, such as a cache slot.
        warm: Reads messages and tools into the session's cache; None where that costs money.
        read_ahead: The same of messages whose last one is still being said. Says how likely that
            is to end there, where it can.
        window: Of the conversation; None where the context is large.
        is_embedded: Whether the server is our own child.
        on_closed: Gives back what the session had leased.
        backups: Asked in turn when this one is late or fails.
    """

    endpoint: Endpoint
    sampling: dict[str, Any]
    extra_body: dict[str, Any]
    warm: Warm | None = None
    read_ahead: ReadAhead | None = None
    window: ConversationWindow | None = None
    is_embedded: bool = False
    on_closed: Callable[[], None] = lambda: None
    backups: "tuple[LanguageRequest, ...]" = ()


def client_of(request: LanguageRequest) -> openai.AsyncOpenAI:
    """Return a client that asks once: whoever tells the caller about a pause asks again."""
    endpoint = request.endpoint
    return openai.AsyncOpenAI(api_key=endpoint.key, base_url=endpoint.base_url, max_retries=0)


def loopback_client() -> httpx.AsyncClient:
    """Return a client for our own child: no proxy, and no connection kept.

    The server hangs up after five quiet seconds, now and then just as a request leaves.
    """
    return httpx.AsyncClient(
        trust_env=False, timeout=None, limits=httpx.Limits(max_keepalive_connections=0)
    )
