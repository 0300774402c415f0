"""What the agent's last words lead the user to say. Pure."""

import re

from agent.turns.ending import Context
from agent.turns.events import Expectation
from agent.vad.readings import Profile

_DICTATED = re.compile(
    r"\b(numbers?|digits?|address|e-?mail|spell|spelling|postcode|zip|code|card|account|iban|"
    r"dictate|describe|story|tell me (more|all|everything|what happened))\b",
    re.IGNORECASE,
)
"""What people say in groups, with pauses between them."""


def expected(agent_text: str, said_by_app: Expectation | None) -> Context:
    """What the user's next turn is expected to be.

    Args:
        agent_text: What the agent was last heard to say.
        said_by_app: What a tool, a flow or the developer says of it, which counts for more.
    """
    profile = said_by_app.profile if said_by_app else None
    return Context(
        profile=Profile(profile) if profile else _profile(agent_text),
        agent_text=agent_text,
        digits=said_by_app.digits if said_by_app else None,
    )


def _profile(agent_text: str) -> Profile:
    last = re.split(r"(?<=[.!?])\s+", agent_text.strip())[-1]
    return Profile.CONTINUOUS if _DICTATED.search(last) else Profile.SHORT
