import asyncio
import json

import pytest
from openai.types.chat import ChatCompletionChunk

from agent.llm.answer_stream import Deadlines, WithWrittenCalls
from agent.llm.calls import CallReader
from agent.llm.fallback import FallbackSettings
from tests.virtually import virtually

PATIENCE = FallbackSettings(answer_s=10.0, stall_s=5.0)
BOOK = '{"name": "book", "arguments": {"guests": 4}}'


class Stream:
    """Chunks with these words, each after its wait; then its end."""

    def __init__(self, *words: tuple[float, str]) -> None:
        self._words = words
        self.is_closed = False

    async def __aiter__(self):
        for wait_s, text in self._words:
            await asyncio.sleep(wait_s)
            yield chunk(text)

    async def close(self) -> None:
        self.is_closed = True


def chunk(text):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return ChatCompletionChunk.model_validate(
        {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "m",
            "choices": [choice],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
    )


def read(stream):
    """The chunks, and whether the stream was given up."""
    chunks = []

    async def collect():
        try:
            async for piece in stream:
                chunks.append(piece)
        except TimeoutError:
            return True
        return False

    return chunks, virtually(collect())


def text_of(chunks):
    return "".join(piece.choices[0].delta.content or "" for piece in chunks)


@pytest.mark.parametrize(
    ("waits_s", "heard", "is_late"),
    [
        ((9.9, 4.9, 4.9), "aaa", False),
        ((10.1,), "", True),
        ((9.9, 5.1, 0.1), "a", True),
    ],
)
def test_a_stream_may_begin_late_but_not_stop_for_long(waits_s, heard, is_late):
    chunks, was_late = read(Deadlines(Stream(*((wait, "a") for wait in waits_s)), PATIENCE))
    assert (text_of(chunks), was_late) == (heard, is_late)


def test_one_that_has_begun_has_no_more_time_than_between_chunks():
    chunks, was_late = read(Deadlines(Stream((5.1, "b")), PATIENCE, chunk("a")))
    assert text_of(chunks) == "a" and was_late
    assert text_of(read(Deadlines(Stream((4.9, "b")), PATIENCE, chunk("a")))[0]) == "ab"


def test_a_call_that_was_written_becomes_one():
    words = Stream(*((0.0, piece) for piece in ("Sure. ", BOOK[:9], BOOK[9:])))
    chunks, _ = read(WithWrittenCalls(words, CallReader(["book"])))
    assert text_of(chunks) == "Sure. "
    (call,) = chunks[-1].choices[0].delta.tool_calls
    assert call.function.name == "book" and json.loads(call.function.arguments) == {"guests": 4}
    # The tokens were counted in the chunk before.
    assert chunks[-1].usage is None and chunks[-2].usage is not None


def test_an_empty_answer_stays_one():
    assert read(WithWrittenCalls(Stream(), CallReader(["book"]))) == ([], False)


@pytest.mark.parametrize(
    "around", [lambda s: Deadlines(s, PATIENCE), lambda s: WithWrittenCalls(s, CallReader([]))]
)
def test_hanging_up_reaches_the_server(around):
    stream = Stream()
    asyncio.run(around(stream).close())
    assert stream.is_closed
