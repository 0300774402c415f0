"""A talking agent with a tool, as a developer would write it. Started by test_agent_api."""

import sys
from pathlib import Path

from agent import Agent, serve

agent = Agent("You are a restaurant receptionist.", greeting="Hello, how can I help?")


@agent.tool(filler="One moment.")
async def book_table(day: str, guests: int) -> str:
    """Book a table at the restaurant.

    Args:
        day: Weekday.
        guests: How many people.
    """
    Path(sys.argv[1]).write_text(f"{day} {guests}", encoding="utf-8")
    return "table seven is booked"


serve(agent, port=0, llm="embedded", asr="moonshine:base")
