"""A recogniser on another machine, as the contract suite asks one."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from agent.asr.cloud.client import CloudClient, Feed
from agent.asr.hybrid.audio import UtteranceAudio
from agent.asr.hybrid.events import Answer
from agent.asr.hypothesis import Hypothesis
from agent.audio.chunk import Int16Array

Result = TypeVar("Result")


class RemoteRecogniser:
    """A `CloudClient` behind the interface of all recognisers; each answer is waited for.

    A conversation does not wait: there `agent.asr.hybrid` stands between the two.
    """

    def __init__(self, new_client: Callable[[], CloudClient]) -> None:
        """Open a client of its own.

        Args:
            new_client: Makes it, on the event loop that it is used on.
        """
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._client = self._done(_made(new_client))
        self._answer: asyncio.Future[Answer] | None = None

    def start(self, utterance_id: int, start_sample: int) -> None:
        """Begin an utterance; one that was not finished is given up."""
        self._id, self._start = utterance_id, start_sample
        self._audio = UtteranceAudio()
        self._feed = Feed(self._audio)
        self._done(self._begin())

    def push(self, pcm: Int16Array, is_speech: bool = True) -> Hypothesis | None:
        """Send more of it."""
        self._done(self._grow(pcm))
        return None

    def settle(self) -> Hypothesis:
        """Ask for the text so far, beside the utterance that goes on."""
        whole = Feed(self._audio)
        whole.close()
        return self._said(self._done(self._client.transcribe(whole)), is_final=False)

    def finish(self) -> Hypothesis:
        """Ask for the text."""
        return self._said(self._done(self._finish()), is_final=True)

    def close(self) -> None:
        """Hang up."""
        self._done(self._give_up())
        self._done(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _begin(self) -> None:
        await self._give_up()
        self._answer = asyncio.ensure_future(self._client.transcribe(self._feed))

    async def _give_up(self) -> None:
        if self._answer:
            self._answer.cancel()
            await asyncio.gather(self._answer, return_exceptions=True)
            self._answer = None

    async def _grow(self, pcm: Int16Array) -> None:
        self._audio.append(pcm)
        self._feed.grow()

    async def _finish(self) -> Answer:
        assert self._answer
        self._feed.close()
        answer, self._answer = self._answer, None
        return await answer

    def _said(self, answer: Answer, *, is_final: bool) -> Hypothesis:
        words = tuple(
            replace(
                word,
                start_sample=self._start + word.start_sample,
                end_sample=self._start + word.end_sample,
            )
            for word in answer.words
        )
        end = self._start + len(self._audio)
        return Hypothesis(self._id, answer.text, words, is_final, self._start, end)

    def _done(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _made(new_client: Callable[[], CloudClient]) -> CloudClient:
    return new_client()
