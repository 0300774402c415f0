"""What this process and its models have computed."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.server.processor_time import cores, worked

BURN = """
import sys, time
while time.process_time() < 0.5:
    pass
print("burnt", flush=True)
sys.stdin.read()
"""


def test_there_is_at_least_one_core():
    assert cores() >= 1


def test_the_thread_that_asks_is_part_of_the_whole():
    before = worked()
    until_s = time.thread_time() + 0.05
    while time.thread_time() < until_s:
        pass
    after = worked()
    assert after.loop_s - before.loop_s >= 0.05
    assert after.all_s - before.all_s >= 0.05 - 0.02


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux tells of children")
def test_a_model_in_a_process_of_its_own_counts():
    before = worked()
    child = subprocess.Popen(
        [sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "burnt\n"
        after = worked()
        assert after.all_s - before.all_s >= 0.45
        # Nobody is asked for twice, and nothing is kept of a process that has ended.
        child.stdin.close()
    assert worked().all_s - before.all_s < after.all_s - before.all_s
