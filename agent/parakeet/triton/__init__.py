"""Triton in front of the model: recognition on as many machines as Triton runs on.

`client` is the engine that speaks to a Triton inference server; `repository` writes what such a
server loads, and `backend` is what runs inside it. The tensors are those of the service's own
KServe endpoint (`agent.parakeet.kserve`).
"""

from collections.abc import Mapping
from typing import Any

from agent.parakeet.engine import Engine


def open_engine(config: Mapping[str, Any]) -> Engine:
    """Make the engine; see `agent.parakeet.engine.Factory`."""
    from agent.parakeet.triton.client import TritonEngine, TritonSettings

    return TritonEngine(TritonSettings.from_config(config))
