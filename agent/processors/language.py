"""The language model as Pipecat's service for any OpenAI-compatible server."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipecat.services.openai.llm import OpenAILLMService


@dataclass(frozen=True, slots=True)
class LanguageEndpoint:
    """A server and how to ask it.

    Attributes:
        url: Base URL of an OpenAI-compatible server.
        model: Its name for the model.
        key: Never logged.
        sampling: Standard request parameters, such as temperature.
        extra_body: What only this kind of server knows, such as a cache slot.
    """

    url: str
    model: str
    key: str
    sampling: dict[str, Any]
    extra_body: dict[str, Any]


class Language(OpenAILLMService):
    """Adds nothing but the giving back of what the session had leased."""

    # Most OpenAI-compatible servers know only the classic roles.
    supports_developer_role = False

    def __init__(
        self, endpoint: LanguageEndpoint, system_prompt: str, on_closed: Callable[[], None]
    ) -> None:
        settings = OpenAILLMService.Settings(
            model=endpoint.model, system_instruction=system_prompt, **endpoint.sampling
        )
        if endpoint.extra_body:
            settings.extra = {"extra_body": endpoint.extra_body}
        super().__init__(api_key=endpoint.key, base_url=endpoint.url, settings=settings)
        self._on_closed: Callable[[], None] | None = on_closed

    async def cleanup(self) -> None:
        """Close the client and give back the lease, once."""
        await super().cleanup()
        if self._on_closed:
            on_closed, self._on_closed = self._on_closed, None
            on_closed()
