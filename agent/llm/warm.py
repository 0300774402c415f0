"""Let the embedded server read what is already known, before the user has finished speaking."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from agent.errors import RetryError
from agent.llm.sampling import embedded_extra

_TIMEOUT_S = 30.0

_CANDIDATES = 40
"""Next tokens whose probabilities are asked for. All that end a message are far ahead of the 40th
where any is likely."""

_ENDS = re.compile(r"\s*(?:\n|[.?!](?![.\w])|<\|im_end\|>)|$")
"""Tokens that end a message, or its last sentence. The token of the message's end is sent as an
empty text."""

_PLACE = "5d41402abc4b2a76"
"""Stands for the words in a prompt that is laid out; nobody says it."""


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
        self._server = base_url.removesuffix("/v1")
        self._laid_out: dict[int | None, tuple[str, str]] = {}
        """By slot, the conversation before the last message and the prompt up to its words."""
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
        body = {"messages": list(messages), "max_tokens": 1} | embedded_extra(slot)
        answer = await self._post("/v1/chat/completions", _with_tools(body, tools))
        return int(answer["timings"]["prompt_n"])

    async def read_ahead(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        slot: int | None = None,
    ) -> float | None:
        """Read `messages` in up to the last word of the last one, which may not be all of it.

        What stands behind that word in a request would be read in vain while more is to come; and
        what the model expects in its place says whether more is.

        Args:
            messages: As the next request will begin. The last one ends with a word.
            tools: As in that request.
            slot: As in that request.

        Returns:
            Probability that a sentence or the message ends behind the last word; None where the
            model's chat template hides its place.

        Raises:
            RetryError: The server did not answer.
        """
        before = await self._before_the_last(messages, tools, slot)
        if before is None:
            return None
        prompt = before + str(messages[-1]["content"])
        # The probabilities are those before sampling, whatever the temperature.
        body = {"prompt": prompt, "n_predict": 1, "n_probs": _CANDIDATES, "temperature": 0.0}
        answer = await self._post("/completion", body | embedded_extra(slot))
        following = answer["completion_probabilities"][0]["top_logprobs"]
        return sum(math.exp(one["logprob"]) for one in following if _ENDS.match(one["token"]))

    async def _before_the_last(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        slot: int | None,
    ) -> str | None:
        *before, last = messages
        conversation = json.dumps([before, tools])
        known, prompt = self._laid_out.get(slot, ("", ""))
        if conversation != known:
            asked = {"messages": [*before, dict(last) | {"content": _PLACE}]}
            laid_out = (await self._post("/apply-template", _with_tools(asked, tools)))["prompt"]
            prompt = laid_out.rpartition(_PLACE)[0]
            self._laid_out[slot] = conversation, prompt
        return prompt or None

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        try:
            answer = await self._client.post(f"{self._server}{path}", json=body)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise RetryError(f"could not warm the language model: {error}") from error
        return answer.json()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()


def _with_tools(body: dict[str, Any], tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return body | {"tools": list(tools)} if tools else body
