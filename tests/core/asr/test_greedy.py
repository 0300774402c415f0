import numpy as np
import pytest

from agent.asr.greedy import END, GreedyDecoding, Stop

LOOKED = np.zeros(4, np.float32)


def favouring(token: int, second: int = 9) -> np.ndarray:
    logits = np.zeros(16, np.float32)
    logits[token], logits[second] = 5.0, 3.0
    return logits


def test_takes_the_likeliest_until_the_end_mark():
    decoding = GreedyDecoding(most_tokens=10)
    for token in (4, 5, END, 6):
        decoding.append(favouring(token), LOOKED)
    assert (decoding.tokens, decoding.stop) == ([4, 5], Stop.END)
    assert len(decoding.attention) == 3, "the end mark's row claims what follows the last word"


def test_probabilities_are_a_softmax():
    decoding = GreedyDecoding(most_tokens=10)
    decoding.append(favouring(4), LOOKED)
    expected = np.exp(5) / (np.exp(5) + np.exp(3) + 14)
    assert decoding.probabilities == [pytest.approx(expected, rel=1e-5)]


def test_huge_logits_do_not_overflow():
    decoding = GreedyDecoding(most_tokens=10)
    decoding.append(favouring(4) * 1000, LOOKED)
    assert decoding.probabilities == [pytest.approx(1.0)]


def test_a_given_token_is_taken_with_its_own_probability():
    decoding = GreedyDecoding(most_tokens=10)
    decoding.append(favouring(4), LOOKED, token=9)
    assert decoding.tokens == [9]
    assert decoding.probabilities[0] < 0.2


def test_stops_at_the_cap():
    decoding = GreedyDecoding(most_tokens=3)
    for token in (4, 5, 6, 7):
        decoding.append(favouring(token), LOOKED)
    assert (decoding.tokens, decoding.stop) == ([4, 5, 6], Stop.CAP)


def test_stops_at_a_loop_and_keeps_one_copy():
    decoding = GreedyDecoding(most_tokens=100)
    for token in [3, *[4, 5, 6, 7] * 10]:
        decoding.append(favouring(token), LOOKED)
    assert (decoding.tokens, decoding.stop) == ([3, 4, 5, 6, 7], Stop.LOOP)
    assert len(decoding.probabilities) == len(decoding.attention) == 5


def test_must_speak_refuses_the_end_mark_in_front_only():
    decoding = GreedyDecoding(most_tokens=10, must_speak=True)
    decoding.append(favouring(END, second=9), LOOKED)
    decoding.append(favouring(END, second=9), LOOKED)
    assert (decoding.tokens, decoding.stop) == ([9], Stop.END)
