"""NeMo in the worker: any transducer checkpoint, called directly and never through `transcribe()`.

`transcribe()` changes the model while it runs: 60 calls from 8 threads gave 15 errors and 8 wrong
texts (NVIDIA-NeMo/Speech #15771). Here one thread owns the model and calls its three parts itself:
preprocessor, encoder, greedy decoding.

Read `engine` first; `checkpoint` loads, `utterances` and `streams` run, `decoding` and `words` make
text of what the encoder heard, `device` and `budget` know the machine.
"""

from collections.abc import Mapping
from typing import Any

from agent.parakeet.engine import Engine
from agent.parakeet.nemo.settings import NemoSettings


def open_engine(config: Mapping[str, Any]) -> Engine:
    """Make the engine; see `agent.parakeet.engine.Factory`."""
    from agent.parakeet.nemo.engine import NemoEngine

    return NemoEngine(NemoSettings.from_config(config))
