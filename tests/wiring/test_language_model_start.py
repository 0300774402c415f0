"""What is said of a language model that does not start, however its process came to say it."""

import pytest

from agent.errors import DegradedError
from agent.llm.embedded import EmbeddedServer, EmbeddedSettings

LATE_LOG = """
import atexit, sys

# llama.cpp writes its log from a thread of its own, which a busy machine may run last.
atexit.register(sys.stderr.write, "0.01 E gguf_init: no such key\\n0.02 E srv init: exiting\\n")
"""
PARAMETERS = """
class CommonParams:
    def __init__(self):
        self.model = self.cpuparams = self.cpuparams_batch = type("Part", (), {})()
"""
REFUSES = """
class Server:
    def __init__(self, parameters):
        raise RuntimeError("Failed to init server.")
"""
DIES = """
import os

class Server:
    def __init__(self, parameters):
        os.write(2, b"a native library gave up\\n")
        os._exit(3)
"""


@pytest.mark.parametrize(
    ("library", "cause"),
    [
        (PARAMETERS + REFUSES + LATE_LOG, "gguf_init: no such key"),
        (PARAMETERS + REFUSES, "Failed to init server."),
        (PARAMETERS + DIES, "a native library gave up"),
        ("raise ImportError('built for another processor')", "ImportError: built for another"),
    ],
    ids=["its log comes last", "it logs nothing", "it dies", "it cannot be loaded"],
)
async def test_the_cause_is_told(tmp_path, monkeypatch, library, cause):
    (tmp_path / "xllamacpp.py").write_text(library)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    gguf = tmp_path / "model"
    gguf.touch()
    server = EmbeddedServer(EmbeddedSettings(gguf, "m"))
    with pytest.raises(DegradedError, match=f"did not start: {cause}"):
        await server.start()
    assert server.pid is None
