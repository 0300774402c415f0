"""What a recogniser, a voice and a language model promise; the same for ours and for yours.

Derive a test class, say how yours is made, and pytest runs every promise:

    class TestMine(VoiceContract):
        def make(self):
            return MyVoice()
"""

import asyncio
import threading
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from agent.asr.hypothesis import Hypothesis, Recogniser
from agent.audio.chunk import Int16Array, samples
from agent.eval.scenario import CallerPart, Line
from agent.eval.score import words
from agent.eval.speaking import speaker
from agent.processors.frames import LanguageFailureFrame
from agent.tts.speech import Speech, Voice
from agent.turns.sounds import distance

_OF_AN_ANSWER = (LLMFullResponseStartFrame, LLMTextFrame, LLMFullResponseEndFrame)
"""Others pass as well: metrics, settings."""

_SENTENCE = "I would like to book a table for four people on Friday."
_OTHER = "What is the capital of France?"


@lru_cache(maxsize=8)
def _recorded(text: str) -> Int16Array:
    """A sentence in the packaged voice, with the silence that speech has around it."""
    pcm = speaker(CallerPart())(Line(say=text)).pcm
    quiet = np.random.default_rng(1).normal(0, 4, samples(0.4)).astype(np.int16)
    return np.concatenate([quiet, pcm, quiet])


class RecogniserContract:
    """What every `Recogniser` promises.

    Attributes:
        most_wrong: Word error rate that is forgiven on a clear sentence.
    """

    most_wrong = 0.2

    def expected(self, sentence: str, pcm: Int16Array) -> str:
        """Return what is to be understood of a sentence; its words, unless yours hears otherwise.

        Args:
            sentence: What was said.
            pcm: How it sounds, shape (n,), int16, 16 kHz.
        """
        return sentence

    def make(self) -> Recogniser:
        """Make yours."""
        raise NotImplementedError

    def test_the_final_says_what_was_said(self) -> None:
        """It understands a clear sentence."""
        pcm = _recorded(_SENTENCE)
        told = words(_heard(self.make(), pcm)[-1].text)
        expected = words(self.expected(_SENTENCE, pcm))
        assert distance(expected, told) / len(expected) <= self.most_wrong, told

    def test_only_the_last_hypothesis_is_final(self) -> None:
        """Each utterance has exactly one final, and every hypothesis names its utterance."""
        heard = _heard(self.make(), _recorded(_SENTENCE), utterance_id=7)
        assert [one.is_final for one in heard] == [False] * (len(heard) - 1) + [True]
        assert {one.utterance_id for one in heard} == {7}

    def test_words_stand_where_they_were_said(self) -> None:
        """Words come in order, inside the utterance, on the media clock."""
        start = 160_000
        pcm = _recorded(_SENTENCE)
        final = _heard(self.make(), pcm, start_sample=start)[-1]
        assert (final.start_sample, final.end_sample) == (start, start + len(pcm))
        starts = [word.start_sample for word in final.words]
        assert starts == sorted(starts)
        for word in final.words:
            assert start <= word.start_sample <= word.end_sample <= start + len(pcm), word
            assert 0.0 <= word.confidence <= 1.0, word

    def test_the_text_does_not_depend_on_the_chunks(self) -> None:
        """Packets of 10, 32 and 200 ms give the same final."""
        texts = {
            _heard(self.make(), _recorded(_SENTENCE), chunk=chunk)[-1].text
            for chunk in (160, 512, 3200)
        }
        assert len(texts) == 1, texts

    def test_silence_has_no_words(self) -> None:
        """Nothing is made up."""
        quiet = np.random.default_rng(2).normal(0, 4, samples(1.5)).astype(np.int16)
        assert words(_heard(self.make(), quiet)[-1].text) == []

    def test_one_recogniser_takes_one_utterance_after_the_other(self) -> None:
        """What was heard before, finished or dropped, leaves no trace."""
        recogniser = self.make()
        _heard(recogniser, _recorded(_SENTENCE), utterance_id=1)
        recogniser.start(2, 0)  # Never finished: it was noise.
        recogniser.push(_recorded(_SENTENCE)[: samples(1.0)])
        again = _heard(recogniser, _recorded(_OTHER), utterance_id=3)[-1]
        assert again.text == _heard(self.make(), _recorded(_OTHER), utterance_id=3)[-1].text

    def test_finishing_what_was_settled_changes_nothing(self) -> None:
        """So an answer may be begun on the settled text."""
        recogniser = self.make()
        recogniser.start(1, 0)
        recogniser.push(_recorded(_SENTENCE))
        settled = recogniser.settle()
        assert not settled.is_final
        assert recogniser.finish().text == settled.text


def _heard(
    recogniser: Recogniser,
    pcm: Int16Array,
    *,
    utterance_id: int = 1,
    start_sample: int = 0,
    chunk: int = 512,
) -> list[Hypothesis]:
    recogniser.start(utterance_id, start_sample)
    heard = [
        recogniser.push(pcm[start : start + chunk], True) for start in range(0, len(pcm), chunk)
    ]
    return [*(one for one in heard if one), recogniser.finish()]


class VoiceContract:
    """What every `Voice` promises.

    Attributes:
        clauses: What it is asked to say.
    """

    clauses: Sequence[str] = ("Certainly, I can help you with that.", "No.", "It costs $3.50!")

    def make(self) -> Voice:
        """Make yours."""
        raise NotImplementedError

    def test_it_gives_mono_sound_at_its_own_rate(self) -> None:
        """Samples are int16, one channel, at the rate it says."""
        voice = self.make()
        assert voice.name and voice.sample_rate >= 8_000
        for clause in self.clauses:
            stretches = list(voice.speak(clause))
            assert sum(len(speech.pcm) for speech in stretches) > 0, clause
            for speech in stretches:
                assert speech.pcm.dtype == np.int16 and speech.pcm.ndim == 1
                assert speech.sample_rate == voice.sample_rate

    def test_the_words_give_the_clause_back(self) -> None:
        """The agent remembers what was heard by these words."""
        for clause in self.clauses:
            spoken = [word.text for speech in self.make().speak(clause) for word in speech.words]
            assert " ".join(spoken) == " ".join(clause.split())

    def test_words_sound_in_order_within_the_sound(self) -> None:
        """A word begins in its stretch and ends before the clause does."""
        for clause in self.clauses:
            stretches = list(self.make().speak(clause))
            length_s = sum(_length_s(speech) for speech in stretches)
            begun_s, before_s = 0.0, 0.0
            for speech in stretches:
                for word in speech.words:
                    assert 0.0 <= word.start_s <= _length_s(speech) + 0.01, word
                    assert word.end_s > word.start_s, word
                    assert begun_s + word.start_s >= before_s - 0.01, word
                    assert begun_s + word.end_s <= length_s + 0.05, word
                    before_s = begun_s + word.start_s
                begun_s += _length_s(speech)

    def test_it_can_be_heard_and_does_not_clip(self) -> None:
        """Neither silence nor distortion."""
        for clause in self.clauses:
            pcm = np.concatenate([speech.pcm for speech in self.make().speak(clause)])
            loud = np.abs(pcm.astype(np.int32))
            assert loud.max() > 1000, clause
            assert (loud >= 32_767).mean() < 0.001, clause

    def test_what_cannot_be_said_is_no_error(self) -> None:
        """Language models write such things."""
        voice = self.make()
        for clause in ("", " ", "...", "—", "🙂"):
            list(voice.speak(clause))

    def test_several_sessions_may_use_it_at_once(self) -> None:
        """One voice is shared: nobody hears another's words."""
        voice = self.make()
        alone = [_text(voice, clause) for clause in self.clauses]
        found: list[str] = [""] * len(self.clauses)

        def speak(number: int) -> None:
            found[number] = _text(voice, self.clauses[number])

        threads = [threading.Thread(target=speak, args=(n,)) for n in range(len(self.clauses))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == alone

    def test_what_is_broken_off_is_no_harm(self) -> None:
        """A caller interrupts: the rest of the clause is never asked for."""
        voice = self.make()
        next(iter(voice.speak(self.clauses[0])))
        assert _text(voice, self.clauses[1]) == " ".join(self.clauses[1].split())


def _length_s(speech: Speech) -> float:
    return len(speech.pcm) / speech.sample_rate


def _text(voice: Voice, clause: str) -> str:
    return " ".join(word.text for speech in voice.speak(clause) for word in speech.words)


class LanguageContract:
    """What every language model's service promises, in a pipeline.

    Attributes:
        within_s: An answer must be over by then.
        question: What it is asked.
    """

    within_s = 60.0
    question = "What is the capital of France?"

    def make(self, system_prompt: str) -> FrameProcessor:
        """Make yours, for one conversation."""
        raise NotImplementedError

    def make_broken(self) -> FrameProcessor | None:
        """Make one whose server is not there; None skips what is promised of it."""
        return None

    async def test_an_answer_has_a_beginning_words_and_an_end(self) -> None:
        """In this order, once each."""
        async with _Asked(self.make("Be brief."), self.within_s) as asked:
            answer = await asked.answer(self.question)
        told = [frame for frame in answer if isinstance(frame, _OF_AN_ANSWER)]
        assert isinstance(told[0], LLMFullResponseStartFrame)
        assert isinstance(told[-1], LLMFullResponseEndFrame)
        assert [type(frame) for frame in told].count(LLMFullResponseStartFrame) == 1
        assert _words(answer).strip()

    async def test_each_question_has_its_own_answer(self) -> None:
        """One after the other."""
        async with _Asked(self.make("Be brief."), self.within_s) as asked:
            first, second = await asked.answer(self.question), await asked.answer(self.question)
        assert _words(first).strip() and _words(second).strip()

    async def test_an_interrupted_answer_stops_and_the_next_is_whole(self) -> None:
        """Nothing of what was interrupted comes later."""
        async with _Asked(self.make("Be brief."), self.within_s) as asked:
            await asked.begin(self.question)
            await asked.interrupt()
            answer = await asked.answer(self.question)
        starts = [frame for frame in answer if isinstance(frame, LLMFullResponseStartFrame)]
        assert len(starts) == 1 and isinstance(answer[-1], LLMFullResponseEndFrame)

    async def test_a_server_that_is_not_there_is_told(self) -> None:
        """Silence would be taken for a lost call."""
        broken = self.make_broken()
        if broken is None:
            return
        async with _Asked(broken, self.within_s) as asked:
            answer = await asked.answer(self.question)
            told = [*answer, *asked.errors]
        assert any(isinstance(frame, (LanguageFailureFrame, ErrorFrame)) for frame in told)


class _Asked:
    """A service in a pipeline of its own."""

    def __init__(self, service: FrameProcessor, within_s: float) -> None:
        self._seen = _Seen()
        self._errors = _Errors()
        self._worker = PipelineWorker(
            Pipeline([self._errors, service, self._seen]),
            enable_rtvi=False,
            idle_timeout_secs=None,
            cancel_on_idle_timeout=False,
        )
        self._within_s = within_s

    @property
    def errors(self) -> list[Frame]:
        """What went upstream as an error."""
        return self._errors.frames

    async def __aenter__(self) -> "_Asked":
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)
        self._task = asyncio.create_task(runner.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._worker.queue_frame(EndFrame())
        done, _ = await asyncio.wait({self._task}, timeout=10.0)
        if not done:
            await self._worker.cancel()
            await asyncio.wait({self._task}, timeout=10.0)

    async def begin(self, question: str) -> None:
        """Ask, and wait until the answer has begun."""
        await self._ask(question)
        await self._until(LLMFullResponseStartFrame)

    async def interrupt(self) -> None:
        """Break the answer off."""
        await self._worker.queue_frame(InterruptionFrame())
        await self._until(InterruptionFrame)
        self._seen.frames.clear()

    async def answer(self, question: str) -> list[Frame]:
        """Ask, and return everything up to the answer's end."""
        self._seen.frames.clear()
        await self._ask(question)
        return await self._until(LLMFullResponseEndFrame)

    async def _ask(self, question: str) -> None:
        context = LLMContext(messages=[{"role": "user", "content": question}])
        await self._worker.queue_frame(LLMContextFrame(context=context))

    async def _until(self, kind: type[Frame]) -> list[Frame]:
        async with asyncio.timeout(self._within_s):
            while not any(isinstance(frame, kind) for frame in self._seen.frames):
                self._seen.came.clear()
                await self._seen.came.wait()
        return list(self._seen.frames)


class _Seen(FrameProcessor):
    """Keeps what comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.came = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            self.frames.append(frame)
            self.came.set()
        await self.push_frame(frame, direction)


class _Errors(FrameProcessor):
    """Keeps what goes wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, ErrorFrame):
            self.frames.append(frame)
        await self.push_frame(frame, direction)


def _words(frames: list[Frame]) -> str:
    return "".join(frame.text for frame in frames if isinstance(frame, LLMTextFrame))
