"""The contract suite on our adapters and on a stranger's; and that it finds what is broken."""

import asyncio
import threading
from functools import cache

import numpy as np
import pytest
from pipecat.services.openai.llm import OpenAILLMService

from agent.asr.biased import BiasedMoonshine
from agent.asr.cloud.client import CloudSettings
from agent.asr.cloud.cloud import client_for
from agent.asr.hypothesis import Hypothesis
from agent.asr.moonshine import Moonshine
from agent.asr.streaming import StreamingMoonshine
from agent.audio.chunk import to_float
from agent.audio.resample import resample
from agent.eval.contract import LanguageContract, RecogniserContract, VoiceContract
from agent.eval.remote import RemoteRecogniser
from agent.eval.scripted import ScriptedLanguage, SteadyVoice
from agent.llm.embedded import EmbeddedServer, EmbeddedSettings
from agent.llm.endpoint import Endpoint
from agent.llm.fallback import FallbackSettings
from agent.llm.request import LanguageRequest
from agent.llm.sampling import embedded_extra
from agent.llm.weights import find
from agent.models.store import locate
from agent.parakeet.fake import words_of
from agent.parts import named_voice
from agent.processors.language import Language
from agent.tts.speech import Speech
from agent.tts.tier import open_voice
from tests.live import LiveServer
from tests.wiring.asr_server import AsrServer
from tests.wiring.listening_app import served
from tests.wiring.test_agent_api import Scripted

pytestmark = pytest.mark.model

NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture(scope="module")
def moonshine():
    return Moonshine(locate("moonshine-base-en"))


class TestMoonshine(RecogniserContract):
    @pytest.fixture(autouse=True)
    def _model(self, moonshine):
        self.model = moonshine

    def make(self):
        return StreamingMoonshine(self.model)


class TestMoonshineWithHints(TestMoonshine):
    def make(self):
        return StreamingMoonshine(BiasedMoonshine(self.model, ("Friday",)))


class TestAStrangersRecogniser(TestMoonshine):
    """Reads an utterance once, when it is over; knows no times of words."""

    def make(self):
        return Whole(self.model)


class Whole:
    def __init__(self, model):
        self._model = model

    def start(self, utterance_id, start_sample):
        self._id, self._start, self._pcm = utterance_id, start_sample, []

    def push(self, pcm, is_speech=True):
        self._pcm.append(pcm)

    def settle(self):
        pcm = np.concatenate(self._pcm)
        text = self._model.transcribe(to_float(pcm)).text
        return Hypothesis(self._id, text, (), False, self._start, self._start + len(pcm))

    def finish(self):
        told = self.settle()
        return Hypothesis(told.utterance_id, told.text, (), True, *self._span(told))

    def _span(self, told):
        return told.start_sample, told.end_sample


class _OnAnotherMachine(RecogniserContract):
    """Our clients of recognisers elsewhere, each over a real socket to a real server."""

    @pytest.fixture(autouse=True)
    def _opened(self):
        self.open = []
        yield
        for recogniser in self.open:
            recogniser.close()

    def make(self):
        self.open.append(RemoteRecogniser(client_for(CloudSettings(self.url))))
        return self.open[-1]


class _AtOurService(_OnAnotherMachine):
    # Its engine spells the checksum of what it heard: a sample lost or doubled changes every word.
    most_wrong = 0.0

    @pytest.fixture(autouse=True)
    def _server(self, asr_server):
        self.url = self.address(asr_server)

    def expected(self, sentence, pcm):
        return " ".join(word.text for word in words_of(pcm))


class TestOurServiceOverItsSocket(_AtOurService):
    def address(self, server):
        return server.url


class TestOurServiceOverOpenAIsRealtime(_AtOurService):
    def address(self, server):
        return f"{server.url}/v1/realtime"

    def expected(self, sentence, pcm):
        # The protocol's only rate is 24 kHz.
        return super().expected(sentence, resample(resample(pcm, 16_000, 24_000), 24_000, 16_000))


class TestOurServiceOverOpenAIsTranscriptions(_AtOurService):
    def address(self, server):
        return server.url.replace("ws", "http", 1) + "/v1"


class TestAnAgentsTranscriptions(_OnAnotherMachine):
    @pytest.fixture(autouse=True)
    def _server(self, agent_server):
        self.url = f"{agent_server.url}v1"


@pytest.fixture(scope="module")
def asr_server():
    # What is cut off a silent tail would not be in the checksum.
    server = AsrServer("--no-guards")
    server.start()
    asyncio.run(server.wait_ready())
    yield server
    server.kill()


@pytest.fixture(scope="module")
def agent_server():
    """Our own server, whose ears and voice others may use."""
    server = LiveServer("tests/wiring/realtime_agent.py", NOWHERE)
    server.wait_ready()
    yield server
    server.stop()


class TestAVoiceOnAnotherMachine(VoiceContract):
    @pytest.fixture(autouse=True)
    def _server(self, agent_server):
        self.url = f"{agent_server.url}v1"

    def make(self):
        return named_voice(f"openai:{self.url}#duplex:alloy")


class TestTheStudentsVoice(VoiceContract):
    def make(self):
        return open_voice("student")


class TestTheFullVoice(VoiceContract):
    # It is slow: short words will do.
    clauses = ("Certainly.", "No.")

    def make(self):
        return _full()


@cache
def _full():
    return open_voice("full")


class TestAScriptedVoice(VoiceContract):
    def make(self):
        return SteadyVoice()


class _OverHttp(LanguageContract):
    @pytest.fixture(autouse=True)
    async def _server(self):
        server = Scripted({"content": "Paris "}, {"content": "it is."})
        async with served(server.app) as url:
            self.url = f"{url}/v1"
            yield


class TestOurService(_OverHttp):
    def make(self, system_prompt):
        return _language(self.url, system_prompt)

    def make_broken(self):
        return _language(NOWHERE, "")


class TestPipecatsService(_OverHttp):
    def make(self, system_prompt):
        return OpenAILLMService(api_key="none", base_url=self.url)

    def make_broken(self):
        return OpenAILLMService(api_key="none", base_url=NOWHERE)


@pytest.fixture(scope="module")
def embedded():
    """The address of the embedded model's server, which outlives the event loop of a test."""
    model = find("qwen2.5-coder-0.5b")
    server = EmbeddedServer(EmbeddedSettings(model.gguf, model.name, slots=1, context_tokens=1024))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield asyncio.run_coroutine_threadsafe(server.start(), loop).result()
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class TestTheEmbeddedModel(LanguageContract):
    @pytest.fixture(autouse=True)
    def _server(self, embedded):
        self.url = embedded

    def make(self, system_prompt):
        request = LanguageRequest(
            Endpoint(self.url, "embedded", "none"),
            sampling={"max_tokens": 24},
            extra_body=embedded_extra(0),
            is_embedded=True,
        )
        return Language(request, system_prompt, FallbackSettings())


class TestTheScriptedModel(LanguageContract):
    def make(self, system_prompt):
        return ScriptedLanguage(["Paris it is."] * 3)


def _language(url, prompt):
    request = LanguageRequest(Endpoint(url, "m", "none"), sampling={}, extra_body={})
    return Language(request, prompt, FallbackSettings())


class Broken(SteadyVoice):
    """Forgets its last word, and counts from elsewhere."""

    def speak(self, clause):
        for speech in super().speak(clause):
            yield Speech(speech.pcm.astype(np.int32), 16_000, speech.words[:-1])


class Mumbling(RecogniserContract):
    def make(self):
        return Deaf()


class Deaf(Whole):
    def __init__(self):
        pass

    def settle(self):
        return Hypothesis(0, "hello", (), True, 0, 0)


def _fails(contract):
    """Names of the promises that are not kept."""
    failed = set()
    for name in dir(contract):
        if name.startswith("test_"):
            try:
                getattr(contract, name)()
            except AssertionError:
                failed.add(name)
    return failed


def test_a_broken_voice_is_found_out():
    contract = VoiceContract()
    contract.make = Broken
    assert _fails(contract) >= {
        "test_it_gives_mono_sound_at_its_own_rate",
        "test_the_words_give_the_clause_back",
    }


def test_a_broken_recogniser_is_found_out():
    assert _fails(Mumbling()) >= {
        "test_the_final_says_what_was_said",
        "test_only_the_last_hypothesis_is_final",
        "test_silence_has_no_words",
        "test_words_stand_where_they_were_said",
    }
