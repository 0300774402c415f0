"""The words the model is given about speaking, and about being interrupted. Pure."""

_SPEECH_RULES = (
    "You talk by voice. Reply in one short, plain sentence, two at most. "
    "Never use lists, symbols or digits; write numbers as words. "
    "You can only talk: you have no internet and cannot book, order, call, send or look up "
    "anything. If asked for that, say you can't do that. "
    'If you are not sure of a fact, say "I don\'t know".'
)

_TOOL_RULES = (
    "You talk by voice. Reply in one short, plain sentence, two at most. "
    "Never use lists, symbols or digits; write numbers as words. "
    "Apart from your tools you can only talk. "
    'If you are not sure of a fact, say "I don\'t know".'
)

INTERRUPTED_NOTE = "The user cut you off there and did not hear the rest."


def system_prompt(instructions: str, has_tools: bool = False) -> str:
    """Compose the system prompt.

    The wording is for the smallest model, which takes every sentence literally; larger ones lose
    nothing by it. Examples of answers were tried and left out: a small model then gives them as
    its own answers to questions they do not fit.

    Nothing in it may change during a session (no clock, no mood of the caller): every token from
    the first changed one on is read in again, at about 6 ms each on two cores.

    Args:
        instructions: The developer's: who the agent is and what it knows.
        has_tools: Whether the agent can do anything but talk.

    Returns:
        The instructions, then the rules for speech.
    """
    rules = _TOOL_RULES if has_tools else _SPEECH_RULES
    return f"{instructions.strip()}\n{rules}".strip()
