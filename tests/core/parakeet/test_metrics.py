"""Names, kinds and labels are what dashboards and alerts are written against: frozen here."""

from agent.parakeet.metrics import Metrics

FROZEN = {
    "parakeet_audio_seconds": ("counter", ("route",)),
    "parakeet_bad_messages": ("counter", ("route",)),
    "parakeet_batch_seconds": ("histogram", ()),
    "parakeet_batch_size": ("histogram", ()),
    "parakeet_empty_retries": ("counter", ("result",)),
    "parakeet_endpoints": ("counter", ("kind",)),
    "parakeet_out_of_memory": ("counter", ()),
    "parakeet_padded_audio_seconds": ("counter", ()),
    "parakeet_queue_depth": ("gauge", ()),
    "parakeet_queue_seconds": ("histogram", ("priority",)),
    "parakeet_ready": ("gauge", ()),
    "parakeet_rejected": ("counter", ("reason",)),
    "parakeet_repeated_words": ("counter", ()),
    "parakeet_request_seconds": ("histogram", ("route",)),
    "parakeet_requests": ("counter", ("route", "code")),
    "parakeet_segments": ("counter", ("source",)),
    "parakeet_silent": ("counter", ()),
    "parakeet_slots_free": ("gauge", ()),
    "parakeet_stage_seconds": ("histogram", ("stage",)),
    "parakeet_streams_active": ("gauge", ()),
    "parakeet_trimmed_seconds": ("counter", ()),
    "parakeet_worker_restarts": ("counter", ("reason",)),
    "parakeet_workers_ready": ("gauge", ()),
}


def test_names_kinds_and_labels_stay():
    metrics = Metrics()
    zero = {"ready", "queue_depth", "streams", "slots_free", "workers"}
    metrics.gauges(**dict.fromkeys(zero, lambda: 0.0))
    collectors = set(metrics.registry._collector_to_names)
    found = {one._name: (one._type, one._labelnames) for one in collectors}
    assert found == FROZEN
