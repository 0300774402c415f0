"""What the language model is told of a turn while it is being said."""

import asyncio

from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.tests.utils import SleepFrame, run_test

from agent.agent import Agent
from agent.conversation import Conversation
from agent.flow import End, Flow
from agent.llm.endpoint import Endpoint
from agent.llm.fallback import FallbackSettings
from agent.llm.request import LanguageRequest
from agent.processors.frames import ReadAheadFrame, WordingFrame
from agent.processors.language import Language
from agent.values import Digits
from agent.virtual_time import VirtualLoop
from tests.scenarios.fakes import ScriptedLanguage
from tests.scenarios.scripted import ScriptedCall


class Reader(ScriptedLanguage):
    """Keeps what it was given to read ahead, and says how likely it is to be all."""

    def __init__(self, lines, chance=None):
        super().__init__(lines)
        self.read = []
        self._chance = chance

    async def process_frame(self, frame, direction):
        if isinstance(frame, ReadAheadFrame):
            self.read.append([message["content"] for message in frame.context.messages])
            if self._chance is not None:
                wording = WordingFrame(text=self.read[-1][-1], probability=self._chance)
                await self.push_frame(wording, FrameDirection.UPSTREAM)
        await super().process_frame(frame, direction)


def call(reader, **options):
    return ScriptedCall(ears={"language": lambda _prompt: reader}, **options)


def test_the_conversation_and_the_words_so_far_are_read_while_they_are_said():
    reader = Reader(["Paris it is.", "Rome."])
    scripted = call(reader)
    scripted.user_says("what is the capital of France?", start_s=0.5, end_s=2.0)
    scripted.user_says("and what is the capital of Italy then?", start_s=6.0, end_s=8.0)
    scripted.run(12.0)

    first = [read for read in reader.read if len(read) == 1]
    second = [read for read in reader.read if len(read) > 1]
    assert first and second
    for (words,) in first:
        assert "what is the capital of France?".startswith(words)
    for *before, words in second:
        assert before == ["what is the capital of France?", "Paris it is."]
        assert "and what is the capital of Italy then?".startswith(words)
    # Nothing was asked for it, and nothing of it is remembered.
    assert [asked[-1]["content"] for asked in reader.asked] == [
        "what is the capital of France?",
        "and what is the capital of Italy then?",
    ]


def test_what_is_said_over_the_agent_is_not_read():
    reader = Reader(["Saturn is the sixth planet from the sun and it has rings."])
    scripted = call(reader)
    scripted.user_says("tell me about Saturn.", start_s=0.5, end_s=2.0)
    scripted.user_says("mhm.", start_s=4.0, end_s=4.4)
    scripted.run(10.0)
    assert all("mhm" not in read[-1] for read in reader.read)


def test_an_answer_that_a_flow_waits_for_is_not_the_models_to_read():
    flow, heard = Flow(), []

    @flow.step
    async def pin(here: Conversation) -> End:
        heard.append(await here.collect("Your pin?", Digits(4)))
        return End("Thanks.")

    reader = Reader([])
    scripted = call(reader, agent=Agent("desk", flow=flow))
    scripted.user_says("one two three four.", start_s=2.0, end_s=3.2)
    scripted.run(10.0, greet=True)
    assert heard == ["1234"]
    assert reader.read == []


def test_what_the_model_makes_of_the_words_decides_when_they_are_answered():
    def answered_at_s(chance):
        scripted = call(Reader(["It is blue."], chance), prosody=0.5)
        scripted.user_says("and the colour of the sky", start_s=0.5, end_s=2.0)
        outcome = scripted.run(8.0)
        (turn,) = outcome.turns[1:]
        return turn.decision["silence_s"], turn.decision["language"]

    (likely_s, likely), (unlikely_s, unlikely) = answered_at_s(0.95), answered_at_s(0.02)
    assert likely > 0.0 > unlikely
    assert likely_s < answered_at_s(None)[0] < unlikely_s


def test_all_that_was_said_is_read_also_where_it_is_known_only_in_the_silence():
    reader = Reader(["Blue."])
    scripted = call(reader)
    scripted.user_says("what colour is the sky?", start_s=0.5, end_s=2.0)
    scripted.run(6.0)
    assert reader.read[-1] == ["what colour is the sky"]
    # Each text once.
    assert len({tuple(read) for read in reader.read}) == len(reader.read)


def test_it_reads_on_once_it_has_read_what_it_was_given_before():
    asked = []

    async def read_ahead(messages, tools):
        asked.append([message["content"] for message in messages])
        await asyncio.sleep(1.0)
        return 0.25

    def said(text):
        return ReadAheadFrame(context=LLMContext(messages=[{"role": "user", "content": text}]))

    async def converse(virtual):
        with virtual():
            endpoint = Endpoint(base_url="http://127.0.0.1:1/v1", model="small", key="none")
            request = LanguageRequest(endpoint, {}, {}, read_ahead=read_ahead)
            language = Language(request, "Be kind.", FallbackSettings())
            words = [said("what"), SleepFrame(0.1), said("what is"), said("what is the")]
            return await run_test(language, frames_to_send=[*words, SleepFrame(2.5)])

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        passed, told = runner.run(converse(runner.get_loop().virtual))
    # What came while it read: the latest counts.
    assert asked == [["Be kind.", "what"], ["Be kind.", "what is the"]]
    assert not any(isinstance(frame, ReadAheadFrame) for frame in passed)
    wordings = [frame for frame in told if isinstance(frame, WordingFrame)]
    assert [(one.text, one.probability) for one in wordings] == [
        ("what", 0.25),
        ("what is the", 0.25),
    ]
