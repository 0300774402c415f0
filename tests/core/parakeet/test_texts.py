"""Transcripts cut, stitched and written: pure functions over text."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.parakeet import formats
from agent.parakeet.checkpoints import Checkpoints
from agent.parakeet.engine import Options, Transcript, Word
from agent.parakeet.repetition import without_loops
from agent.parakeet.segments import Segment, cut, sentences, stitch
from agent.vad.silero import HOP
from tests.parakeet.server import tone


def spoken(text, confidence=0.9):
    words = tuple(
        Word(word, number * 8000, number * 8000 + 6000, confidence)
        for number, word in enumerate(text.split())
    )
    return Transcript(text, words, confidence, "en")


class TestRepetition:
    def test_a_word_two_hundred_times_is_said_once(self):
        looped, cut_words = without_loops(spoken("call" + " Zanzibar" * 200))
        assert looped.text == "call Zanzibar"
        assert [word.text for word in looped.words] == ["call", "Zanzibar"]
        assert cut_words == 199

    def test_a_phrase_and_what_follows_the_loop_stay(self):
        looped, cut_words = without_loops(
            spoken("so" + " thank you very much" * 9 + " goodbye now")
        )
        assert looped.text == "so thank you very much goodbye now"
        assert cut_words == 32

    @pytest.mark.parametrize(
        "text",
        [
            "no no no no I said the blue one",
            "zero zero zero zero seven seven zero zero",
            "one two three four five six seven eight nine ten eleven twelve thirteen",
            "",
        ],
    )
    def test_people_repeat_themselves(self, text):
        assert without_loops(spoken(text)) == (spoken(text), 0)

    def test_punctuation_and_case_do_not_hide_a_loop(self):
        looped, _ = without_loops(spoken("Okay. " + "okay, Okay. " * 20))
        assert looped.text == "Okay."

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=80))
    def test_words_stay_beside_their_text(self, words):
        found, cut_words = without_loops(spoken(" ".join(words)))
        assert found.text.split() == [word.text for word in found.words]
        assert len(found.words) == len(words) - cut_words


class TestSegments:
    def test_silence_has_none(self):
        assert cut([0.01] * 500, 500 * HOP) == []

    def test_a_short_recording_is_one_segment_with_margins(self):
        posterior = [0.0] * 30 + [0.9] * 60 + [0.0] * 30
        assert cut(posterior, 120 * HOP) == [Segment(25 * HOP, 95 * HOP)]

    def test_a_pause_ends_a_segment_once_it_is_long_enough(self):
        sentence, pause = [0.9] * 300, [0.0] * 20
        found = cut((sentence + pause) * 3, 960 * HOP)
        assert len(found) == 3

    def test_speech_without_a_pause_is_cut_where_it_is_weakest(self):
        posterior = [0.9] * 2000
        posterior[700] = 0.4
        first = cut(posterior, 2000 * HOP)[0]
        assert first.end_sample == 701 * HOP

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(st.integers(1, 400), st.sampled_from([0.0, 0.3, 0.5, 0.95]))))
    def test_segments_cover_all_speech_once_and_are_short_enough(self, runs):
        posterior = [value for count, value in runs for _ in range(count)]
        length = len(posterior) * HOP
        found = cut(posterior, length)
        covered = [0] * len(posterior)
        end = 0
        for segment in found:
            assert end <= segment.start_sample < segment.end_sample <= length
            assert segment.end_sample - segment.start_sample <= 24.5 * 16_000
            end = segment.end_sample
            for hop in range(segment.start_sample // HOP, segment.end_sample // HOP):
                covered[hop] += 1
        assert all(
            count == 1 for count, value in zip(covered, posterior, strict=True) if value >= 0.35
        )

    def test_stitching_moves_words_and_weighs_confidence(self):
        first, second = spoken("one two", 0.5), spoken("three", 1.0)
        whole = stitch(
            [
                (Segment(0, 16_000), first),
                (Segment(16_000, 20_000), Transcript("")),
                (Segment(32_000, 48_000), second),
            ]
        )
        assert whole.text == "one two three"
        assert whole.words[2].start_sample == 32_000
        assert whole.confidence == pytest.approx((7 * 0.5 + 5 * 1.0) / 12)

    def test_captions_end_with_sentences(self):
        groups = sentences(spoken("It rains. We stay inside.").words)
        assert [[word.text for word in group] for group in groups] == [
            ["It", "rains."],
            ["We", "stay", "inside."],
        ]


class TestFormats:
    def test_subtitles_count_hours(self):
        word = Word("late", 16_000 * 3_661, 16_000 * 3_661 + 8_000, 0.9)
        assert formats.srt_of([word]) == "1\n01:01:01,000 --> 01:01:01,500\nlate\n\n"
        assert formats.vtt_of([word]) == "WEBVTT\n\n01:01:01.000 --> 01:01:01.500\nlate\n\n"

    def test_nothing_said_is_written_too(self):
        empty = Transcript("")
        assert formats.srt_of(()) == ""
        assert formats.vtt_of(()) == "WEBVTT\n\n"
        assert formats.verbose_of(empty, 1.0, ("word", "segment"))["segments"] == []
        json.dumps(formats.json_of(empty, 1.0, logprobs=True))

    def test_granularities_are_what_was_asked(self):
        verbose = formats.verbose_of(spoken("a b"), 1.0, ("word",))
        assert "segments" not in verbose
        assert verbose["words"][1] == {"word": "b", "start": 0.5, "end": 0.875}

    def test_a_confidence_of_zero_has_a_logarithm(self):
        assert formats.logprobs_of(spoken("a", 0.0).words)[0]["logprob"] < -20


class TestCheckpoints:
    def test_what_was_added_is_done(self, tmp_path):
        store = Checkpoints(tmp_path)
        path = store.path(tone(0.1), Options(), "m")
        store.add(path, Segment(0, 5), spoken("one"))
        store.add(path, Segment(5, 9), spoken("two"))
        assert Checkpoints(tmp_path).done(path) == {
            Segment(0, 5): spoken("one"),
            Segment(5, 9): spoken("two"),
        }

    def test_a_line_cut_short_by_a_kill_does_not_count(self, tmp_path):
        store = Checkpoints(tmp_path)
        path = store.path(tone(0.1), Options(), "m")
        store.add(path, Segment(0, 5), spoken("one"))
        path.write_bytes(path.read_bytes() + b'\n{"segment": [5, 9], "resu')
        store.add(path, Segment(9, 12), spoken("three"))
        assert list(store.done(path)) == [Segment(0, 5), Segment(9, 12)]

    def test_audio_options_and_model_tell_recordings_apart(self, tmp_path):
        store = Checkpoints(tmp_path)
        paths = {
            store.path(tone(0.1), Options(), "m"),
            store.path(tone(0.1, seed=1), Options(), "m"),
            store.path(tone(0.1), Options("fr"), "m"),
            store.path(tone(0.1), Options(), "n"),
        }
        assert len(paths) == 4

    def test_old_files_go(self, tmp_path):
        store = Checkpoints(tmp_path)
        path = store.path(tone(0.1), Options(), "m")
        store.add(path, Segment(0, 5), spoken("one"))
        Checkpoints(tmp_path, keep_s=-1.0)
        assert not path.exists()
