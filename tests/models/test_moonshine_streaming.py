"""Streaming with real weights: nothing lost or doubled, the same for any chunking."""

import re
from itertools import pairwise

import jiwer
import numpy as np
import pytest

from agent.asr.streaming import StreamingMoonshine
from agent.audio.chunk import samples, to_float
from tests.models.recognisers import load
from tests.speech import dialogue, spoken

pytestmark = pytest.mark.model

STORY = (
    "The ship left the harbour on a cold morning in March.",
    "Nobody on board knew how long the journey would take.",
    "The captain had bought new maps, but two of them were wrong.",
    "After nine days they saw a small island with one white house.",
    "An old woman came down to the beach and waved at them.",
    "She gave them bread, fresh water, and a letter for her son.",
    "They promised to deliver it and sailed away before the storm.",
    "Many years later the letter was found inside a wooden box.",
)


def stream(pcm, chunk=512, name="moonshine-tiny-en", start_sample=0):
    recogniser = StreamingMoonshine(load(name))
    recogniser.start(1, start_sample)
    partials = []
    for at in range(0, len(pcm), chunk):
        hypothesis = recogniser.push(pcm[at : at + chunk])
        if hypothesis:
            partials.append(hypothesis)
    return partials, recogniser.finish()


def plain(text: str) -> str:
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


@pytest.mark.parametrize("chunk", [1, 17, 2399])
def test_any_chunking_gives_the_same_text_and_times(chunk):
    # Each shorter than the time between any two readings; what is longer is a backlog.
    pcm = dialogue(0.3, STORY[6])
    partials, final = stream(pcm, chunk)
    usual_partials, usual_final = stream(pcm)
    assert (final, partials) == (usual_final, usual_partials)


def test_all_at_once_gives_the_same_text():
    pcm = dialogue(*STORY[:6])
    assert plain(stream(pcm, 10**9)[1].text) == plain(stream(pcm)[1].text)


def test_partials_begin_early_and_come_often():
    pcm = spoken(STORY[0])
    onset = int(np.flatnonzero(np.abs(pcm) > 300)[0])
    partials, final = stream(pcm[onset:], 160)
    ends = [hypothesis.end_sample for hypothesis in partials]
    # What is left of the 700 ms and 500 ms is for the model to run.
    assert ends[0] <= samples(0.5)
    assert np.diff(ends).max() <= samples(0.45)
    assert all(not hypothesis.is_final for hypothesis in partials)
    assert final.is_final
    assert final.end_sample == len(pcm) - onset


def test_a_short_utterance_ends_as_the_batch_reads_it():
    for text in STORY[:3]:
        pcm = spoken(text)
        _, final = stream(pcm)
        batch = load("moonshine-tiny-en").transcribe(to_float(pcm)).text
        assert plain(final.text) == plain(batch)


@pytest.mark.parametrize(
    "name", ["moonshine-tiny-en", pytest.param("moonshine-base-en", marks=pytest.mark.slow)]
)
def test_long_speech_loses_and_doubles_nothing_where_it_is_cut(name):
    """Sentences joined without pauses: every cut falls into running speech."""
    pcm = dialogue(*STORY)
    assert len(pcm) > samples(25.0)
    _, final = stream(pcm, name=name)
    expected = plain(" ".join(STORY))
    errors = jiwer.process_words(expected, plain(final.text))
    sentences = [load(name).transcribe(to_float(spoken(text))).text for text in STORY]
    batch = jiwer.process_words([plain(t) for t in STORY], [plain(t) for t in sentences])
    # A cut that hurt would show as words missing or twice, in each of the four or more cuts.
    assert errors.insertions + errors.deletions <= batch.insertions + batch.deletions + 2
    assert errors.wer <= batch.wer + 0.03


def test_word_times_stay_on_the_media_clock_after_cuts():
    pcm = dialogue(*STORY[:4], 1.5, "Yesterday.")
    quiet_from = len(dialogue(*STORY[:4]))
    _, final = stream(pcm, start_sample=500_000)
    starts = [word.start_sample for word in final.words]
    assert starts == sorted(starts)
    assert plain(final.words[-1].text) == "yesterday"
    after_pause = quiet_from + samples(1.2)
    onset = after_pause + int(np.flatnonzero(np.abs(pcm[after_pause:]) > 300)[0])
    assert starts[-1] - 500_000 == pytest.approx(onset, abs=samples(0.1))
    assert final.words[-2].end_sample - 500_000 <= quiet_from + samples(0.15)


def test_shown_words_seldom_change():
    """Of the words shown, those that stand in the next partial too: nine of ten."""
    kept = shown = 0
    for text in STORY[:4]:
        partials, _ = stream(dialogue(0.2, text), name="moonshine-base-en")
        for before, after in pairwise(partials):
            old, new = plain(before.text).split(), plain(after.text).split()
            shown += len(old)
            kept += sum(a == b for a, b in zip(old, new, strict=False))
    assert kept / shown >= 0.9


def test_silence_after_the_settled_text_leaves_it_as_it_is():
    recogniser = StreamingMoonshine(load("moonshine-tiny-en"))
    recogniser.start(1, 0)
    recogniser.push(spoken(STORY[1]))
    settled = recogniser.settle()
    recogniser.push(np.zeros(samples(20.0), np.int16), is_speech=False)
    final = recogniser.finish()
    assert final.words == settled.words
    assert settled.text[-1] in ".?!"


@pytest.mark.slow
def test_ten_minutes_stay_affordable_and_complete():
    story = dialogue(*STORY)
    rounds = samples(600.0) // len(story) + 1
    pcm = np.tile(story, rounds)
    _, final = stream(pcm, chunk=4801)
    expected = plain(" ".join(STORY * rounds))
    assert jiwer.wer(expected, plain(final.text)) <= 0.1
