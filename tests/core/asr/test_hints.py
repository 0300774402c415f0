"""Names to expect: where they are looked for, and when they are taken."""

import numpy as np
import pytest

from agent.asr.biased import WEIGHT, BiasedMoonshine
from agent.asr.greedy import Stop
from agent.asr.hints import suspicions
from agent.asr.hypothesis import Word
from agent.asr.moonshine import Transcript

SIGNAL = np.zeros(16_000, np.float32)


class Reader:
    """Always reads the same; every other text is less likely by a set amount."""

    def __init__(self, text: str, less_likely: float) -> None:
        self.text, self.less_likely, self.asked = text, less_likely, 0

    def transcribe(self, signal, draft=(), forced=0):
        words = tuple(
            Word(word, 100 * i, 100 * i + 80, 0.8) for i, word in enumerate(self.text.split())
        )
        tokens = tuple(self.tokens_of(word.text) for word in words)
        return Transcript(self.text, words, tokens, (0.8,) * len(words), Stop.END)

    def tokens_of(self, text):
        return tuple(map(ord, text))

    def log_likelihoods(self, signal, alternatives):
        self.asked += 1
        said = self.tokens_of("".join(self.text.split()))
        return [-10.0 if tokens == said else -10.0 - self.less_likely for tokens in alternatives]


def read(reader, *hints, forced=0):
    return BiasedMoonshine(reader, hints).transcribe(SIGNAL, forced=forced)


def test_a_name_that_fell_apart_is_suspected_as_a_whole():
    (suspicion,) = suspicions("call Sarah Mago, please.".split(), ["Saramago"])
    assert (suspicion.first, suspicion.count) == (1, 2)
    assert suspicion.similarity > 0.9


@pytest.mark.parametrize("text", ["I know Saramago well", "I know Sara mago", "of the sea", ""])
def test_what_is_right_or_unlike_is_left_alone(text):
    assert suspicions(text.split(), ["Saramago", "Bo"]) == []


def test_accents_and_case_do_not_matter():
    assert suspicions(["dvorak"], ["Dvořák"]) == []


def test_the_likeliest_name_comes_first_and_few_are_looked_at():
    hints = ["Gaborone", "Gaberone", "Gaboroni", "Gabarone", "Gaborona", "Gabrone"]
    found = suspicions(["Gaborony"], hints)
    assert len(found) == 4
    assert found == sorted(found, key=lambda one: -one.similarity)


def test_a_name_nearly_as_likely_is_taken_with_its_punctuation_and_time():
    transcript = read(Reader("is Xerilto, there", 15.0), "Xarelto")
    assert transcript.text == "is Xarelto, there"
    assert transcript.words[1] == Word("Xarelto,", 100, 180, 0.8)
    assert transcript.word_tokens[1] == tuple(map(ord, "Xarelto,"))


def test_a_name_the_audio_does_not_say_is_not_taken():
    assert read(Reader("is Xerilto there", WEIGHT), "Xarelto").text == "is Xerilto there"


def test_settled_words_stay():
    forced = len("isXerilto")
    assert read(Reader("is Xerilto there", 0.0), "Xarelto", forced=forced).text.split()[1] == (
        "Xerilto"
    )


def test_two_names_do_not_claim_the_same_words():
    assert read(Reader("most are", 0.0), "Mostar", "Mostara").text.split()[-1] == "Mostar"


def test_a_stretch_is_judged_once():
    reader = Reader("is Xerilto there", 15.0)
    biased = BiasedMoonshine(reader, ["Xarelto"])
    for _ in range(5):
        assert biased.transcribe(SIGNAL).text == "is Xarelto there"
    assert reader.asked == 1
