"""What is said when the voice itself fails: spoken while it was well, and kept. Pure."""

from dataclasses import dataclass

from agent.tts.speech import Speech, Voice

LATE = "One moment, please."
FAILED = "Sorry, I can't speak right now. Please ask me again."


@dataclass(frozen=True, slots=True)
class Spare:
    """Speech that needs no voice any more.

    Attributes:
        late: While the voice takes long.
        failed: When it gives nothing.
    """

    late: tuple[Speech, ...] = ()
    failed: tuple[Speech, ...] = ()


def spare(voice: Voice) -> Spare:
    """Speak both with `voice`; takes as long as it takes."""
    return Spare(tuple(voice.speak(LATE)), tuple(voice.speak(FAILED)))
