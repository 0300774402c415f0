"""What Prometheus reads. Names and labels are an interface: a test freezes them."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_REQUEST_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300)
_SHORT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)


class Metrics:
    """The service's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests answered.", "route", "code")
        self.request_s = self._histogram(
            "request_seconds", "From the last byte to the answer.", _REQUEST_S, "route"
        )
        self.queue_s = self._histogram("queue_seconds", "Wait for a device.", _SHORT_S, "priority")
        self.batch_size = self._histogram("batch_size", "Utterances in a batch.", _SIZES)
        self.batch_s = self._histogram("batch_seconds", "A batch in the worker.", _SHORT_S)
        self.stage_s = self._histogram("stage_seconds", "A batch's stages.", _SHORT_S, "stage")
        self.padded_s = self._counter("padded_audio_seconds", "Audio computed, with padding.")
        self.audio_s = self._counter("audio_seconds", "Audio recognised.", "route")
        self.rejected = self._counter("rejected", "Requests turned away.", "reason")
        self.restarts = self._counter("worker_restarts", "Workers replaced.", "reason")
        self.out_of_memory = self._counter("out_of_memory", "Batches the device had no room for.")
        self.empty_retries = self._counter(
            "empty_retries", "Empty results with speech, tried again.", "result"
        )
        self.silent = self._counter("silent", "Utterances without speech, answered undecoded.")
        self.trimmed_s = self._counter("trimmed_seconds", "Silent tails cut before decoding.")
        self.repeated_words = self._counter("repeated_words", "Words cut from runaway repetition.")
        self.endpoints = self._counter("endpoints", "End tokens of streaming models.", "kind")
        self.segments = self._counter("segments", "Segments of recordings.", "source")
        self.bad_messages = self._counter("bad_messages", "Messages not understood.", "route")

    def gauges(
        self,
        *,
        ready: Callable[[], float],
        queue_depth: Callable[[], float],
        streams: Callable[[], float],
        slots_free: Callable[[], float],
        workers: Callable[[], float],
    ) -> None:
        """Read these at each scrape."""
        for name, text, read in (
            ("ready", "1 while new work is accepted.", ready),
            ("queue_depth", "Utterances that wait for a device.", queue_depth),
            ("streams_active", "Live utterances.", streams),
            ("slots_free", "Streaming slots not taken.", slots_free),
            ("workers_ready", "Workers with a loaded model.", workers),
        ):
            Gauge(f"parakeet_{name}", text, registry=self.registry).set_function(read)

    def batch(
        self, *, size: int, padded_s: float, seconds: float, stages_s: Mapping[str, float]
    ) -> None:
        """Count one batch."""
        self.batch_size.observe(size)
        self.batch_s.observe(seconds)
        self.padded_s.inc(padded_s)
        for stage, stage_s in stages_s.items():
            self.stage_s.labels(stage).observe(stage_s)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"parakeet_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"parakeet_{name}", text, labels, buckets=buckets, registry=self.registry)
