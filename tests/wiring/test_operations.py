"""The short forms of what `make nightly` measures for docs/operations.md, times aside."""

import numpy as np
import pytest

from benchmarks import capacity, flood, full_house, soak
from benchmarks.callers import INSTANT, serving, turns

ROOM = {"DUPLEX_AGENT__GREETING": "", "DUPLEX_SERVER__MAX_SESSIONS": "10"}


@pytest.fixture(scope="module")
def server():
    with serving(INSTANT, **ROOM, DUPLEX_SERVER__MAX_CONNECTIONS="256") as server:
        yield server


async def test_every_one_of_several_callers_at_once_is_answered(server):
    held = await capacity.measure(server, 5, np.tile(turns(), 2))
    assert held["failures"] == 0
    assert held["turns"] >= 5
    assert held["packets"] > 100


async def test_a_flood_is_shed_and_the_call_beside_it_is_answered(server):
    seen = await flood.measure(server, 200, 4.0)
    for call in (seen["calm"], seen["under_attack"]):
        assert call["failures"] == []
        assert call["packets"] > 50
    attack = seen["attack"]
    assert attack["opened"] > 100
    assert attack["frames refused"] == attack["frames"] > 0


async def test_mixed_load_with_a_crowd_in_the_middle_fails_nobody(tmp_path):
    told = tmp_path / "memory.jsonl"
    environ = ROOM | {"DUPLEX_SERVER__REJOIN_S": "2"}
    with serving((*INSTANT, "--memory-to", str(told)), **environ) as server:
        seen = await soak.soak(server, told, 0.2, callers=2, crowd=2)
    assert (seen["failures"], seen["refused"]) == ([], 0)
    assert seen["counted"]["duplex_sessions_failed_total"] == 0
    assert seen["counted"]["duplex_turns_total"] > 0
    assert seen["after"]["sessions"] == 0
    assert len(seen["each_third"]) == 3


async def test_whom_a_machine_that_decides_itself_refuses_is_told_when_to_come_back():
    environ = ROOM | {"DUPLEX_SERVER__MAX_SESSIONS": "auto"}
    with serving(INSTANT, **environ) as server:
        seen = await full_house.fill(server, turns(), callers=8, lasting_s=10.0)
    assert seen["failures"] == []
    assert seen["most_held"] >= 2
    assert seen["refused"] > 0
    assert seen["refused_without_retry_after"] == 0
