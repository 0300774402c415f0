"""The edge recogniser with its real weights: texts, word times, and what is no speech."""

import json
import os
import re
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile
from num2words import num2words

from agent.asr.greedy import Stop
from agent.asr.moonshine import LEAST_SAMPLES, MOST_SAMPLES, Moonshine
from agent.audio.chunk import samples, to_float
from agent.errors import AudioFormatError, MissingModelError
from tests.models.recognisers import load
from tests.speech import dialogue, spoken

pytestmark = pytest.mark.model

DATA = Path(os.environ.get("DUPLEX_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
MODELS = ("moonshine-base-en", "moonshine-tiny-en")

SENTENCES = (
    "What time does the last train to the airport leave tonight?",
    "Please send the invoice to my new address in Manchester.",
    "No, I said the blue one, not the green one.",
    "Can you tell me how far it is from the station to the museum?",
    "It rained all night, so we stayed inside and played cards.",
)


@pytest.fixture(params=MODELS)
def model(request) -> Moonshine:
    return load(request.param)


def plain(text: str) -> str:
    text = re.sub(r"\d+", lambda digits: f" {num2words(digits[0])} ", text.lower())
    return " ".join(re.sub(r"[^a-z' ]", " ", text).split())


def test_sentences_are_recognised(model):
    heard = [plain(model.transcribe(to_float(spoken(text))).text) for text in SENTENCES]
    assert jiwer.wer([plain(text) for text in SENTENCES], heard) <= 0.05


def test_base_ends_questions_and_statements_with_their_marks():
    texts = [load(MODELS[0]).transcribe(to_float(spoken(text))).text for text in SENTENCES]
    marks = [text[-1] for text in texts]
    assert sum(mark == text[-1] for mark, text in zip(marks, SENTENCES, strict=True)) >= 4


def test_words_make_up_the_text_in_order(model):
    signal = to_float(spoken(SENTENCES[0]))
    transcript = model.transcribe(signal)
    assert transcript.text == " ".join(word.text for word in transcript.words)
    assert transcript.stop is Stop.END
    ends = [0]
    for word in transcript.words:
        assert ends[-1] <= word.start_sample < word.end_sample <= len(signal)
        assert 0.0 < word.confidence <= 1.0
        ends.append(word.end_sample)


def test_words_stand_where_they_are_spoken(model):
    """Words spoken one by one and joined have borders that are known."""
    names = ("breakfast", "telephone", "engineer", "garden", "computer")
    rng = np.random.default_rng(5)
    track, borders = [rng.normal(0, 4, samples(0.4))], []
    for name in names:
        clip = spoken(name).astype(np.float64)
        loud = np.flatnonzero(np.abs(clip) > 0.02 * np.abs(clip).max())
        clip = clip[loud[0] : loud[-1] + 1]
        start = sum(map(len, track))
        borders.append((start, start + len(clip)))
        track += [clip, rng.normal(0, 4, samples(0.15))]
    transcript = model.transcribe(to_float(np.concatenate(track).astype(np.int16)))
    assert [plain(word.text) for word in transcript.words] == list(names)
    found = np.array([(word.start_sample, word.end_sample) for word in transcript.words])
    errors_s = np.abs(found - np.array(borders)) / 16_000
    # Attention alone is good to 30 ms; with quiet around a word its borders are exact.
    assert np.median(errors_s) < 0.02
    assert errors_s.max() < 0.15


def test_a_draft_changes_no_word_right_or_wrong(model):
    signal = to_float(spoken(SENTENCES[1]))
    read = model.transcribe(signal)
    wrong = model.transcribe(to_float(spoken(SENTENCES[2]))).tokens
    half = (*read.tokens[: len(read.tokens) // 2], *wrong[:3])
    for draft in (read.tokens, read.tokens[:3], wrong, half, read.tokens * 9):
        assert plain(model.transcribe(signal, draft).text) == plain(read.text)


def test_forced_words_stand_in_front_and_the_rest_follows(model):
    signal = to_float(spoken("I would like to book a table for tomorrow evening."))
    read = model.transcribe(signal)
    forced = [token for word in read.word_tokens[:4] for token in word]
    again = model.transcribe(signal, forced, len(forced))
    assert plain(again.text) == plain(read.text)
    assert again.word_tokens[:4] == read.word_tokens[:4]


def test_confidence_falls_when_speech_drowns_in_noise(model):
    signal = to_float(spoken(SENTENCES[0]))
    noise = np.random.default_rng(1).normal(0, 0.1, len(signal)).astype(np.float32)
    assert model.transcribe(signal).confidence > model.transcribe(signal + noise).confidence + 0.1


@pytest.mark.parametrize("length", [0, 1, 799, LEAST_SAMPLES - 1])
def test_what_is_too_short_for_a_word_is_empty(model, length):
    transcript = model.transcribe(np.full(length, 0.1, np.float32))
    assert (transcript.text, transcript.words, transcript.stop) == ("", (), Stop.NO_SPEECH)
    assert transcript.confidence == 0.0


@pytest.mark.parametrize("level", [0.0, 0.9, -1.0])
def test_silence_is_empty_with_or_without_an_offset(model, level):
    signal = np.full(samples(2.0), level, np.float32)
    assert model.transcribe(signal).stop is Stop.NO_SPEECH


@pytest.mark.parametrize("fault", ["clipped", "offset", "faint", "nan", "infinite"])
def test_bad_levels_leave_the_sentence_recognisable(model, fault):
    signal = to_float(dialogue(0.3, SENTENCES[1], 0.3))
    signal = {
        "clipped": lambda: np.clip(signal * 30, -1, 1),
        "offset": lambda: signal * 0.5 + np.float32(0.4),
        "faint": lambda: signal * np.float32(0.02),
        "nan": lambda: np.where(np.arange(len(signal)) % 4000 == 0, np.float32(np.nan), signal),
        "infinite": lambda: np.where(np.arange(len(signal)) % 9000 == 0, np.float32("inf"), signal),
    }[fault]()
    heard = plain(model.transcribe(signal).text)
    assert jiwer.wer(plain(SENTENCES[1]), heard) <= 0.4


@pytest.mark.parametrize("kind", ["white", "clicks", "hum"])
def test_noise_makes_no_text_with_base_and_little_with_tiny(kind):
    """Tiny says "You" to noise: keeping noise from it is the voice activity model's work."""
    rng = np.random.default_rng(3)
    signal = {
        "white": rng.normal(0, 0.1, samples(3.0)),
        "clicks": np.where(rng.random(samples(3.0)) < 0.001, 0.5, 0.0),
        "hum": 0.1 * np.sin(2 * np.pi * 50 * np.arange(samples(3.0)) / 16_000),
    }[kind].astype(np.float32)
    assert load("moonshine-base-en").transcribe(signal).text == ""
    assert len(load("moonshine-tiny-en").transcribe(signal).words) <= 2


def test_speech_cut_off_anywhere_is_neither_empty_nor_said_twice():
    model = load("moonshine-base-en")
    signal = to_float(dialogue(*SENTENCES))
    whole = plain(model.transcribe(signal[: samples(9.0)]).text).split()
    for cut_s in np.arange(2.0, 9.0, 0.7):
        heard = plain(model.transcribe(signal[: samples(float(cut_s))]).text).split()
        assert heard, f"nothing heard of the first {cut_s:.1f} s"
        assert len(heard) <= len(whole) + 1


@pytest.mark.parametrize("number", ["three nine three, zero nine five", "two six", "zero two"])
def test_a_number_read_out_slowly_is_heard(number):
    """Base says of each that there is no speech, when asked for the first token alone."""
    said = load("moonshine-base-en").transcribe(to_float(dialogue(0.36, f"{number}.", 0.06))).text
    assert plain(re.sub(r"(\d)", r" \1 ", said)) == plain(number)


def test_audio_it_was_not_made_for_is_refused(model):
    for signal in (
        np.zeros(16_000, np.float64),
        np.zeros((2, 16_000), np.float32),
        np.zeros(MOST_SAMPLES + 1, np.float32),
    ):
        with pytest.raises(AudioFormatError):
            model.transcribe(signal)


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(MissingModelError, match=r"encoder\.onnx"):
        Moonshine(tmp_path)


def test_real_speakers_orders_are_heard():
    """Coffee orders by many people: what they ordered is in the text."""
    manifest = DATA / "commands" / "manifest.json"
    if not manifest.is_file():
        pytest.skip(f"no recordings at {manifest.parent}; set DUPLEX_DATA")
    model = load("moonshine-base-en")
    wanted = heard = 0
    for order in json.loads(manifest.read_text())[::18]:
        pcm, rate = soundfile.read(manifest.parent / order["file"], dtype="int16")
        assert rate == 16_000
        text = plain(model.transcribe(to_float(pcm)).text).replace(" ", "")
        for value in order["slots"].values():
            wanted += 1
            heard += plain(value).replace(" ", "") in text
    assert wanted >= 30
    # Spellings differ ("expresso", "a double shot"), so not every value is found word for word.
    assert heard / wanted >= 0.75
