"""Conversations as OpenTelemetry traces: times and figures, and not a word that was said.

Names of spans and attributes are Pipecat's where it has any, so that what reads its traces reads
these. Imported only where traces are wanted.
"""

import time
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import set_span_in_context

from agent.observe.record import TurnRecord, TurnRecorder
from agent.observe.spans import spans
from agent.settings import TraceSettings


class Traces:
    """Of one process.

    Args:
        processor: Takes the spans as they end.
    """

    def __init__(self, processor: SpanProcessor) -> None:
        ours = {"service.name": "duplex", "service.version": version("duplex-voice")}
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have the last word.
        resource = Resource.create(ours).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(processor)

    def conversation(
        self, recorder: TurnRecorder, *, session: str, channel: str
    ) -> "ConversationTrace":
        """Begin the trace of one conversation."""
        return ConversationTrace(self._provider, recorder, session, channel)

    def close(self) -> None:
        """Send what is left. Blocks as long as the exporter tries, at most half a minute."""
        self._provider.shutdown()


class ConversationTrace:
    """Writes a span for each turn as the next one begins, when nothing can be added to it."""

    def __init__(
        self, provider: TracerProvider, recorder: TurnRecorder, session: str, channel: str
    ) -> None:
        self._tracer = provider.get_tracer("duplex")
        self._recorder = recorder
        self._session = session
        self._origin_ns = time.time_ns() - _ns(recorder.now_s())
        self._root = self._tracer.start_span(
            "conversation",
            start_time=self._origin_ns,
            attributes={
                "conversation.id": session,
                "conversation.type": "voice",
                "duplex.channel": channel,
            },
        )
        recorder.watch_turns = self._write

    def end(self) -> None:
        """The conversation is over."""
        self._recorder.watch_turns = None
        self._write(self._recorder.current)
        self._root.end(self._at(self._recorder.now_s()))

    def _write(self, record: TurnRecord) -> None:
        if not (found := spans(record)):
            return
        whole, *stages = found
        turn = self._tracer.start_span(
            whole.name,
            set_span_in_context(self._root),
            start_time=self._at(whole.start_s),
            attributes=self._attributes(record),
        )
        inside = set_span_in_context(turn)
        for stage in stages:
            span = self._tracer.start_span(stage.name, inside, start_time=self._at(stage.start_s))
            span.end(self._at(stage.end_s))
        turn.end(self._at(whole.end_s))

    def _attributes(self, record: TurnRecord) -> dict[str, str | int | float | bool]:
        # Not the decision's reason, nor its evidence: they may quote what was heard.
        attributes: dict[str, str | int | float | bool] = {
            "conversation.id": self._session,
            "turn.number": record.turn,
            "turn.was_interrupted": record.interrupted,
            "duplex.model_calls": record.model_calls,
        }
        if kind := record.decision.get("kind"):
            attributes["duplex.decision"] = kind
        if (latency_s := record.stages().get("voice_to_voice_s")) is not None:
            attributes["turn.user_bot_latency_seconds"] = latency_s
        return attributes

    def _at(self, seconds: float) -> int:
        return self._origin_ns + _ns(seconds)


def exported(settings: TraceSettings) -> Traces:
    """Traces sent by OTLP over HTTP, from a thread of their own.

    The exporter reads OTEL_EXPORTER_OTLP_*, OTEL_BSP_* and OTEL_TRACES_SAMPLER itself.
    """
    endpoint = settings.endpoint and f"{settings.endpoint.rstrip('/')}/v1/traces"
    # Its queue holds 2048 spans, some 200 turns; what comes when it is full is dropped.
    return Traces(BatchSpanProcessor(OTLPSpanExporter(endpoint)))


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
