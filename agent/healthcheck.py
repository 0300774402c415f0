"""Whether the server of these settings takes calls: exit code 0 if it does. For containers."""

import ssl
import sys
import urllib.request

from agent.settings import load


def main() -> int:
    """Ask `/readyz` on this machine."""
    server = load().server
    scheme = "https" if server.certificate else "http"
    # The certificate names the outside; this asks about the inside.
    context = ssl._create_unverified_context() if server.certificate else None
    try:
        url = f"{scheme}://127.0.0.1:{server.port}/readyz"
        with urllib.request.urlopen(url, timeout=3, context=context) as response:
            return 0 if response.status == 200 else 1
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
