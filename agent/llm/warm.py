"""Let the embedded server read what is already known, before the user has finished speaking."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from agent.errors import RetryError
from agent.llm.sampling import embedded_extra

_TIMEOUT_S = 30.0


class PromptWarmer:
    """Fills a session's slot with keys and values, so that only new words remain to be read.

    Worth a call when a session begins (system prompt), and whenever the conversation's end has
    changed while nobody waits for an answer: after an interruption has shortened what was said.
    For the embedded server only; elsewhere it would cost money.
    """

    def __init__(self, base_url: str) -> None:
        """Open no connection yet.

        Args:
            base_url: From `EmbeddedServer.base_url`.
        """
        self._url = f"{base_url}/chat/completions"
        self._client = httpx.AsyncClient(
            timeout=_TIMEOUT_S,
            # Between two processes of one machine: no proxy, no certificates.
            trust_env=False,
            verify=False,
            # The server hangs up after five quiet seconds, now and then just as a request leaves.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def warm(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        slot: int | None = None,
    ) -> int:
        """Read `messages` in. Cancelling ends the reading on the server, too.

        Args:
            messages: As the next request will begin.
            tools: As in that request: they stand inside the prompt, before the conversation.
            slot: As in that request.

        Returns:
            How many tokens had to be read; the others were in the slot already.

        Raises:
            RetryError: The server did not answer.
        """
        body: dict[str, Any] = {"messages": list(messages), "max_tokens": 1}
        body |= embedded_extra(slot)
        if tools:
            body["tools"] = list(tools)
        try:
            answer = await self._client.post(self._url, json=body)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise RetryError(f"could not warm the language model: {error}") from error
        return int(answer.json()["timings"]["prompt_n"])

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()
