"""What Prometheus reads of edge and cloud: where texts came from, and every switch between them."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.asr.hybrid.health import CloudHealth


class RecognitionCollector(Collector):
    """Reads one cloud's counters at each scrape. Names are an interface: a test freezes them."""

    def __init__(self, health: CloudHealth) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        counts = self._health.counts
        finals = CounterMetricFamily(
            "duplex_recognition_finals", "Utterances, by whose text was used.", labels=["side"]
        )
        for side, count in counts.finals.items():
            finals.add_metric([side], count)
        yield finals
        failures = CounterMetricFamily(
            "duplex_recognition_cloud_failures", "Attempts that broke.", labels=["reason"]
        )
        for reason, count in counts.failures.items():
            failures.add_metric([reason], count)
        yield failures
        switches = CounterMetricFamily(
            "duplex_recognition_switches", "The cloud was left or used again.", labels=["to"]
        )
        for side, count in counts.switches.items():
            switches.add_metric([side], count)
        yield switches
        yield CounterMetricFamily(
            "duplex_recognition_corrections",
            "Better texts that came after the final.",
            value=counts.corrections,
        )
        yield GaugeMetricFamily(
            "duplex_recognition_cloud_usable",
            "1 while speech is sent to the cloud.",
            value=float(self._health.is_usable),
        )
