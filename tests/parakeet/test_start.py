"""The service's first moments: alive at once, ready with all it needs, or ended with a reason."""

import asyncio

import numpy as np
import pytest

from agent.errors import MissingModelError
from agent.models.store import locate
from agent.parakeet.batching import Priority
from agent.parakeet.device import WorkerSettings
from agent.parakeet.engine import Options
from agent.parakeet.errors import OverloadedError
from agent.parakeet.service import Service, ServiceSettings

LIMIT_S = 60.0


def service(weights):
    worker = WorkerSettings("agent.parakeet.fake:open_engine", {})
    return Service(ServiceSettings(workers=(worker,), vad=weights))


async def hear(asked):
    deadline_s = asyncio.get_running_loop().time() + LIMIT_S
    return await asked.recognise(np.ones(16_000, np.int16), Options(), Priority.LIVE, deadline_s)


async def test_without_its_detector_it_is_not_ready_and_decodes_nothing():
    starting = service(locate("silero-vad") / "silero_vad.onnx")
    assert starting.is_guarded
    assert not starting.accepts
    with pytest.raises(OverloadedError, match="loading"):
        await hear(starting)
    async with asyncio.timeout(LIMIT_S), starting.running():
        while not starting.is_ready:  # noqa: ASYNC110 - a property, which nothing announces
            await asyncio.sleep(0.01)
        assert starting.accepts
        assert starting.stream_posterior() is not None
        assert (await hear(starting)).text == ""


async def test_weights_of_another_network_end_it_with_the_fix():
    wrong = service(locate("smart-turn-v3.2") / "smart-turn-v3.2-cpu.onnx")
    with pytest.RaisesGroup(pytest.RaisesExc(MissingModelError, match="pip install")):
        async with asyncio.timeout(LIMIT_S), wrong.running():
            await asyncio.Event().wait()
