"""Whether what was said is said to the agent. Pure."""

import re

FOLLOW_UP_S = 8.0
"""After the agent has answered, this long the caller need not name it again."""


class WakeWord:
    """Hears its name in the text of a turn. Pure.

    Args:
        word: One or more words, in any case.
        follow_up_s: See `FOLLOW_UP_S`.
    """

    def __init__(self, word: str, follow_up_s: float = FOLLOW_UP_S) -> None:
        spelled = r"\W+".join(re.escape(part) for part in word.split())
        self._name = re.compile(rf"\b{spelled}\b", re.IGNORECASE)
        self._follow_up_s = follow_up_s
        self._awake_until_s = float("-inf")

    def is_addressed(self, text: str, now_s: float, *, is_agent_speaking: bool = False) -> bool:
        """Return whether to answer. An answered turn keeps the agent awake a while.

        Args:
            text: What was said.
            now_s: On any clock that only goes forward.
            is_agent_speaking: An answer that is being given keeps it awake, too.
        """
        if not (self._name.search(text) or is_agent_speaking or now_s <= self._awake_until_s):
            return False
        self._awake_until_s = now_s + self._follow_up_s
        return True
