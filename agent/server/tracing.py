"""Traces, where they are wanted: only then is OpenTelemetry's SDK imported."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.errors import SettingsError
from agent.observe.record import TurnRecorder
from agent.settings import TraceSettings

if TYPE_CHECKING:
    from agent.observe.traces import Traces


def traces(settings: TraceSettings) -> "Traces | None":
    """What traces this process's conversations.

    Raises:
        SettingsError: The extra is not installed.
    """
    if not settings.enabled:
        return None
    try:
        from agent.observe.traces import exported
    except ImportError as error:
        raise SettingsError(
            f"traces need {error.name}, which is an extra: pip install 'duplex-voice[tracing]', "
            "or set traces.enabled to false"
        ) from error
    return exported(settings)


@contextlib.contextmanager
def traced(
    traces: "Traces | None", recorder: TurnRecorder, *, session: str, channel: str
) -> Iterator[None]:
    """Trace the only conversation of a process while this context lasts, then send the rest."""
    if traces is None:
        yield
        return
    trace = traces.conversation(recorder, session=session, channel=channel)
    try:
        yield
    finally:
        trace.end()
        traces.close()
