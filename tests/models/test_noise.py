"""No sound that is not speech becomes a turn: the short form of benchmarks/noise.py."""

import pytest

from agent.turns.events import DecisionKind
from benchmarks.ladder import Ears, decisions, silent
from benchmarks.noise import minute

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def ears():
    return Ears()


@pytest.mark.parametrize("kind", ["music", "typing", "knocks", "coughs"])
def test_a_minute_of_it_reaches_no_model(kind, ears):
    heard = ears.listen(minute(kind, 1))
    made = {decision.kind for decision in decisions(heard, silent, ears)}
    assert made <= {DecisionKind.HOLD}
