"""An agent for the telephone: calls over SIP, without a provider. See docs/phone.md for providers.

python pipelines/phone.py, then call sip:duplex@127.0.0.1:5060
"""

from agent import Agent, Conversation, serve

agent = Agent(
    "You answer the telephone of a small hotel. Breakfast is from seven to ten.",
    greeting="Hotel Linden, good day. How can I help?",
)


@agent.tool
async def hang_up(call: Conversation) -> None:
    """End the call, once the caller has said goodbye."""
    await call.end("Goodbye.")


if __name__ == "__main__":
    serve(agent, settings={"sip": {"enabled": True}})
