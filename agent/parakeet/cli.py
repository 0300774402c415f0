"""``duplex asr-server``: serve, or one of its tools. Parsing only; running is elsewhere."""

import argparse
import sys
from collections.abc import Sequence

TOOLS = {
    "check": "what this machine has: environment, device, checkpoint",
    "accuracy": "one device or engine against another: equal texts, word error rate",
    "bench": "latency, real-time factor, batch sizes",
    "export-triton": "write a model repository for a Triton inference server",
}


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code.

    Raises:
        DuplexError: The message names the fix.
    """
    if arguments and arguments[0] in TOOLS:
        from agent.parakeet.tools.run import run

        return run(arguments[0], arguments[1:])
    from agent.parakeet import serve

    parser = argparse.ArgumentParser(
        prog="duplex asr-server",
        description="Serve recognition, or run a tool: "
        + "; ".join(f"'{name}': {text}" for name, text in TOOLS.items()),
    )
    serve.add_options(parser)
    return serve.run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
