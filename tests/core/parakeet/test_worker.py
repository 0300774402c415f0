"""The owner of an engine: messages in, calls and answers out; without a process."""

import queue

import numpy as np
import pytest

from agent.errors import SettingsError
from agent.parakeet import wire
from agent.parakeet.engine import (
    Batch,
    DeviceLostError,
    Failure,
    FailureKind,
    Options,
    OutOfMemoryError,
    Push,
    Transcript,
    Utterance,
)
from agent.parakeet.fake import BLOCK, open_engine, transcript_of, words_of
from agent.parakeet.worker import Message, Owner, recognise
from tests.parakeet.server import tone


def fake(**settings):
    engine = open_engine(settings)
    engine.load()
    return engine


def utterances(count):
    return [Utterance(tone(0.5, seed=number)) for number in range(count)]


class Small:
    """An engine with room for so many at once, which breaks at one utterance."""

    def __init__(self, room=100, broken=None, lost=False):
        self.room, self.broken, self.lost = room, broken, lost
        self.calls = []

    def transcribe(self, batch):
        self.calls.append(len(batch))
        if self.lost:
            raise DeviceLostError("gone")
        if len(batch) > self.room:
            raise OutOfMemoryError("no room")
        if any(one.pcm is self.broken for one in batch):
            raise ValueError("broken")
        return Batch([transcript_of(one.pcm) for one in batch], {"decode": 1.0})


def test_what_has_no_room_is_halved():
    engine, batch = Small(room=3), utterances(8)
    done = recognise(engine, batch)
    assert done.results == [transcript_of(one.pcm) for one in batch]
    assert engine.calls == [8, 4, 2, 2, 4, 2, 2]
    assert done.out_of_memory == 3
    assert done.stages_s == {"decode": 4.0}


def test_what_has_no_room_alone_is_too_long():
    (result,) = recognise(Small(room=0), utterances(1)).results
    assert isinstance(result, Failure)
    assert result.kind is FailureKind.TOO_LONG


def test_what_breaks_the_engine_breaks_alone():
    batch = utterances(4)
    done = recognise(Small(broken=batch[2].pcm), batch)
    assert [isinstance(result, Transcript) for result in done.results] == [True, True, False, True]


def test_a_lost_device_is_not_asked_again():
    engine = Small(lost=True)
    with pytest.raises(DeviceLostError):
        recognise(engine, utterances(4))
    assert engine.calls == [4]


def push(stream, pcm, is_last=False):
    return Message({"do": "push", "stream": stream, "is_last": is_last}, pcm.tobytes())


def opened(stream):
    return Message({"do": "open", "stream": stream, "options": wire.options_to(Options())}, b"")


def test_streams_step_together_and_before_batches():
    told = []
    owner = Owner(fake(), told.append)
    first, second = tone(0.5, seed=1), tone(0.5, seed=2)
    utterance = tone(1, seed=3)
    items = [{"item": 5, "options": wire.options_to(Options())}]
    owner.turn(
        [
            Message({"do": "hold", "item": 4}, first.tobytes()),
            Message({"do": "hold", "item": 5}, utterance.tobytes()),
            Message({"do": "forget", "item": 4}, b""),
            Message({"do": "transcribe", "id": 9, "items": items}, b""),
            opened(1),
            opened(2),
            push(1, first[:BLOCK]),
            push(2, second),
            push(1, first[BLOCK:], is_last=True),
        ]
    )
    assert [(one["is"], one.get("stream")) for one in told] == [
        ("pushed", 1),
        ("pushed", 2),
        ("batch", None),
    ]
    assert told[0]["count"] == 2
    final = wire.update_from(told[0]["update"])
    assert (final.is_final, final.transcript) == (True, transcript_of(first))
    assert wire.result_from(told[2]["results"][0]) == transcript_of(utterance)


def test_streams_step_between_two_batches():
    told = []
    inbox = queue.SimpleQueue()
    for item in (4, 5):
        items = [{"item": item, "options": wire.options_to(Options())}]
        inbox.put(Message({"do": "hold", "item": item}, tone(1, seed=item).tobytes()))
        inbox.put(Message({"do": "transcribe", "id": item, "items": items}, b""))
    inbox.put(opened(1))

    def tell(header):
        told.append(header)
        # While the first batch ran, somebody spoke; after the second, the front goes.
        if header.get("id") == 4:
            inbox.put(push(1, tone(0.5)))
        if header.get("id") == 5:
            inbox.put(None)

    Owner(fake(), tell).run(inbox)
    assert [one.get("id", "stream") for one in told] == [4, "stream", 5]


def test_a_full_engine_says_so_and_an_abort_makes_room():
    told = []
    owner = Owner(fake(slots=1), told.append)
    owner.turn([opened(1), opened(2)])
    assert told[0]["stream"] == 2
    assert told[0]["update"]["failure"] == "internal"
    owner.turn([Message({"do": "abort", "stream": 1}, b""), opened(3), push(3, tone(0.5))])
    assert [one["stream"] for one in told] == [2, 3]
    assert "transcript" in told[1]["update"]


def test_a_step_that_breaks_costs_its_streams_alone():
    class Breaks:
        def __init__(self):
            self.aborted = []

        def open(self, stream, options):
            pass

        def push(self, pushes):
            raise ValueError("broken")

        def abort(self, stream):
            self.aborted.append(stream)

    told = []
    engine = Breaks()
    Owner(engine, told.append).turn([opened(1), push(1, tone(0.5))])
    assert told[0]["update"]["failure"] == "internal"
    assert engine.aborted == [1]


class TestFake:
    def test_a_lost_sample_changes_every_word_after_it(self):
        pcm = tone(2, seed=4)
        whole = [word.text for word in words_of(pcm)]
        cut = [word.text for word in words_of(np.delete(pcm, 10_000))]
        assert whole[:2] == cut[:2]
        assert all(one != other for one, other in zip(whole[2:], cut[2:], strict=False))

    @pytest.mark.parametrize("step", [1000, 4000, 4801, 32_000])
    def test_streamed_in_any_chunks_it_hears_the_same(self, step):
        pcm = tone(2, seed=5)
        engine = fake()
        engine.open(1, Options())
        for start in range(0, len(pcm), step):
            engine.push([Push(1, pcm[start : start + step])])
        (final,) = engine.push([Push(1, np.zeros(0, np.int16), is_last=True)])
        assert final.transcript == transcript_of(pcm)

    def test_silence_says_nothing(self):
        assert transcript_of(np.zeros(16_000, np.int16)).text == ""

    def test_unknown_settings_are_refused(self):
        with pytest.raises(SettingsError, match="no_such"):
            open_engine({"no_such": 1})
