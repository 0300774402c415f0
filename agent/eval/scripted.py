"""Models that give the same answer every time, so that a test asks about the agent alone.

They stand in for ears, mind and voice on virtual time; `models` puts them together.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    Frame,
    FunctionCallFromLLM,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import LLMSettings

from agent.asr.hypothesis import Hypothesis, Word
from agent.audio.chunk import SAMPLE_RATE, Float32Array, Int16Array, samples
from agent.llm.fallback import Failure
from agent.processors.drafting import Drafting
from agent.processors.frames import LanguageFailureFrame
from agent.session import Models
from agent.tts.speech import Speech, SpokenWord
from agent.turns.policy import FusedPolicy

VOICE_RATE = 24_000

DEAD = "<dead>"
"""A line of the language model's: it cannot be reached."""

_PARTIAL_EVERY = samples(0.4)


@dataclass
class Calls:
    """A line of the language model's: these tools, with these arguments."""

    tools: dict[str, Any]


Line = str | Calls


class LoudnessPosterior:
    """In Silero's place: what is loud is speech."""

    rest_state = np.zeros((2, 1, 128), np.float32)

    def steps(
        self, windows: Float32Array, state: Float32Array
    ) -> tuple[Float32Array, Float32Array]:
        """Judge each hop."""
        is_loud = np.abs(windows).max(axis=1) > 0.05
        return np.where(is_loud, np.float32(0.99), np.float32(0.01)), state


class FixedProsody:
    """In Smart Turn's place: always the same score."""

    def __init__(self, probability: float) -> None:
        self._probability = probability

    def score(self, pcm: Int16Array) -> float:
        """Judge nothing."""
        return self._probability


class ScriptedRecogniser:
    """In Moonshine's place: knows beforehand which word is said when."""

    def __init__(self, words: Sequence[tuple[str, float, float]]) -> None:
        """Write down what is said.

        Args:
            words: Each with its first and last second on the media clock.
        """
        self._script = [Word(text, samples(start), samples(end), 0.9) for text, start, end in words]

    def start(self, utterance_id: int, start_sample: int) -> None:
        """Begin an utterance."""
        self._id, self._start, self._end = utterance_id, start_sample, start_sample
        self._last_partial = start_sample

    def push(self, pcm: Int16Array, is_speech: bool = True) -> Hypothesis | None:
        """Let time pass; now and then say what was heard."""
        self._end += len(pcm)
        if self._end - self._last_partial < _PARTIAL_EVERY:
            return None
        self._last_partial = self._end
        return self._hypothesis(is_final=False)

    def settle(self) -> Hypothesis:
        """Say everything that was heard."""
        return self._hypothesis(is_final=False)

    def finish(self) -> Hypothesis:
        """Say it for good."""
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
    """In the language model's place: says its lines in order, at a stated pace.

    A line is words, a call of tools, or `DEAD`.

    Attributes:
        asked: The messages of every request.
    """

    def __init__(
        self, lines: Sequence[Line], first_token_s: float = 0.1, token_s: float = 0.0
    ) -> None:
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
        self._first_token_s, self._token_s = first_token_s, token_s
        self._made = 0
        self.asked: list[list[dict[str, Any]]] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context with the next line."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        self.asked.append([dict(message) for message in frame.context.messages])  # type: ignore[arg-type]
        line = self._lines[0] if self._lines else ""
        if not isinstance(line, Calls):
            self._lines = self._lines[1:]
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            if line is DEAD:
                if await self.give_up_draft():
                    return
                await self.push_frame(LanguageFailureFrame(failure=Failure.UNREACHABLE))
                return
            await asyncio.sleep(self._first_token_s)
            if isinstance(line, Calls):
                await self._call(frame, line)
                return
            for token in line.split(" "):
                await self.push_frame(LLMTextFrame(f"{token} "))
                if self._token_s:
                    await asyncio.sleep(self._token_s)
        finally:
            await self.push_frame(LLMFullResponseEndFrame())

    async def _call(self, frame: LLMContextFrame, line: Calls) -> None:
        # A guess that is still open will be withdrawn, and the calls asked for again.
        if not self._speculation_gate.is_speculating:
            self._lines = self._lines[1:]
        calls = []
        for name, arguments in line.tools.items():
            self._made += 1
            calls.append(
                FunctionCallFromLLM(
                    context=frame.context,
                    tool_call_id=f"call-{self._made}",
                    function_name=name,
                    arguments=arguments,
                )
            )
        await self.run_function_calls(calls)


class SteadyVoice:
    """In Kokoro's place: every word takes the same time, and is heard as a tone."""

    name = "steady"
    sample_rate = VOICE_RATE

    def __init__(self, word_s: float = 0.4) -> None:
        self._word_s = word_s

    def speak(self, clause: str) -> Iterator[Speech]:
        """Speak one clause."""
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
    sound: Int16Array = (9000 * np.sin(2 * np.pi * 200 / SAMPLE_RATE * np.arange(count))).astype(
        np.int16
    )
    return sound


def unused_executor(name: str) -> Executor:
    """A pool that only has to exist: the virtual loop runs its work inline."""
    return ThreadPoolExecutor(1, name)


def models(
    language: Callable[[str], FrameProcessor],
    *,
    words: Sequence[tuple[str, float, float]] = (),
    prosody: float = 0.9,
    policy: Callable[[], Any] = FusedPolicy,
    **real: Any,
) -> Models:
    """Scripted ears and voice, and a language model.

    Args:
        language: Makes the language model's service, given the system prompt.
        words: What is heard, each word with its first and last second.
        prosody: How finished every pause sounds.
        policy: Makes the turn policy.
        real: Fields of `Models` to use in the scripted ones' place.
    """
    scripted: dict[str, Any] = {
        "silero": LoudnessPosterior(),
        "smart_turn": FixedProsody(prosody),
        "recogniser": lambda: ScriptedRecogniser(words),
        "policy": policy,
        "voice": SteadyVoice(),
        "language": language,
        "names": {},
        "executor": unused_executor,
    }
    return Models(**{**scripted, **real})
