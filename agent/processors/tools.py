"""The agent's tools as Pipecat calls them: checked, confirmed, bridged, and answered once."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from traceback import format_tb
from typing import Any

from loguru import logger
from pipecat.adapters.llm.schemas.direct_function import tool_options
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.services.llm_service import FunctionCallParams

from agent.agent import Agent
from agent.conversation import Conversation
from agent.flow import HandOver
from agent.tools.declaration import ArgumentsError, Tool, result

_MOST_CALLS = 8
"""Between two turns of the caller. A model that calls on and on would never speak again."""

_LOST = "Sorry, I got stuck. Could you say that again?"

_SILENT = FunctionCallResultProperties(run_llm=False)


class ToolCalls:
    """Runs tools for one conversation.

    Pipecat guarantees the frame around it: a call is never made on a speculation, and its result
    enters the context once, in place, or as a message if the conversation has moved on. Here is
    what it leaves open: a result is never empty (Pipecat would not speak then), a failure is told
    to the caller, and what must finish survives interruption and hang-up.

    Args:
        conversation: Given to tools that ask for it.
        hand_over: Lets the agent a tool returns take over.
    """

    def __init__(
        self, conversation: Conversation[Any], hand_over: Callable[[Agent], Awaitable[None]]
    ) -> None:
        self._conversation = conversation
        self._hand_over = hand_over
        self._calls = 0
        self._unfinished: set[asyncio.Future[Any]] = set()

    def schemas(self, tools: Sequence[Tool]) -> ToolsSchema:
        """Return what the language model is offered, each with its handler."""
        return ToolsSchema(standard_tools=[self._schema(tool) for tool in tools])

    def turn_began(self) -> None:
        """The caller has spoken: calls are counted anew."""
        self._calls = 0

    async def finish(self) -> None:
        """Wait for calls that must finish; each has its own time limit."""
        if self._unfinished:
            await asyncio.gather(*self._unfinished, return_exceptions=True)

    def _schema(self, tool: Tool) -> FunctionSchema:
        # A question before the call is answered by a turn, which must not cancel the call.
        is_cancellable = tool.options.cancel_safe and not tool.options.confirm

        async def handler(params: FunctionCallParams) -> None:
            await self._call(tool, params)

        schema = tool.schema()
        return FunctionSchema(
            name=tool.name,
            description=tool.description,
            properties=schema["properties"],
            required=schema["required"],
            handler=tool_options(handler, cancel_on_interruption=is_cancellable),
        )

    async def _call(self, tool: Tool, params: FunctionCallParams) -> None:
        self._calls += 1
        if self._calls > _MOST_CALLS:
            logger.error("{} calls without a word to the caller; stopping", _MOST_CALLS)
            await params.result_callback({"error": "too many calls"}, properties=_SILENT)
            await self._conversation.say(_LOST)
            return
        try:
            arguments = tool.parse(params.arguments)
        except ArgumentsError as error:
            logger.warning("tool {} was called with arguments that do not fit", tool.name)
            await params.result_callback({"error": str(error)})
            return
        question = tool.question(arguments)
        if question and not await self._conversation.confirm(question):
            await params.result_callback({"error": "the caller did not agree; it was not done"})
            return
        await self._run(tool, arguments, params)

    async def _run(self, tool: Tool, arguments: dict[str, Any], params: FunctionCallParams) -> None:
        work = asyncio.ensure_future(self._work(tool, arguments))
        if not tool.options.cancel_safe:
            self._unfinished.add(work)
            work.add_done_callback(self._unfinished.discard)
        try:
            given = await self._bridged(tool, work)
        except asyncio.CancelledError:
            if tool.options.cancel_safe:
                work.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - a tool is the developer's, the call ours
            # Where it failed, and not in which words: these may quote what the caller has said.
            where = "".join(format_tb(error.__traceback__))
            logger.error("tool {} failed: {}\n{}", tool.name, type(error).__name__, where)
            logger.debug("tool {} failed: {}", tool.name, error)
            failure = "it took too long" if isinstance(error, TimeoutError) else "it failed"
            await params.result_callback({"error": failure}, properties=_SILENT)
            await self._conversation.say(tool.options.apology)
            return
        following = HandOver(given) if isinstance(given, Agent) else given
        if isinstance(following, HandOver):
            told = following.result or f"{following.agent.name} takes over"
            await params.result_callback(result(told), properties=_SILENT)
            await self._conversation.say(following.announcement)
            await self._hand_over(following.agent)
        else:
            # Behind the farewell there is nothing more to say.
            told = _SILENT if self._conversation.is_over else None
            await params.result_callback(result(given), properties=told)

    async def _bridged(self, tool: Tool, work: "asyncio.Future[Any]") -> Any:
        """Wait for the result; say the filler if that takes long."""
        shielded = asyncio.shield(work)
        if tool.options.filler:
            done, _ = await asyncio.wait({shielded}, timeout=tool.options.filler_after_s)
            if not done:
                await self._conversation.say(tool.options.filler, more_follows=True)
        return await shielded

    async def _work(self, tool: Tool, arguments: dict[str, Any]) -> Any:
        if tool.conversation:
            arguments = {**arguments, tool.conversation: self._conversation}
        async with asyncio.timeout(tool.options.timeout_s):
            if inspect.iscoroutinefunction(tool.function):
                return await tool.function(**arguments)
            return await asyncio.to_thread(tool.function, **arguments)
