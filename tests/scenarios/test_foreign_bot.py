"""Our stages as ordinary processors: among a stranger's, and in a stranger's Pipecat bot."""

from pipecat.frames.frames import LLMTextFrame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from agent.processors.language import Language
from agent.processors.listening import Listening
from agent.processors.recognition import Recognition
from agent.processors.synthesis import Synthesis
from agent.processors.turn_taking import TurnTaking
from tests.scenarios.fakes import VOICE_RATE, ScriptedLanguage
from tests.scenarios.scripted import ScriptedCall


class Shout(FrameProcessor):
    """A stranger's processor."""

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            frame.text = frame.text.upper()
        await self.push_frame(frame, direction)


class StockVoice(TTSService):
    """A voice made the way Pipecat's own are: a second of sound for every sentence."""

    def __init__(self):
        super().__init__(
            sample_rate=VOICE_RATE,
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model="tone", voice="tone", language=None),
        )

    async def run_tts(self, text, context_id):
        sound = (b"\x00\x20" * 12 + b"\x00\xe0" * 12) * (VOICE_RATE // 24)
        yield TTSAudioRawFrame(sound, VOICE_RATE, 1, context_id=context_id)


def test_a_strangers_processor_stands_among_ours():
    def with_shout(stages):
        at = next(i for i, stage in enumerate(stages) if isinstance(stage, Synthesis))
        return [*stages[:at], Shout(), *stages[at:]]

    call = ScriptedCall(edit=with_shout)
    call.user_says("what is the capital of France?", 0.5, 2.0)
    call.agent_says("Paris.")
    assert call.run(6.0).history[-1] == {"role": "assistant", "content": "PARIS."}


def test_our_ears_and_turns_serve_a_stock_bot():
    ours = (Listening, Recognition, TurnTaking)

    def stock(stages):
        heads = [stage for stage in stages if isinstance(stage, ours)]
        source, sink = stages[0], stages[-3]
        user, assistant = stages[5], stages[-1]
        model = next(s for s in stages if isinstance(s, (ScriptedLanguage, Language)))
        return [source, *heads, user, model, StockVoice(), sink, assistant]

    call = ScriptedCall(edit=stock)
    call.user_says("what is the capital of France?", 0.5, 2.0)
    call.agent_says("Paris is the capital.")
    outcome = call.run(7.0)

    assert [message["content"] for message in outcome.history] == [
        "what is the capital of France?",
        "Paris is the capital.",
    ]
    ((begins, ends),) = outcome.agent_speaks_at()
    assert 2.0 < begins < 4.0 and ends - begins > 0.5
