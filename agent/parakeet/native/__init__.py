"""``WS /v1/stream``: a caller's utterances, which outlive the connection (docs/parakeet.md)."""
