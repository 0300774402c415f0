"""A talking agent whose mind is elsewhere: started by the tests of clients with its address."""

import os
import sys

from agent import Agent, serve

# A filler, on a busy machine, would be one answer more than the tests count.
os.environ["DUPLEX_LLM__FIRST_TOKEN_S"] = "60"

agent = Agent("You are a shop's assistant.", greeting="Hello, this is the shop.")


@agent.tool
async def opening_hours(day: str) -> str:
    """When the shop is open on a day."""
    return f"on {day} from nine to five"


serve(
    agent,
    port=0,
    llm=f"openai:{sys.argv[1]}/v1#scripted",
    asr="moonshine:base",
    tts="kokoro-student",
)
