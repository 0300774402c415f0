"""Always listening, answers only to its name: say "hey duplex, what time is it?".

python pipelines/always_listening.py
"""

import datetime

from agent import Agent, serve

agent = Agent("You are Duplex, an assistant in the living room. You only speak when spoken to.")


@agent.tool
def time_of_day() -> str:
    """Tell what time it is."""
    return f"{datetime.datetime.now():%H:%M}"


settings = {"turns": {"wake_phrases": ["hey duplex"], "wake_required": True}}

if __name__ == "__main__":
    serve(agent, settings=settings)
