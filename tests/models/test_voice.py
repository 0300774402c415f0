"""Both tiers of the voice: heard by a recogniser, timed against the sound, never at a loss."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soxr
from anyascii import anyascii

from agent.asr.moonshine import Moonshine
from agent.audio.chunk import Int16Array, to_float
from agent.models import store
from agent.models.description import Role
from agent.tts.clauses import ClauseSplitter
from agent.tts.phonemes import shared_phonemiser
from agent.tts.speech import Speech, SpokenWord, Voice
from agent.tts.tier import open_voice

pytestmark = pytest.mark.model

SENTENCES = [
    "I can certainly help you with that booking for Friday afternoon.",
    "Please tell me your name and your telephone number.",
    "The weather looks sunny, but take a jacket with you.",
    "Saturn is the sixth planet from the sun.",
    "Her brother works in a hospital near the station.",
    "No problem, take your time.",
    "The museum is on the left, just behind the church.",
    "Thank you for calling, goodbye.",
    "We open every morning except Sunday.",
    "Could you say that again more slowly?",
    "My favourite colour is somewhere between green and blue.",
    "They moved to a small house by the river last summer.",
    "If it rains tomorrow, the game will be cancelled.",
    "He asked for a cup of coffee and a glass of water.",
    "This train does not stop at the next village.",
    "I am sorry, we have no free table tonight.",
    "Would you like the window seat or the aisle?",
    "The children were playing in the garden behind the school.",
    "Remember to lock the door before you leave.",
    "Everything you need is already in the kitchen.",
]
"""Without numbers or names, which a recogniser may rightly write in another way."""

RARE_NAMES = Path(__file__).with_name("rare_names.txt").read_text("utf-8").split()


@pytest.fixture(scope="module", params=["student", "full"])
def voice(request: pytest.FixtureRequest) -> Voice:
    model = {"student": "kokoro-student", "full": "kokoro-82m"}[request.param]
    if not store.is_present(model):
        pytest.skip(f"{model} is not on this machine; run: duplex models fetch {model}")
    return open_voice(request.param)


@pytest.fixture(scope="module")
def student() -> Voice:
    return open_voice("student")


@pytest.fixture(scope="module")
def recogniser() -> Moonshine:
    return Moonshine(store.locate(store.first_present(Role.ASR)))


def said(voice: Voice, clause: str) -> tuple[Int16Array, list[SpokenWord]]:
    """One clause as one stretch, its words timed from the start."""
    stretches = list(voice.speak(clause))
    pcm = np.concatenate([np.zeros(0, np.int16), *(stretch.pcm for stretch in stretches)])
    return pcm, list(_timed(stretches))


def _timed(stretches: list[Speech]) -> Iterator[SpokenWord]:
    samples = 0
    for stretch in stretches:
        lead_s = samples / stretch.sample_rate
        for word in stretch.words:
            yield SpokenWord(word.text, lead_s + word.start_s, lead_s + word.end_s)
        samples += len(stretch.pcm)


def level_db(pcm: Int16Array) -> float:
    return (
        20 * np.log10(max(1e-6, float(np.sqrt(np.mean(to_float(pcm) ** 2))))) if len(pcm) else -120
    )


def onset_s(pcm: Int16Array, rate: int) -> float:
    """Where the sound first comes within 30 dB of its loudest 5 ms."""
    frame = rate // 200
    frames = to_float(pcm[: len(pcm) // frame * frame]).reshape(-1, frame)
    levels = np.sqrt(np.mean(frames**2, axis=1))
    return int(np.argmax(levels > levels.max() * 10 ** (-30 / 20))) * frame / rate


def test_a_recogniser_understands_it(voice: Voice, recogniser: Moonshine):
    heard = []
    for sentence in SENTENCES:
        clauses = ClauseSplitter()
        parts = clauses.push(sentence) + clauses.finish()
        pcm = np.concatenate([said(voice, clause)[0] for clause in parts])
        signal = soxr.resample(to_float(pcm), voice.sample_rate, 16_000)
        heard.append(_plain(recogniser.transcribe(signal.astype(np.float32)).text))
    wanted = [_plain(sentence) for sentence in SENTENCES]
    # The recogniser itself errs on 3 words in 100 of clean recordings.
    assert jiwer.wer(wanted, heard) <= 0.10, list(zip(wanted, heard, strict=True))


def _plain(text: str) -> str:
    # British and American spellings are the same words.
    text = re.sub(r"[^a-z' ]", " ", text.lower().replace("-", " "))
    text = text.replace("favourite", "favorite").replace("colour", "color").replace("lled", "led")
    return " ".join(text.split())


@pytest.mark.parametrize(
    "clause",
    [
        *SENTENCES[:6],
        "Sure.",
        "It costs $5.20 for Dr. Smith on Jan 5 at 7:30 pm.",
        "Call (415) 555-0123 or mail john.smith@example.com today.",
        "Well — maybe it's “fine”, don't you think?",
        "with that booking",
    ],
)
def test_word_times_are_where_the_sound_is(voice: Voice, clause: str):
    pcm, words = said(voice, clause)
    length_s = len(pcm) / voice.sample_rate
    assert " ".join(word.text for word in words) == clause
    assert all(0 <= word.start_s <= word.end_s <= length_s for word in words)
    assert all(a.end_s <= b.start_s + 1e-9 for a, b in pairwise(words))
    assert words[0].start_s == pytest.approx(onset_s(pcm, voice.sample_rate), abs=0.08)
    loudest = max(level_db(_slice(pcm, word, voice.sample_rate)) for word in words)
    for word in words:
        if any(char.isalnum() for char in word.text):
            # "a" may last a single step.
            assert word.end_s - word.start_s > 0.02, word
            assert level_db(_slice(pcm, word, voice.sample_rate)) > loudest - 30, word


def _slice(pcm: Int16Array, word: SpokenWord, rate: int) -> Int16Array:
    return pcm[round(word.start_s * rate) : round(word.end_s * rate)]


def test_little_silence_before_the_first_word(voice: Voice):
    pcm, _ = said(voice, "Hello there.")
    assert onset_s(pcm, voice.sample_rate) < 0.08


def test_a_clause_that_goes_on_leaves_no_pause(voice: Voice):
    pause_s = {}
    for clause in ("I can help you", "I can help you."):
        pcm, words = said(voice, clause)
        pause_s[clause] = len(pcm) / voice.sample_rate - words[-1].end_s
    assert pause_s["I can help you"] < 0.1 < 0.2 < pause_s["I can help you."] < 0.5


def test_both_tiers_time_the_same_words_in_the_same_order(student: Voice):
    if not store.is_present("kokoro-82m"):
        pytest.skip("kokoro-82m is not on this machine; run: duplex models fetch kokoro-82m")
    full = open_voice("full")
    for clause in SENTENCES[:3]:
        ours, theirs = said(student, clause)[1], said(full, clause)[1]
        assert [word.text for word in ours] == [word.text for word in theirs]
        for a, b in zip(ours, theirs, strict=True):
            # The student learned the durations of the full model.
            assert a.start_s == pytest.approx(b.start_s, abs=0.35)


def test_the_same_clause_gives_the_same_samples_also_from_several_threads(voice: Voice):
    clause = SENTENCES[5]
    once = said(voice, clause)[0]
    with ThreadPoolExecutor(3) as pool:
        others = list(pool.map(lambda _: said(voice, clause)[0], range(3)))
    assert all(np.array_equal(once, other) for other in others)


def test_two_hundred_rare_names_are_all_voiced(student: Voice):
    assert len(RARE_NAMES) >= 200
    for name in RARE_NAMES:
        pcm, words = said(student, f"{name}.")
        length_s = words[0].end_s - words[0].start_s
        assert level_db(pcm) > -40, name
        assert 0.15 < length_s < _longest_s(name), (name, length_s)


def _longest_s(name: str) -> float:
    letters = anyascii(name)
    # Arabic and Hebrew write no vowels: such names are spelled out, a third of a second a letter.
    is_spelled = not re.search("[aeiouy]", letters.lower())
    return 0.35 + (0.35 if is_spelled else 0.16) * max(4, len(letters))


def test_no_rare_name_is_dropped_inside_a_sentence(student: Voice):
    phonemise = shared_phonemiser()
    for name in RARE_NAMES:
        clause = f"I met {name} yesterday."
        spoken = {word.text: word.end - word.start for word in phonemise(clause).words}
        assert list(spoken) == clause.split(), name
        assert spoken[name] >= 2, (name, spoken)


@pytest.mark.parametrize("name", RARE_NAMES[::25])
def test_rare_names_sound_inside_a_sentence(voice: Voice, name: str):
    pcm, words = said(voice, f"I met {name} yesterday.")
    word = next(word for word in words if word.text == name)
    assert word.end_s - word.start_s > 0.12
    assert level_db(_slice(pcm, word, voice.sample_rate)) > -40


@pytest.mark.parametrize("empty", ["", "   ", "!!!", "😀🎉", "—", "\n", "™"])
def test_nothing_to_say_is_no_speech(voice: Voice, empty: str):
    assert list(voice.speak(empty)) == []


@pytest.mark.parametrize("odd", ["x" * 5000, "\x00a\x07b", "a\u200bb", "🇩🇪 ok", "1" * 300, "?!yes"])
def test_odd_text_is_spoken_sanely(student: Voice, odd: str):
    pcm, words = said(student, odd)
    assert " ".join(word.text for word in words) == " ".join(odd.split())
    assert 0.1 < len(pcm) / student.sample_rate < 200


def test_a_long_clause_comes_in_stretches(student: Voice):
    stretches = list(student.speak(" ".join(SENTENCES)))
    assert len(stretches) > 3
    assert [w.text for s in stretches for w in s.words] == " ".join(SENTENCES).split()
