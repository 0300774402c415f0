"""The embedded language model's process: llama.cpp behind an OpenAI-compatible HTTP server.

Started by `agent.llm.embedded`, never by hand. A process of its own, because a crash in native
code then costs one answer instead of every call, and because loading a model holds the
interpreter's lock for seconds.

It reports once, as one line of JSON on standard output (its address, or why it has none), and
lives until its standard input closes. The parent never writes there: the pipe closes by itself
however the parent ends.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time

import xllamacpp

_LARGEST_STEP_TOKENS = 32
"""Tokens computed in one go. While one session's prompt is read in, the others get one token per
step: on two cores 32 keep that wait near 0.23 s, where the stock 2048 make it 1.5 s for a prompt
of 260 tokens. Reading in takes the same time with either."""

_ERRORS_ONLY = 1


def main(argv: list[str] | None = None) -> None:
    """Serve until standard input closes."""
    arguments = _parser().parse_args(argv)
    report = _claim_stdout()
    # Ctrl+C reaches the whole terminal; the parent lets what is being said end, then stops us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Before loading, so that a parent that dies meanwhile is noticed as soon as it is done.
    threading.Thread(target=_exit_with_parent, daemon=True).start()

    began = time.monotonic()
    try:
        server = xllamacpp.Server(_parameters(arguments))
    except RuntimeError as error:
        # Not on standard error: a thread of llama.cpp still writes there why, and would be torn.
        _tell(report, {"error": str(error)})
        sys.exit(1)
    _tell(report, {"url": server.listening_address, "load_s": round(time.monotonic() - began, 3)})
    threading.Event().wait()


def _tell(report: int, what: dict[str, str | float]) -> None:
    os.write(report, json.dumps(what).encode() + b"\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m agent.llm.child", description=__doc__)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--name", required=True, help="what /v1/models calls it")
    parser.add_argument("--port", type=int, default=0, help="0: the system chooses")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--context-tokens", type=int, required=True, help="of each slot")
    parser.add_argument("--prompt-cache-mib", type=int, required=True)
    return parser


def _parameters(arguments: argparse.Namespace) -> xllamacpp.CommonParams:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = arguments.gguf
    parameters.model_alias = {arguments.name}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = arguments.port
    parameters.n_parallel = arguments.slots
    parameters.n_ctx = arguments.context_tokens * arguments.slots
    parameters.n_batch = _LARGEST_STEP_TOKENS
    parameters.n_ubatch = _LARGEST_STEP_TOKENS
    parameters.cpuparams.n_threads = arguments.threads
    parameters.cpuparams_batch.n_threads = arguments.threads
    # The stock limit is 8 GiB: a long-lived process would grow by every conversation it had.
    parameters.cache_ram_mib = arguments.prompt_cache_mib
    parameters.use_jinja = True
    parameters.ui = False
    parameters.verbosity = _ERRORS_ONLY
    return parameters


def _claim_stdout() -> int:
    """Keep standard output for the report; whatever native code prints goes to standard error."""
    report = os.dup(1)
    os.dup2(2, 1)
    return report


def _exit_with_parent() -> None:
    try:
        while os.read(0, 64):
            pass
    finally:
        # Not sys.exit: native threads have no reason to be waited for.
        os._exit(0)


if __name__ == "__main__":
    main()
