"""What is asked of the model beside the messages. Pure."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next word is chosen.

    Attributes:
        temperature: 0.3 keeps a small model on the subject; at 0 it gave the question back in four
            of sixteen answers.
        top_p: Cuts the tail, where a small model's odd words come from.
        max_tokens: 96 are about 35 s of speech. Rarely reached; it ends the loops that a small
            model can fall into. A repetition penalty would prevent them, but the answers were no
            better for it and some far longer.
    """

    temperature: float = 0.3
    top_p: float = 0.9
    max_tokens: int = 96


def embedded_extra(slot: int | None) -> dict[str, Any]:
    """Return the fields only the embedded server knows, for an OpenAI client's `extra_body`.

    Args:
        slot: The session's, from `SlotPool.take`.
    """
    extra: dict[str, Any] = {"cache_prompt": True}
    if slot is not None:
        extra["id_slot"] = slot
    return extra
