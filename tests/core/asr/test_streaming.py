"""The streaming logic over a reader that reads exactly; the real one is in tests/models."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from agent.asr.greedy import Stop
from agent.asr.hypothesis import Word
from agent.asr.moonshine import Transcript
from agent.asr.streaming import StreamingMoonshine, StreamingSettings

RATE = 16_000
WORD = 6400
GAP = 1600
STEP = WORD + GAP


def speech(count: int, first: int = 0) -> np.ndarray:
    """`count` words of 0.4 s, each a square wave whose height is its number, and 0.1 s gaps."""
    pieces = []
    for number in range(first, first + count):
        wave = np.full(WORD, 100 * (number + 1), np.int16)
        wave[::2] *= -1
        pieces += [wave, np.zeros(GAP, np.int16)]
    return np.concatenate(pieces)


def silence(duration_s: float) -> np.ndarray:
    return np.zeros(round(duration_s * RATE), np.int16)


@dataclass
class ExactReader:
    """Reads the words of `speech` back, those in front of the window's as far as forced."""

    lengths: list[int] = field(default_factory=list)
    drafts: list[tuple[int, ...]] = field(default_factory=list)

    def transcribe(self, signal, draft=(), forced=0):
        self.lengths.append(len(signal))
        self.drafts.append(tuple(draft))
        heard = {}
        numbers = (np.abs(signal) * 32768).astype(np.int16) // 100 - 1
        sounding = np.flatnonzero(numbers >= 0)
        borders = np.flatnonzero(np.diff(numbers[sounding])) + 1
        for at in np.split(sounding, borders) if len(sounding) else ():
            number = int(numbers[at[0]])
            # A sliver of a word at the border of a window is not read as one.
            if len(at) > WORD // 4:
                heard[number] = (int(at[0]), int(at[-1]) + 1)
        known = [int(token) for token in draft[:forced]]
        fresh = [number for number in heard if not known or number > known[-1]]
        words = tuple(
            Word(f"w{number}", *heard.get(number, (0, 1)), 0.9) for number in [*known, *fresh]
        )
        tokens = tuple((number,) for number in [*known, *fresh])
        return Transcript(
            " ".join(word.text for word in words), words, tokens, (0.9,) * len(words), Stop.END
        )


def texts(count: int) -> list[str]:
    return [f"w{number}" for number in range(count)]


def feed(recogniser, pcm, chunk, is_speech=True):
    given = []
    for at in range(0, len(pcm), chunk):
        hypothesis = recogniser.push(pcm[at : at + chunk], is_speech)
        if hypothesis:
            given.append(hypothesis)
    return given


@pytest.mark.parametrize("chunk", [17, 512, 2399])
def test_results_do_not_depend_on_the_chunking(chunk):
    def run(chunk):
        reader = ExactReader()
        recogniser = StreamingMoonshine(reader)
        recogniser.start(3, 1000)
        feed(recogniser, silence(0.36), chunk, is_speech=False)
        partials = feed(recogniser, speech(50), chunk)
        feed(recogniser, silence(5.0), chunk, is_speech=False)
        feed(recogniser, speech(10, first=50), chunk)
        return reader.lengths, partials[-1], recogniser.finish()

    assert run(chunk) == run(480)


def test_chunks_of_one_sample():
    def run(chunk):
        recogniser = StreamingMoonshine(ExactReader())
        recogniser.start(3, 1000)
        return feed(recogniser, speech(3), chunk), recogniser.finish()

    assert run(1) == run(480)


@pytest.mark.parametrize("count", [3, 60, 300])
def test_a_backlog_is_read_seldom_and_gives_the_same_text(count):
    def run(chunk):
        reader = ExactReader()
        recogniser = StreamingMoonshine(reader)
        recogniser.start(3, 1000)
        feed(recogniser, speech(count), chunk)
        return recogniser.finish(), len(reader.lengths), max(reader.lengths)

    final, readings, longest = run(10**9)
    usual_final, usual_readings, usual_longest = run(480)
    assert final == usual_final
    assert readings <= usual_readings / 2
    assert longest <= usual_longest + 6400


def test_first_partial_and_updates_come_on_the_sample_clock():
    recogniser = StreamingMoonshine(ExactReader())
    recogniser.start(1, 500)
    ends = [hypothesis.end_sample - 500 for hypothesis in feed(recogniser, speech(6), 160)]
    assert ends[:4] == [3200, 5600, 8000, 11_200]
    assert set(np.diff(ends[3:])) == {5600}


def test_the_word_still_being_spoken_is_told_beside_the_text():
    recogniser = StreamingMoonshine(ExactReader())
    recogniser.start(1, 0)
    halves = [
        (hypothesis.text.split(), hypothesis.unfinished)
        for hypothesis in feed(recogniser, speech(6), 160)
    ]
    assert any(unfinished for _, unfinished in halves)
    for shown, unfinished in halves:
        assert unfinished is None or unfinished.text == f"w{len(shown)}"
    assert recogniser.settle().unfinished is None
    assert recogniser.finish().unfinished is None


def test_pre_roll_does_not_bring_the_first_partial_forward():
    reader = ExactReader()
    recogniser = StreamingMoonshine(reader)
    recogniser.start(1, 0)
    feed(recogniser, silence(0.36), 160, is_speech=False)
    assert reader.lengths == []
    first = feed(recogniser, speech(2), 160)[0]
    assert first.end_sample == 5760 + 3200


@pytest.mark.parametrize("count", [1, 10, 60, 300])
def test_no_word_is_lost_or_doubled_however_long_it_gets(count):
    reader = ExactReader()
    recogniser = StreamingMoonshine(reader)
    recogniser.start(1, 0)
    feed(recogniser, speech(count), 512)
    final = recogniser.finish()
    assert final.text.split() == texts(count)
    assert [word.start_sample for word in final.words] == [n * STEP for n in range(count)]


def test_the_open_window_stays_bounded():
    reader = ExactReader()
    settings = StreamingSettings()
    recogniser = StreamingMoonshine(reader, settings)
    recogniser.start(1, 0)
    feed(recogniser, speech(300), 512)
    assert max(reader.lengths) < (settings.window_s + 1.0) * RATE


def test_readings_that_never_agree_are_cut_all_the_same():
    class Fickle(ExactReader):
        def transcribe(self, signal, draft=(), forced=0):
            read = super().transcribe(signal, (), 0)
            changed = tuple(
                Word(f"{word.text}x{len(self.lengths)}", word.start_sample, word.end_sample, 0.5)
                for word in read.words
            )
            return Transcript("", changed, read.word_tokens, read.probabilities, Stop.END)

    reader, settings = Fickle(), StreamingSettings()
    recogniser = StreamingMoonshine(reader, settings)
    recogniser.start(1, 0)
    feed(recogniser, speech(200), 512)
    assert max(reader.lengths) < (settings.window_s * 1.5 + 1.0) * RATE


def test_ten_minutes_of_sound_without_words_stay_bounded():
    reader, settings = ExactReader(), StreamingSettings()
    recogniser = StreamingMoonshine(reader, settings)
    recogniser.start(1, 0)
    feed(recogniser, silence(600.0), 4801)
    assert max(reader.lengths) < (settings.window_s * 1.5 + 1.0) * RATE
    assert recogniser.finish().text == ""


def test_one_word_and_then_noise_keeps_the_word_and_stays_bounded():
    reader, settings = ExactReader(), StreamingSettings()
    recogniser = StreamingMoonshine(reader, settings)
    recogniser.start(1, 0)
    feed(recogniser, speech(1), 512)
    feed(recogniser, silence(60.0), 512)
    assert max(reader.lengths) < (settings.window_s * 1.5 + 1.0) * RATE
    assert recogniser.finish().text == "w0"


def test_an_earlier_text_is_the_next_ones_draft():
    reader = ExactReader()
    recogniser = StreamingMoonshine(reader)
    recogniser.start(1, 0)
    feed(recogniser, speech(4), 512)
    recogniser.finish()
    assert reader.drafts[0] == ()
    assert reader.drafts[-1] == (0, 1, 2, 3)


def test_settling_twice_reads_once_and_finishing_after_silence_reads_nothing():
    reader = ExactReader()
    recogniser = StreamingMoonshine(reader)
    recogniser.start(1, 0)
    feed(recogniser, speech(3), 512)
    feed(recogniser, silence(0.2), 512, is_speech=False)
    settled = recogniser.settle()
    read = len(reader.lengths)
    assert recogniser.settle() == settled
    feed(recogniser, silence(0.5), 512, is_speech=False)
    final = recogniser.finish()
    assert len(reader.lengths) == read
    assert (final.words, final.is_final, settled.is_final) == (settled.words, True, False)
    assert final.end_sample == settled.end_sample + RATE // 2


def test_speech_that_has_just_stopped_is_read_with_silence_behind_it():
    reader = ExactReader()
    recogniser = StreamingMoonshine(reader, StreamingSettings(settled_tail_s=0.1))
    recogniser.start(1, 0)
    pcm = speech(3)
    feed(recogniser, pcm, 512)
    settled = recogniser.settle()
    assert reader.lengths[-1] == len(pcm) + RATE // 10
    assert settled.end_sample == len(pcm)
    feed(recogniser, silence(0.064), 512, is_speech=False)
    read = len(reader.lengths)
    assert recogniser.settle().words == settled.words
    assert len(reader.lengths) == read


def test_speech_after_settling_is_read():
    recogniser = StreamingMoonshine(ExactReader())
    recogniser.start(1, 0)
    feed(recogniser, speech(2), 512)
    recogniser.settle()
    feed(recogniser, speech(1, first=2)[: WORD // 2], 512)
    assert recogniser.finish().text.split() == texts(3)


def test_a_long_pause_closes_the_text_before_it():
    reader = ExactReader()
    recogniser = StreamingMoonshine(reader)
    recogniser.start(1, 0)
    feed(recogniser, speech(3), 512)
    feed(recogniser, silence(600.0), 4801, is_speech=False)
    assert len(reader.lengths) < 10, "silence is not read over and over"
    assert recogniser.settle().text.split() == texts(3)
    feed(recogniser, speech(3, first=3), 512)
    final = recogniser.finish()
    assert final.text.split() == texts(6)
    assert final.words[3].start_sample == 3 * STEP + 600 * RATE
    assert reader.lengths[-1] < 3 * RATE


def test_an_utterance_without_audio_is_empty():
    recogniser = StreamingMoonshine(ExactReader())
    recogniser.start(9, 4000)
    final = recogniser.finish()
    assert (final.utterance_id, final.text, final.words) == (9, "", ())
    assert (final.start_sample, final.end_sample, final.is_final) == (4000, 4000, True)


def test_a_new_utterance_forgets_the_last():
    recogniser = StreamingMoonshine(ExactReader())
    recogniser.start(1, 0)
    feed(recogniser, speech(30), 512)
    recogniser.finish()
    recogniser.start(2, 10**6)
    feed(recogniser, speech(2, first=40), 512)
    final = recogniser.finish()
    assert (final.text, final.words[0].start_sample) == ("w40 w41", 10**6)
