"""No sound that is not speech becomes a turn: the short form of benchmarks/noise.py."""

import pytest

from agent.turns.events import AgentFloor, DecisionKind
from benchmarks.background_calls import attributed
from benchmarks.ladder import Ears, decisions
from benchmarks.noise import minute

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def ears():
    return Ears()


@pytest.mark.parametrize("kind", ["music", "typing", "knocks", "coughs"])
def test_a_minute_of_it_reaches_no_model(kind, ears):
    silent = AgentFloor(0, is_speaking=False)
    heard = attributed(ears.listen(minute(kind, 1)))
    made = {decision.kind for decision in decisions(heard, silent, ears)}
    assert made <= {DecisionKind.HOLD}
