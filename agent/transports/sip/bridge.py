"""Two calls joined: their parties talk with each other, and the end of one ends both."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from agent.audio.chunk import Int16Array
from agent.audio.resample import StreamResampler
from agent.errors import DegradedError
from agent.transports.sip.call import SipCall


def join(one: SipCall, other: SipCall) -> None:
    """Take both calls out of their conversations and put them through to each other."""
    ends = (_End(one, other), _End(other, one))
    for end in ends:
        end.connect()


class _End:
    """What one party says, presses and ends, on its way to the other."""

    def __init__(self, ours: SipCall, other: SipCall) -> None:
        self._ours, self._other = ours, other
        self._tasks: set[asyncio.Task[None]] = set()
        self._resampler: StreamResampler | None = None
        if ours.sample_rate != other.sample_rate:
            self._resampler = StreamResampler(ours.sample_rate, other.sample_rate)

    def connect(self) -> None:
        """Let the other party hear ours from now on."""
        self._ours.leave_conversation()
        self._ours.connect(
            on_audio=self._on_audio,
            on_key=self._on_key,
            on_talking=lambda: None,
            on_over=self._on_over,
        )

    def _on_audio(self, pcm: Int16Array) -> None:
        self._other.feed(self._resampler.push(pcm) if self._resampler else pcm)

    def _on_key(self, key: str) -> None:
        self._spawn(_pressed(self._other, key))

    def _on_over(self) -> None:
        self._spawn(self._other.hang_up())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _pressed(call: SipCall, key: str) -> None:
    try:
        await call.press(key)
    except DegradedError:
        return  # That telephone does not understand keys.
