"""The unmodified openai SDK and Pipecat's own OpenAI services, against a real server."""

import asyncio
import base64
import json

import numpy as np
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from agent.audio.resample import resample
from agent.parakeet.fake import transcript_of
from tests.parakeet.server import tone, wav
from tests.speech import dialogue, spoken


def client(server) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)


@pytest.fixture(scope="module")
def clip():
    return tone(3.1, seed=1)


@pytest.fixture(scope="module")
def text(clip):
    return transcript_of(clip).text


def test_json_has_the_text(plain, clip, text):
    answer = client(plain).audio.transcriptions.create(file=wav(clip), model="parakeet")
    assert answer.text == text
    assert answer.usage.seconds == 4


def test_text_is_the_text(plain, clip, text):
    answer = client(plain).audio.transcriptions.create(
        file=wav(clip), model="parakeet", response_format="text"
    )
    assert answer.strip() == text


def test_verbose_json_has_words_and_segments(plain, clip, text):
    answer = client(plain).audio.transcriptions.create(
        file=wav(clip),
        model="parakeet",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert [word.word for word in answer.words] == text.split()
    assert answer.words[1].start == 0.25
    assert answer.words[-1].end == 3.1
    assert " ".join(segment.text for segment in answer.segments) == text
    assert answer.duration == pytest.approx(3.1)
    assert answer.language == "english"


def test_subtitles_cover_the_words(plain, clip, text):
    create = client(plain).audio.transcriptions.create
    srt = create(file=wav(clip), model="parakeet", response_format="srt")
    assert srt.startswith("1\n00:00:00,000 --> 00:00:03,100\n" + text)
    vtt = create(file=wav(clip), model="parakeet", response_format="vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:03.100\n" + text)


def test_a_stream_tells_a_long_recording_by_segments(plain):
    recording = np.concatenate([tone(20, seed=2), tone(20, seed=3), tone(20, seed=4)])
    events = list(
        client(plain).audio.transcriptions.create(file=wav(recording), model="p", stream=True)
    )
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) >= 3
    assert events[-1].type == "transcript.text.done"
    assert "".join(deltas) == events[-1].text


def test_log_probabilities_are_the_words_confidence(plain, clip, text):
    answer = client(plain).audio.transcriptions.create(
        file=wav(clip), model="parakeet", include=["logprobs"]
    )
    assert [entry.token for entry in answer.logprobs] == text.split()
    assert answer.logprobs[0].logprob == pytest.approx(np.log(0.9))


def test_any_rate_and_channels_become_16k_mono(plain, clip):
    stereo = np.stack([resample(clip, 16_000, 44_100)] * 2, axis=1)
    answer = client(plain).audio.transcriptions.create(file=wav(stereo, 44_100), model="parakeet")
    assert len(answer.text.split()) == len(transcript_of(clip).words)


def test_what_is_no_sound_is_refused_without_a_retry(plain):
    with pytest.raises(openai.BadRequestError) as refused:
        client(plain).audio.transcriptions.create(
            file=("a.wav", b"not a sound", "audio/wav"), model="parakeet"
        )
    assert refused.value.code == "bad_input"
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_a_language_the_model_does_not_know_is_refused(plain, clip):
    with pytest.raises(openai.BadRequestError, match="no language"):
        client(plain).audio.transcriptions.create(file=wav(clip), model="p", language="tlh")


def test_models_are_listed(plain):
    assert [model.id for model in client(plain).models.list()] == ["fake"]


async def realtime(server, pcm, **audio_input):
    """Say `pcm` (16 kHz) over the SDK's own socket; returns the events up to the completed one."""
    sdk = AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any")
    events = []
    async with asyncio.timeout(30):
        query = {"intent": "transcription"}
        async with sdk.realtime.connect(extra_query=query) as socket:
            audio = {"input": {"transcription": {"model": "parakeet"}, **audio_input}}
            await socket.session.update(session={"type": "transcription", "audio": audio})
            at_24k = resample(pcm, 16_000, 24_000)
            for start in range(0, len(at_24k), 2400):
                chunk = at_24k[start : start + 2400].tobytes()
                await socket.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())
            if audio_input.get("turn_detection", "") is None:
                await socket.input_audio_buffer.commit()
            async for event in socket:
                events.append(event)
                if event.type.endswith("transcription.completed"):
                    return events
    return events


async def test_realtime_with_the_clients_own_commit(plain, clip):
    events = await realtime(plain, clip, turn_detection=None)
    kinds = [event.type for event in events]
    assert kinds[:2] == ["session.created", "session.updated"]
    assert kinds.count("input_audio_buffer.committed") == 1
    final = events[-1].transcript
    at_24k = resample(clip, 16_000, 24_000)
    assert final == transcript_of(resample(at_24k, 24_000, 16_000)).text
    assert "".join(event.delta for event in events if event.type.endswith(".delta")) == final
    assert {event.item_id for event in events if hasattr(event, "item_id")} == {events[-1].item_id}


@pytest.mark.parametrize("kind", ["guarded", "plain"])
async def test_realtime_finds_the_end_of_speech_itself(kind, request):
    """Without guards too: they are about what is decoded, not about whose turn it is."""
    server = request.getfixturevalue(kind)
    speech = dialogue(0.6, "What time does the last train leave tonight?", 1.2)
    events = await realtime(server, speech, turn_detection={"type": "server_vad"})
    kinds = [event.type for event in events]
    order = [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert [kind for kind in kinds if kind in order] == order
    started = next(event for event in events if event.type == order[0])
    # Speech begins at 0.6 s and a little, less the padding of 0.3 s.
    assert 300 <= started.audio_start_ms <= 1000
    assert events[-1].transcript


async def test_realtime_survives_what_it_does_not_understand(plain, clip):
    from websockets.asyncio.client import connect

    async with connect(f"{plain.ws_url}/v1/realtime?intent=transcription") as socket:
        assert json.loads(await socket.recv())["type"] == "session.created"
        for message in ("{", "[]", '{"type": "response.create"}', '{"type": 7}'):
            await socket.send(message)
            assert json.loads(await socket.recv())["type"] == "error"
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": "?"}))
        assert json.loads(await socket.recv())["error"]["param"] == "audio"
        await socket.send(json.dumps({"type": "input_audio_buffer.clear"}))
        assert json.loads(await socket.recv())["type"] == "input_audio_buffer.cleared"


async def test_pipecats_own_service_for_utterances(guarded):
    from pipecat.frames.frames import TranscriptionFrame
    from pipecat.services.openai.stt import OpenAISTTService

    service = OpenAISTTService(api_key="any", base_url=f"{guarded.url}/v1")
    sound = wav(spoken("Please send the invoice to my new address."))[1]
    frames = [frame async for frame in service.run_stt(sound)]
    assert [type(frame) for frame in frames] == [TranscriptionFrame]
    assert frames[0].text


async def test_pipecats_own_service_for_streams(guarded):
    from pipecat.frames.frames import (
        InputAudioRawFrame,
        TranscriptionFrame,
        VADUserStartedSpeakingFrame,
        VADUserStoppedSpeakingFrame,
    )
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineWorker
    from pipecat.processors.frame_processor import FrameProcessor
    from pipecat.services.openai.stt import OpenAIRealtimeSTTService
    from pipecat.workers.runner import WorkerRunner

    heard = []
    done = asyncio.Event()

    class Listener(FrameProcessor):
        async def process_frame(self, frame, direction):
            await super().process_frame(frame, direction)
            if isinstance(frame, TranscriptionFrame):
                heard.append(frame.text)
                done.set()
            await self.push_frame(frame, direction)

    service = OpenAIRealtimeSTTService(
        api_key="any", base_url=f"{guarded.ws_url}/v1/realtime", should_interrupt=False
    )
    connected = asyncio.Event()

    @service.event_handler("on_connected")
    async def on_connected(_service):
        connected.set()

    task = PipelineWorker(Pipeline([service, Listener()]))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(task)
    running = asyncio.create_task(runner.run())
    pcm = dialogue(0.3, "The appointment is on Thursday morning.", 0.3)
    async with asyncio.timeout(40):
        await connected.wait()
        await task.queue_frame(VADUserStartedSpeakingFrame())
        for start in range(0, len(pcm), 320):
            chunk = pcm[start : start + 320].tobytes()
            await task.queue_frame(InputAudioRawFrame(chunk, 16_000, 1))
        await task.queue_frame(VADUserStoppedSpeakingFrame())
        await done.wait()
        await task.cancel()
        await running
    assert len(heard) == 1
    assert heard[0]


def test_keys_open_the_doors(tmp_path):
    from tests.parakeet.server import AsrServer

    server = AsrServer("--no-guards", folder=tmp_path, env={"DUPLEX_ASR_KEYS": "one,two"})
    try:
        server.wait_ready()
        wrong = OpenAI(base_url=f"{server.url}/v1", api_key="three", max_retries=0)
        with pytest.raises(openai.AuthenticationError):
            wrong.audio.transcriptions.create(file=wav(tone(1)), model="p")
        right = OpenAI(base_url=f"{server.url}/v1", api_key="two", max_retries=0)
        assert right.audio.transcriptions.create(file=wav(tone(1)), model="p").text
        assert server.http.get("/metrics").status_code == 200
    finally:
        server.stop()
