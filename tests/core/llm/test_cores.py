import os

import pytest

from agent.llm import cores


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Two packages of two cores with two threads each, eight CPUs in all."""
    for cpu in range(8):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(str(cpu // 4))
        (folder / "core_id").write_text(str(cpu // 2 % 2))
    monkeypatch.setattr(cores, "_TOPOLOGY", tmp_path)
    monkeypatch.setattr(cores, "_CGROUP_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


def test_threads_of_a_core_count_once(machine):
    assert cores.physical_cores(most=16) == 4


def test_room_is_left_for_the_other_models(machine):
    assert cores.physical_cores(most=3) == 3


def test_only_cpus_this_process_may_use(machine, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 5})
    assert cores.physical_cores() == 1


@pytest.mark.parametrize(
    ("quota", "count"),
    [("max 100000", 4), ("200000 100000", 2), ("50000 100000", 1), ("nonsense", 4)],
)
def test_a_containers_quota(machine, quota, count):
    (machine / "cpu.max").write_text(quota)
    assert cores.physical_cores(most=16) == count


def test_a_machine_that_does_not_tell(machine, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(cores, "_TOPOLOGY", machine / "absent")
    assert cores.physical_cores(most=16) == 3
