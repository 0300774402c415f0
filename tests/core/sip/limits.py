"""How many cases a property is tried on: DUPLEX_EXAMPLES=100000 for a long run."""

import os

from hypothesis import HealthCheck, settings

cases = settings(
    max_examples=int(os.environ.get("DUPLEX_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
