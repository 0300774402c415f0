"""Who loads what: the agent no recognition service, the service's front no PyTorch."""

import subprocess
import sys

import pytest


def loaded(modules: str, unwanted: list[str]) -> str:
    code = f"import sys, {modules}; print([m for m in {unwanted} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return result.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("modules", ["agent.server.serve", "agent.talk, agent.replay"])
def test_the_agents_process_has_no_service_in_it(modules):
    assert loaded(modules, ["agent.parakeet", "torch", "nemo"]) == "[]"


def test_the_front_has_no_model_in_it():
    unwanted = ["torch", "nemo", "pipecat", "agent.parakeet.nemo", "agent.parakeet.fake"]
    assert loaded("agent.parakeet.serve", unwanted) == "[]"


def test_a_worker_needs_nothing_of_the_front():
    unwanted = ["starlette", "uvicorn", "pipecat", "onnxruntime", "prometheus_client", "pydantic"]
    assert loaded("agent.parakeet.worker, agent.parakeet.fake", unwanted) == "[]"
