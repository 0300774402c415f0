"""How many cases a property is tried on: DUPLEX_EXAMPLES=100000 for a long run."""

import os

from hypothesis import HealthCheck, Phase, settings

_EXAMPLES = int(os.environ.get("DUPLEX_EXAMPLES", "60"))
_IS_LONG = _EXAMPLES > 1_000

cases = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    # In a long run what failed is printed as it was: the seed or the bytes are enough.
    phases=[Phase.generate] if _IS_LONG else list(Phase),
)
