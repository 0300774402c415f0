"""Models that give the same answer every time, for scenarios on virtual time.

Each stands beside a test of the real one in tests/models.
"""

import asyncio
from collections.abc import Iterator

import numpy as np
from pipecat.frames.frames import (
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.services.settings import LLMSettings

from agent.asr.hypothesis import Hypothesis, Word
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.llm.fallback import Failure
from agent.processors.drafting import Drafting
from agent.processors.frames import LanguageFailureFrame
from agent.tts.speech import Speech, SpokenWord

VOICE_RATE = 24_000

DEAD = "<dead>"
"""A line of the language model's: it cannot be reached."""


class LoudnessPosterior:
    """In Silero's place: what is loud is speech."""

    def step(self, window, state):
        return (0.99 if np.abs(window).max() > 0.05 else 0.01), state


class FixedProsody:
    """In Smart Turn's place: always the same score."""

    def __init__(self, probability: float) -> None:
        self._probability = probability

    def score(self, pcm: Int16Array) -> float:
        return self._probability


class ScriptedRecogniser:
    """In Moonshine's place: knows beforehand which word is said when."""

    def __init__(self, words: list[tuple[str, float, float]]) -> None:
        self._script = [Word(text, samples(start), samples(end), 0.9) for text, start, end in words]

    def start(self, utterance_id: int, start_sample: int) -> None:
        self._id, self._start, self._end = utterance_id, start_sample, start_sample
        self._last_partial = start_sample

    def push(self, pcm: Int16Array, is_speech: bool = True) -> Hypothesis | None:
        self._end += len(pcm)
        if self._end - self._last_partial < samples(0.4):
            return None
        self._last_partial = self._end
        return self._hypothesis(is_final=False)

    def settle(self) -> Hypothesis:
        return self._hypothesis(is_final=False)

    def finish(self) -> Hypothesis:
        return self._hypothesis(is_final=True)

    def _hypothesis(self, *, is_final: bool) -> Hypothesis:
        words = tuple(
            word
            for word in self._script
            if word.start_sample >= self._start and word.end_sample <= self._end
        )
        text = " ".join(word.text for word in words)
        return Hypothesis(self._id, text, words, is_final, self._start, self._end)


class ScriptedLanguage(Drafting):
    """In the language model's place: says its lines in order, at a stated pace."""

    def __init__(self, lines: list[str], first_token_s: float = 0.1) -> None:
        super().__init__(
            settings=LLMSettings(
                model="scripted",
                system_instruction=None,
                temperature=None,
                max_tokens=None,
                top_p=None,
                top_k=None,
                frequency_penalty=None,
                presence_penalty=None,
                seed=None,
                filter_incomplete_user_turns=False,
                user_turn_completion_config=None,
            )
        )
        self._lines = list(lines)
        self._first_token_s = first_token_s
        self.asked: list[list[dict]] = []

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        self.asked.append([dict(message) for message in frame.context.messages])
        line = self._lines.pop(0) if self._lines else ""
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            if line is DEAD:
                if await self.give_up_draft():
                    return
                await self.push_frame(LanguageFailureFrame(failure=Failure.UNREACHABLE))
                return
            await asyncio.sleep(self._first_token_s)
            for token in line.split(" "):
                await self.push_frame(LLMTextFrame(f"{token} "))
        finally:
            await self.push_frame(LLMFullResponseEndFrame())


class SteadyVoice:
    """In Kokoro's place: every word takes the same time, and is heard as a tone."""

    name = "steady"
    sample_rate = VOICE_RATE

    def __init__(self, word_s: float = 0.4) -> None:
        self._word_s = word_s

    def speak(self, clause: str) -> Iterator[Speech]:
        words = clause.split()
        count = round(len(words) * self._word_s * VOICE_RATE)
        tone = 8000 * np.sin(2 * np.pi * 440 / VOICE_RATE * np.arange(count))
        spoken = tuple(
            SpokenWord(word, i * self._word_s, (i + 1) * self._word_s)
            for i, word in enumerate(words)
        )
        yield Speech(tone.astype(np.int16), VOICE_RATE, spoken)


def speech_like(duration_s: float) -> Int16Array:
    """Loud sound, which `LoudnessPosterior` takes for speech; 16 kHz."""
    count = samples(duration_s)
    return (9000 * np.sin(2 * np.pi * 200 / SAMPLE_RATE * np.arange(count))).astype(np.int16)
