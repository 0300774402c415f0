"""How many cases a property is tried on: DUPLEX_EXAMPLES=100000 for a long run."""

import os
import random
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings

from tests.core.sip.mangling import Drawn

_CASES = int(os.environ.get("DUPLEX_EXAMPLES", "60"))
_MOST_OF_HYPOTHESIS = 1_000
"""Beyond, its search takes thirty times as long as the parser that is tried."""

_few = settings(
    max_examples=min(_CASES, _MOST_OF_HYPOTHESIS),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def cases(*drawn: Drawn) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Try a property: on Hypothesis' cases, which it makes smaller when one fails; in a long run on
    one case of every seed besides.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        tried = _few(given(*(what.strategy for what in drawn))(test))
        if _CASES <= _MOST_OF_HYPOTHESIS:
            return tried

        def every_seed() -> None:
            tried()
            for seed in range(_CASES):
                chance = random.Random(seed)
                values: list[Any] = [what.of(chance) for what in drawn]
                try:
                    test(*values)
                except Exception as error:
                    raise AssertionError(f"seed {seed}: {values!r}") from error

        every_seed.__name__, every_seed.__doc__ = test.__name__, test.__doc__
        return every_seed

    return decorate
