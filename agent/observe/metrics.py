"""What Prometheus reads. Names and labels are an interface: a test freezes them."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from agent.asr.hybrid.health import CloudHealth
from agent.observe.recognition import RecognitionCollector

_ANSWER_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10)
_LATENESS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1)
_LENGTH_S = (1, 5, 10, 30, 60, 120, 300, 600, 1200, 3600, 7200)


class Metrics:
    """The agent's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._of_cloud: RecognitionCollector | None = None
        self.sessions = self._counter("sessions", "Conversations begun.", "channel")
        self.session_s = self._histogram(
            "session_seconds", "Length of a conversation.", _LENGTH_S, "channel"
        )
        self.refused = self._counter("refused", "Callers turned away.", "status")
        self.failed = self._counter("sessions_failed", "Conversations that ended in an error.")
        self.turns = self._counter("turns", "Turns answered.")
        self.voice_to_voice_s = self._histogram(
            "voice_to_voice_seconds",
            "From the user's last sample to the agent's first one leaving.",
            _ANSWER_S,
        )
        self.stage_s = self._histogram(
            "stage_seconds", "From the user's last sample to a stage.", _ANSWER_S, "stage"
        )
        self.decisions = self._counter("decisions", "About the floor.", "kind")
        self.drafts_withdrawn = self._counter(
            "drafts_withdrawn", "Answers prepared and forgotten: the user went on."
        )
        self.cut_offs_withdrawn = self._counter(
            "cut_offs_withdrawn", "Answers stopped before they sounded: the user had not finished."
        )
        self.barge_ins = self._counter("barge_ins", "Answers cut by the user.")
        self.resumes = self._counter("resumes", "Answers paused and gone on with.")
        self.failovers = self._counter("failovers", "Failures bridged.", "part")
        self.reconnects = self._counter("reconnects", "Conversations gone on with after a break.")
        self.lateness_s = self._histogram(
            "frame_lateness_seconds", "How late packets of speech leave.", _LATENESS_S
        )
        self.tool_calls = self._counter("tool_calls", "Tools called.", "result")

    def gauges(
        self,
        *,
        active: Callable[[], float],
        limit: Callable[[], float],
        ready: Callable[[], float],
        tasks: Callable[[], float],
        depths: dict[str, Callable[[], float]],
    ) -> None:
        """Read these at each scrape.

        Args:
            active: Conversations now.
            limit: Most of them at once.
            ready: 1 while more are taken.
            tasks: Of the event loop.
            depths: The deepest of each kind of queue among all conversations, in its own unit.
        """
        for name, text, read in (
            ("sessions_active", "Conversations now.", active),
            ("sessions_limit", "Most conversations at once.", limit),
            ("ready", "1 while conversations are taken.", ready),
            ("tasks", "Tasks of the event loop.", tasks),
        ):
            Gauge(f"duplex_{name}", text, registry=self.registry).set_function(read)
        depth = Gauge(
            "duplex_queue_depth",
            "Deepest queue of any conversation: seconds of audio, or clauses.",
            ("queue",),
            registry=self.registry,
        )
        for queue, read in depths.items():
            depth.labels(queue).set_function(read)

    def watch_cloud(self, health: CloudHealth | None) -> None:
        """Tell of the recogniser elsewhere that is asked from now on; None where there is none."""
        if self._of_cloud:
            self.registry.unregister(self._of_cloud)
        self._of_cloud = RecognitionCollector(health) if health else None
        if self._of_cloud:
            self.registry.register(self._of_cloud)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"duplex_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"duplex_{name}", text, labels, buckets=buckets, registry=self.registry)
