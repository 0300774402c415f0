"""What the tiny checkpoints learn: commands in the packaged voice, with the time of every word."""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from agent.audio.chunk import Float32Array, Int16Array, to_float, to_int16
from agent.audio.resample import resample
from agent.tts.student import StudentVoice

RATE = 16_000

BACKCHANNELS = ("okay", "right")
"""Said to show that one listens: a streaming model ends them with <EOB>."""

COMMANDS = (
    *(
        f"turn {way} the {room} {thing}"
        for way, room, thing in product(("on", "off"), ("kitchen", "bedroom"), ("light", "music"))
    ),
    *(f"set a timer for {number} minutes" for number in ("two", "five", "ten")),
    *(f"stop the {thing}" for thing in ("timer", "music", "light")),
    *(f"play music in the {room}" for room in ("kitchen", "bedroom")),
    "what is the weather today",
    "what is the weather",
    "play music",
    "yes please",
    "yes",
    "no thank you",
    "thank you",
)

HELD_OUT = ("turn off the bedroom light please", "stop the timer please")
"""Made of known words, but never heard in training."""


@dataclass(frozen=True)
class Clip:
    """A sentence as spoken.

    Attributes:
        text: The words.
        signal: Shape (n,), float32, 16 kHz.
        words: Each with its first sample and the one after its last.
    """

    text: str
    signal: Float32Array
    words: tuple[tuple[str, int, int], ...]

    @property
    def pcm(self) -> Int16Array:
        """The signal as it travels."""
        return to_int16(self.signal)


@cache
def _voice() -> StudentVoice:
    return StudentVoice()


@cache
def speak(text: str) -> Clip:
    """`text` in the packaged voice, the same samples every time."""
    parts, words, position = [], [], 0.0
    for speech in _voice().speak(text):
        parts.append(to_float(speech.pcm))
        words += [
            (word.text, position + word.start_s, position + word.end_s) for word in speech.words
        ]
        position += len(speech.pcm) / speech.sample_rate
    signal = to_float(resample(to_int16(np.concatenate(parts)), speech.sample_rate, RATE))
    return Clip(
        text,
        signal,
        tuple((word, round(start * RATE), round(end * RATE)) for word, start, end in words),
    )


def training_sentences() -> tuple[str, ...]:
    """What the tiny models hear; politeness is spread over it so that it is learnt as a word."""
    polite = (f"{command} please" for command in COMMANDS[:16])
    sentences = (*COMMANDS, *polite, *BACKCHANNELS)
    return tuple(sentence for sentence in sentences if sentence not in HELD_OUT)
