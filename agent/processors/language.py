"""The language model as Pipecat's service for any OpenAI-compatible server."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import openai
from loguru import logger
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMInvocationParams
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMSetToolsFrame,
    LLMUpdateSettingsFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.openai.llm import OpenAILLMService

from agent.errors import RetryError
from agent.llm.answer_stream import Deadlines, WithWrittenCalls
from agent.llm.calls import CallReader, as_notes
from agent.llm.fallback import Failure, FallbackSettings, failure_of
from agent.llm.request import LanguageRequest, ReadAhead, Warm, client_of, loopback_client
from agent.processors.drafting import Drafting
from agent.processors.frames import LanguageFailureFrame, ReadAheadFrame, WordingFrame

_REST_S = 30.0
"""How long a server that was late or failed is passed over while another answers."""


class OneAnswer(LLMContext):
    """What one answer is asked for apart from the conversation.

    Attributes:
        is_other: Whether the messages are not the conversation's: they are shown whole, whatever
            has been left out of that.
        max_tokens: Of this answer; None for what the service is set to.
    """

    def __init__(
        self, messages: list[Any], *, is_other: bool, max_tokens: int | None, **tools: Any
    ) -> None:
        super().__init__(messages=messages, **tools)
        self.is_other = is_other
        self.max_tokens = max_tokens


class Language(Drafting, OpenAILLMService):
    """Pipecat's service, with deadlines, a warm cache and failures that have a name."""

    # Most OpenAI-compatible servers know only the classic roles.
    supports_developer_role = False

    def __init__(
        self, request: LanguageRequest, system_prompt: str, patience: FallbackSettings
    ) -> None:
        endpoint = request.endpoint
        settings = OpenAILLMService.Settings(
            model=endpoint.model, system_instruction=system_prompt, **request.sampling
        )
        if request.extra_body:
            settings.extra = {"extra_body": request.extra_body}
        super().__init__(api_key=endpoint.key, base_url=endpoint.base_url, settings=settings)
        if request.is_embedded:
            self._client = self._client.with_options(http_client=loopback_client())
        # Whether to ask again is decided where the caller can be told why there is a pause.
        self._client = self._client.with_options(max_retries=0)
        self._request = request
        self._prompt = system_prompt
        self._offered: list[Any] = []
        self._patience = patience
        self._warming: asyncio.Task[None] | None = None
        self._unread: LLMContext | None = None
        """What is to be read ahead next: the latest counts."""
        self._is_closed = False
        self._servers = [_Server(request, self._client)]
        self._servers += [_Server(backup, client_of(backup)) for backup in request.backups]
        self._asking = self._servers[0]
        self._limit: int | None = None

    @property
    def request(self) -> LanguageRequest:
        """How this session asks."""
        return self._request

    def reach_by(self, way: httpx.AsyncBaseTransport) -> None:
        """Reach the first server by another way: through a fault, or past a recorder."""
        http = httpx.AsyncClient(transport=way, timeout=None)
        self._servers[0].client = self._client = self._client.with_options(http_client=http)

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Have the system prompt read while the greeting is spoken."""
        await super().setup(setup)
        if self._request.warm:
            self._warming = self.create_task(self._warm(self._request.warm, []))

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Have what stands before the conversation read as soon as it is known."""
        if isinstance(frame, ReadAheadFrame):
            self._read_ahead(frame.context)
            return
        if isinstance(frame, LLMContextFrame):
            self._unread = None  # The answer reads it.
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMUpdateSettingsFrame) and frame.delta:
            if isinstance(prompt := frame.delta.system_instruction, str):
                self._prompt = prompt
                await self._warm_anew()
        elif isinstance(frame, LLMSetToolsFrame) and isinstance(frame.tools, ToolsSchema):
            self._sync_registered_tool_handlers(frame.tools)
            self._offered = list(self.get_llm_adapter().to_provider_tools_format(frame.tools))
            await self._warm_anew()

    async def _warm_anew(self) -> None:
        if self._request.warm and self._warming:
            await self.cancel_task(self._warming)
            self._warming = self.create_task(self._warm(self._request.warm, self._offered))

    def _read_ahead(self, context: LLMContext) -> None:
        """Have the user's words read as they are said; what is being read is not given up."""
        if self._request.read_ahead is None:
            return
        self._unread = context
        if self._warming is None or self._warming.done():
            self._warming = self.create_task(self._read_on(self._request.read_ahead))

    async def cleanup(self) -> None:
        """Close the client and give back the lease, once."""
        await super().cleanup()
        if self._warming:
            await self.cancel_task(self._warming)
            self._warming = None
        if not self._is_closed:
            self._is_closed = True
            self._request.on_closed()

    async def get_chat_completions(self, context: LLMContext) -> Any:
        """Ask, the next server if one is late or fails, and give up on one that has gone quiet."""
        shown = self._shown(context)
        limit = context.max_tokens if isinstance(context, OneAnswer) else None
        now_s = asyncio.get_running_loop().time()
        awake = [server for server in self._servers if server.rests_until_s <= now_s]
        *first, last = awake or self._servers
        for server in first:
            try:
                async with asyncio.timeout(self._patience.first_token_s):
                    stream = await self._ask(server, shown, limit)
                    opening = await anext(stream.__aiter__(), None)
            except (TimeoutError, openai.APIError) as error:
                name = server.request.endpoint.model
                logger.warning("{} is late or fails ({}): next model", name, type(error).__name__)
                server.rests_until_s = now_s + _REST_S
            else:
                return Deadlines(stream, self._patience, opening)
        async with asyncio.timeout(self._patience.answer_s):
            stream = await self._ask(last, shown, limit)
        if last.request.is_embedded and _tool_names(context):
            reader = CallReader(_tool_names(shown))
            return Deadlines(WithWrittenCalls(stream, reader), self._patience)
        return Deadlines(stream, self._patience)

    async def _ask(self, server: "_Server", context: LLMContext, limit: int | None) -> Any:
        # Nobody else asks before the request is made of these.
        self._asking, self._client, self._limit = server, server.client, limit
        return await super().get_chat_completions(context)

    def build_chat_completion_params(
        self, params_from_context: OpenAILLMInvocationParams
    ) -> dict[str, Any]:
        """Name the model of the server that is being asked."""
        parameters: dict[str, Any] = super().build_chat_completion_params(params_from_context)
        if self._limit is not None:
            parameters["max_tokens"] = self._limit
        if self._asking is not self._servers[0]:
            parameters["model"] = self._asking.request.endpoint.model
            parameters.pop("extra_body", None)
        return parameters

    async def push_error(
        self, error_msg: str, exception: Exception | None = None, **kwargs: Any
    ) -> None:
        """Name the failure for those downstream, then report it as Pipecat does."""
        failure = _failure(exception)
        if await self.give_up_draft():
            logger.info("a draft failed unheard: {}", failure)
            return
        logger.warning("the language model failed: {} ({})", failure, type(exception).__name__)
        await self.push_frame(LanguageFailureFrame(failure=failure))
        await super().push_error(error_msg, exception, **kwargs)

    def _shown(self, context: LLMContext) -> LLMContext:
        """Leave out what no longer fits into the model's context, and our own last words.

        A filler or an apology is no beginning of the answer: servers go on with a last message of
        the assistant's, and llama.cpp refuses two.
        """
        messages = context.messages
        last = len(messages)
        while last and _is_said(messages[last - 1]):
            last -= 1
        last = last or len(messages)
        first = 0
        is_other = isinstance(context, OneAnswer) and context.is_other
        if self._request.window and not is_other:
            first = self._request.window.first_shown([_text(message) for message in messages])
        shown = list(messages[first:last])
        is_result = bool(shown) and _role(shown[-1]) == "tool"
        if self._request.is_embedded:
            shown = as_notes(shown)
            if is_result:
                return LLMContext(messages=shown)
        return LLMContext(messages=shown, tools=context.tools, tool_choice=context.tool_choice)

    def _has_async_tools(self) -> bool:
        # Pipecat then adds a page to the prompt, which the small model reads slowly and in vain.
        return not self._request.is_embedded and super()._has_async_tools()

    async def _warm(self, warm: Warm, tools: list[Any]) -> None:
        try:
            await warm(self._with_prompt([]), tools)
        except RetryError as error:
            logger.debug("{}", error)
        if self._request.read_ahead:
            await self._read_on(self._request.read_ahead)

    async def _read_on(self, read_ahead: ReadAhead) -> None:
        """Read ahead until nothing is left to read, and tell what is thought of it."""
        while unread := self._unread:
            self._unread = None
            messages = self._shown(unread).messages
            try:
                chance = await read_ahead(self._with_prompt(messages), self._offered)
            except RetryError as error:
                logger.debug("{}", error)
                continue
            if chance is not None:
                wording = WordingFrame(text=_text(messages[-1]), probability=chance)
                await self.push_frame(wording, FrameDirection.UPSTREAM)

    def _with_prompt(self, messages: Sequence[Any]) -> list[Any]:
        return [{"role": "system", "content": self._prompt}, *messages]


@dataclass(slots=True)
class _Server:
    request: LanguageRequest
    client: openai.AsyncOpenAI
    rests_until_s: float = 0.0
    """Not asked before then, unless nobody else is there. On the event loop's clock."""


def _tool_names(context: LLMContext) -> list[str]:
    tools = context.tools
    return [tool.name for tool in tools.standard_tools] if isinstance(tools, ToolsSchema) else []


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, dict) else None


def _is_said(message: object) -> bool:
    """Whether the assistant said it; a call of a tool is no words."""
    if not isinstance(message, dict) or message.get("role") != "assistant":
        return False
    return not message.get("tool_calls")


def _text(message: object) -> str:
    content = message.get("content", "") if isinstance(message, dict) else ""
    return content if isinstance(content, str) else str(content)


def _failure(exception: Exception | None) -> Failure:
    match exception:
        case openai.APIStatusError():
            return failure_of(exception.status_code)
        case openai.APITimeoutError() | TimeoutError():
            return Failure.LATE
        case _:
            return failure_of(None)
