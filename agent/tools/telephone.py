"""Tools for agents on the telephone: numbers, keys, transfer and hanging up.

In a YAML file: ``tools: ["agent.tools.telephone:collect_number"]``.
"""

from typing import Any

from agent.agent import tool
from agent.conversation import Conversation
from agent.errors import DuplexError


@tool(timeout_s=180)
async def collect_number(talk: Conversation[Any], question: str, digits: int, name: str) -> str:
    """Let the caller enter a number by the telephone's keys or by saying it.

    Use it for every card number, PIN and account number. You are not shown the number.

    Args:
        talk: This conversation.
        question: Asked aloud, such as "Please enter or say your card number."
        digits: How many digits it has.
        name: What the number is, in one word, such as card.
    """
    entered = await talk.collect_digits(question, digits)
    if entered is None:
        return "the caller did not enter it"
    talk.numbers[name] = entered
    return f"the caller entered {len(entered)} digits"


@tool
async def press_keys(talk: Conversation[Any], keys: str) -> str:
    """Press keys of the telephone, as a menu on the other side asks for.

    Args:
        talk: This conversation.
        keys: Of 0 to 9, * and #.
    """
    try:
        await talk.press(keys)
    except (DuplexError, ValueError) as error:
        return str(error)
    return "pressed"


@tool(timeout_s=90)
async def transfer_call(talk: Conversation[Any], to: str, briefing: str = "") -> str:
    """Connect the caller with somebody else.

    Args:
        talk: This conversation.
        to: The number or address.
        briefing: What the person there is told before they take the call, in one sentence; empty
            to connect at once.
    """
    try:
        await talk.transfer(to, briefing=briefing)
    except DuplexError as error:
        return f"not connected: {error}"
    return "connected"


@tool
async def hang_up(talk: Conversation[Any], goodbye: str) -> str:
    """End the call.

    Args:
        talk: This conversation.
        goodbye: Said first.
    """
    await talk.end(goodbye)
    return "the call ends"
