"""An event loop whose clock jumps to the next timer when nothing is runnable.

A recording is put through the pipeline as fast as the models can listen, and always with the same
result: work takes no time on its clock, however busy the machine is.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_LOOK_S = 0.05
"""How often to look at the other loop's work while a peer is waited for."""


class _JumpingSelector(selectors.SelectSelector):
    """Never waits for a timer: the time that would pass is added to the clock instead.

    A peer it does wait for, with the clock standing still: one that is spoken to on a connection
    opened since the clock became virtual.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_virtual = False
        self._virtual_s = 0.0
        self._ahead_s = 0.0
        self._known = 0

    def now_s(self) -> float:
        return self._virtual_s if self.is_virtual else time.monotonic() + self._ahead_s

    def begin(self) -> None:
        self._virtual_s = self.now_s()
        self._known = len(self.get_map())
        self.is_virtual = True

    def end(self) -> None:
        self._ahead_s = self._virtual_s - time.monotonic()
        self.is_virtual = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not self.is_virtual:
            return super().select(timeout)
        ready = super().select(0)
        while not ready and (timeout is None or timeout > 0) and self._waits_for_peer():
            ready = super().select(_LOOK_S)
        if not ready and timeout:
            self._virtual_s += timeout
        elif not ready and timeout is None:
            raise RuntimeError("deadlock: nothing is runnable and no timer is set")
        return ready

    def _waits_for_peer(self) -> bool:
        return len(self.get_map()) > self._known


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs a conversation in no time. Executor work runs inline, or timeouts would outrun it."""

    def __init__(self) -> None:
        """Begin on the machine's clock; see `virtual`."""
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    @contextmanager
    def virtual(self) -> Iterator[None]:
        """Let time jump meanwhile: from when models are loaded and servers up until they stop."""
        self._jumping.begin()
        try:
            yield
        finally:
            self._jumping.end()

    def time(self) -> float:
        """Seconds: the machine's, and the jumped ones while time is virtual."""
        return self._jumping.now_s()

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Run `func` here and now, once time is virtual."""
        if not self._jumping.is_virtual:
            return super().run_in_executor(executor, func, *args)
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - a future carries whatever its work raised
            future.set_exception(error)
        return future
