"""A real MCP server, for tests: run, on standard input and output; imported, an app for HTTP."""

import os
import sys

from mcp.server import MCPServer

server = MCPServer("shop")
sold: list[str] = []


@server.tool()
def price(article: str, count: int = 1) -> str:
    """What an article costs.

    Args:
        article: Its name.
        count: How many.
    """
    return f"{count * 3} euros"


@server.tool()
def sell(article: str) -> str:
    """Sell an article."""
    sold.append(article)
    return f"sold {', '.join(sold)} {os.environ.get('SHOP', '')}".strip()


@server.tool()
def burn_down() -> str:
    """Let the shop burn down."""
    sys.stdin.close()
    os._exit(1)


if __name__ == "__main__":
    server.run()
