"""An event loop whose clock jumps to the next timer when nothing is runnable.

A recording is put through the pipeline as fast as the models can listen, and always with the same
result: work takes no time on its clock, however busy the machine is.
"""

import asyncio
import selectors
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
        if isinstance(executor, PricedExecutor):
            self.call_at(executor.done_at(self.time(), func, *args), _settle, future, executor)
            return future
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - a future carries whatever its work raised
            future.set_exception(error)
        return future


class PricedExecutor(ThreadPoolExecutor):
    """One worker whose work has a price in seconds, on a virtual clock as on the machine's.

    Work names its price by calling `charge`; what comes behind it waits.
    """

    def __init__(self, name: str = "") -> None:
        super().__init__(1, name)
        self._charged_s = 0.0
        self._free_at = 0.0
        self._is_virtual = False
        self._outcomes: deque[tuple[Any, Exception | None]] = deque()

    def charge(self, price_s: float) -> None:
        """Make the work that is being done take longer."""
        if self._is_virtual:
            self._charged_s += price_s
        else:
            time.sleep(price_s)

    def done_at(self, now_s: float, func: Callable[..., Any], *args: Any) -> float:
        """Do work here and now; return when it is over."""
        self._is_virtual, self._charged_s = True, 0.0
        try:
            self._outcomes.append((func(*args), None))
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
            self._outcomes.append((None, error))
        finally:
            self._is_virtual = False
        self._free_at = max(self._free_at, now_s) + self._charged_s
        return self._free_at

    def outcome(self) -> tuple[Any, Exception | None]:
        """Return what the oldest work that is over gave or raised."""
        return self._outcomes.popleft()


def _settle(future: "asyncio.Future[Any]", executor: PricedExecutor) -> None:
    result, error = executor.outcome()
    if future.done():
        return
    if error:
        future.set_exception(error)
    else:
        future.set_result(result)
