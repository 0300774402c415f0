"""Writes a model repository: what Triton is given to serve."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.errors import SettingsError

_MODEL = '''"""For Triton's Python backend; it must be able to import duplex-voice and NumPy."""

from agent.parakeet.triton.backend import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''

_CONFIG = """\
name: {name}
backend: "python"
max_batch_size: {max_batch}
input [
  {{ name: "AUDIO", data_type: TYPE_INT16, dims: [ -1 ], allow_ragged_batch: true }}
]
output [
  {{ name: "TRANSCRIPT", data_type: TYPE_STRING, dims: [ 1 ] }},
  {{ name: "CONFIDENCE", data_type: TYPE_FP32, dims: [ 1 ] }},
  {{ name: "WORDS", data_type: TYPE_STRING, dims: [ 1 ] }}
]
dynamic_batching {{
  max_queue_delay_microseconds: {queue_delay_us}
  default_queue_policy {{ max_queue_size: {max_queue} }}
}}
instance_group [ {{ count: 1, kind: {kind} }} ]
parameters {{ key: "engine" value {{ string_value: {engine} }} }}
parameters {{ key: "factory" value {{ string_value: "agent.parakeet.nemo:open_engine" }} }}
parameters {{ key: "python" value {{ string_value: {python} }} }}
"""

_ENVIRONMENT = """\
parameters {{ key: "EXECUTION_ENV_PATH" value {{ string_value: {path} }} }}
"""

MAX_QUEUE = 256
"""Requests that may wait; more are refused at once, so that a client can go elsewhere."""


def export(
    folder: Path,
    name: str,
    engine: Mapping[str, Any],
    *,
    gpu: bool,
    max_batch: int = 32,
    queue_delay_s: float = 0.005,
    python: str = "python3",
    backend_environment: Path | None = None,
) -> Path:
    """Write ``config.pbtxt`` and the model's code.

    Args:
        folder: The repository; made if need be.
        name: The model's name in it.
        engine: Settings of the NeMo engine, the checkpoint among them.
        gpu: One instance on each GPU, instead of one on the CPU.
        max_batch: Most requests that the batcher brings together.
        queue_delay_s: How long it may wait for more. Triton's batcher waits while the device is
            idle too, so this is added to a lone request.
        python: Interpreter with duplex-voice[parakeet]; the worker runs in it.
        backend_environment: Virtual environment for Triton's own Python, if its default cannot
            import duplex-voice; NumPy is all it needs besides.

    Returns:
        The model's folder.

    Raises:
        SettingsError: The name is no folder's name.
    """
    if not name or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise SettingsError(f"a model's name has letters, digits, '-', '_' and '.', not {name!r}")
    model = folder / name
    (model / "1").mkdir(parents=True, exist_ok=True)
    (model / "1" / "model.py").write_text(_MODEL, encoding="utf-8")
    config = _CONFIG.format(
        name=_quoted(name),
        max_batch=max_batch,
        queue_delay_us=round(queue_delay_s * 1e6),
        max_queue=MAX_QUEUE,
        kind="KIND_GPU" if gpu else "KIND_CPU",
        engine=_quoted(json.dumps(dict(engine))),
        python=_quoted(python),
    )
    if backend_environment is not None:
        config += _ENVIRONMENT.format(path=_quoted(str(backend_environment.absolute())))
    (model / "config.pbtxt").write_text(config, encoding="utf-8")
    return model


def _quoted(text: str) -> str:
    """A string of protobuf's text format."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
