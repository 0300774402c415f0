"""Opens the voices' ONNX graphs."""

from pathlib import Path

import onnxruntime as ort

from agent.errors import MissingModelError


def open_graph(graph: Path | bytes, threads: int = 1) -> ort.InferenceSession:
    """Load a graph for the CPU.

    Args:
        graph: The ONNX file, or what would be in it.
        threads: For one run. Two are slower than one for graphs as small as the student's.

    Raises:
        MissingModelError: The file is absent or is no graph.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # A thread that spins while it waits takes its core from the recogniser.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except RuntimeError as error:
        name = graph if isinstance(graph, Path) else "a graph in memory"
        raise MissingModelError(
            f"{name} cannot be opened as a voice ({error}); run: duplex doctor"
        ) from error
