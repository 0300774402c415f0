"""Names to expect, on real checkpoints: NeMo's boosting trees, one set for each utterance."""

import numpy as np
import pytest

from agent.parakeet.engine import Options, Push, Utterance
from agent.parakeet.nemo import hints, open_engine
from tests.nemo import corpus
from tests.nemo.test_engine import audio, word_error_rate

NAMES = ("Bedroom", "timer")


@pytest.fixture(scope="module")
def offline(checkpoints):
    engine = open_engine({"model": str(checkpoints["tdt"]), "device": "cpu", "threads": 1})
    engine.facts = engine.load()
    yield engine
    engine.close()


def noisy(text, seed):
    """`text` in so much noise that the tiny model errs in a third of the words."""
    pcm = audio(text).astype(np.float64)
    pcm += np.random.default_rng(seed).normal(0, 1400, len(pcm))
    return np.clip(pcm, -32768, 32767).astype(np.int16)


def with_names():
    texts = [one for one in corpus.training_sentences() if "bedroom" in one or "timer" in one]
    return texts, [noisy(text, number) for number, text in enumerate(texts)]


def without_names():
    texts = [one for one in corpus.training_sentences() if "kitchen" in one or "weather" in one]
    return texts, [noisy(text, 100 + number) for number, text in enumerate(texts)]


def heard(engine, pcms, *names):
    utterances = [Utterance(pcm, Options(hints=names)) for pcm in pcms]
    return [result.text for result in engine.transcribe(utterances).results]


def missed(texts):
    return sum(not {"bedroom", "timer"} & set(text.split()) for text in texts)


def test_names_are_found_and_nothing_else_suffers(offline):
    assert offline.facts.hints
    _, pcms = with_names()
    plain, told = missed(heard(offline, pcms)), missed(heard(offline, pcms, *NAMES))
    print(f"names missed: {plain} of {len(pcms)} without hints, {told} with")
    assert plain >= 4
    assert told <= 0.7 * plain
    texts, pcms = without_names()
    before = word_error_rate(zip(texts, heard(offline, pcms), strict=True))
    after = word_error_rate(zip(texts, heard(offline, pcms, *NAMES), strict=True))
    assert after <= before + 0.02


def test_hints_make_no_words_of_silence(offline):
    silence = [np.zeros(32_000, np.int16)]
    # The tiny model was not taught that nothing can be said.
    assert heard(offline, silence, *NAMES) == heard(offline, silence)


def test_no_text_depends_on_the_hints_of_its_neighbours(offline):
    _, pcms = with_names()
    wishes = [(), NAMES, ("kitchen",), ("music", "light")]
    asked = [Utterance(pcm, Options(hints=wishes[number % 4])) for number, pcm in enumerate(pcms)]
    alone = [offline.transcribe([one]).results[0] for one in asked]
    together = offline.transcribe(asked).results
    assert [one.text for one in together] == [one.text for one in alone]
    # And not one set of names for all.
    assert heard(offline, pcms, *NAMES) != [one.text for one in alone]


def test_more_sets_than_are_kept_are_made_anew(offline, monkeypatch):
    monkeypatch.setattr(hints, "_KEPT", 2)
    _, pcms = with_names()
    first = heard(offline, pcms[:4], *NAMES)
    for number in range(5):
        heard(offline, pcms[:1], "kitchen", f"number {number}")
    assert heard(offline, pcms[:4], *NAMES) == first


@pytest.mark.parametrize("names", [("",), ("Ωμέγα", "日本"), (" ",)])
def test_what_the_model_cannot_write_is_no_hint(offline, names):
    _, pcms = with_names()
    assert heard(offline, pcms[:4], *names) == heard(offline, pcms[:4])


def test_streams_have_names_of_their_own(checkpoints):
    config = {"model": str(checkpoints["streaming"]), "device": "cpu", "threads": 1}
    engine = open_engine({**config, "hint_weight": 4.0})
    engine.load()
    _, pcms = with_names()

    def said(numbers, chunk):
        for number in numbers:
            engine.open(number, Options(hints=NAMES if number % 2 else ()))
        texts = {}
        longest = max(len(pcms[number]) for number in numbers)
        for start in range(0, longest, chunk):
            pushes = [
                Push(
                    number, pcms[number][start : start + chunk], start + chunk >= len(pcms[number])
                )
                for number in numbers
                if start < len(pcms[number])
            ]
            for push, update in zip(pushes, engine.push(pushes), strict=True):
                if push.is_last:
                    texts[push.stream] = update.transcript.text
        return texts

    alone = {number: said([number], 1600)[number] for number in range(8)}
    assert said(range(8), 2500) == alone
    engine.close()


def test_a_model_without_capitals_is_given_none():
    assert hints.spelling(["▁a", "b", "<EOU>"])("Xarelto") == "xarelto"
    assert hints.spelling(["▁A", "b"])("Xarelto") == "Xarelto"
