from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.parakeet.engine import EndpointKind
from agent.parakeet.nemo.words import Tokens, Vocabulary, mean_confidence, text_of

PIECES = ("<unk>", "<EOU>", "<EOB>", "<en-US>", "▁turn", "▁o", "n", "▁", ".", "▁?", "'s")
FRAME = 1280


def join(ids):
    return "".join(PIECES[token] for token in ids).replace("▁", " ")


VOCABULARY = Vocabulary(PIECES, join, FRAME)


def tokens(*items):
    """(piece, frame, confidence) each."""
    ids, frames, confidences = zip(*items, strict=True)
    return Tokens([PIECES.index(piece) for piece in ids], [*frames], [*confidences])


def test_pieces_become_words_with_their_times():
    said = tokens(("▁turn", 2, 0.9), ("▁o", 5, 0.8), ("n", 6, 0.6))

    turn, on = VOCABULARY.words(said, end_sample=20 * FRAME)

    assert (turn.text, turn.start_sample, turn.end_sample) == ("turn", 2 * FRAME, 4 * FRAME)
    assert (on.text, on.start_sample, on.end_sample) == ("on", 5 * FRAME, 8 * FRAME)
    assert on.confidence == 0.6, "a word is as sure as the least sure of its pieces"


def test_marks_are_events_and_never_text():
    said = tokens(("▁turn", 1, 1.0), ("<EOU>", 4, 1.0), ("<en-US>", 4, 1.0), ("<EOB>", 9, 1.0))

    assert text_of(VOCABULARY.words(said, 99 * FRAME)) == "turn"
    ends = VOCABULARY.endpoints(said)
    assert [(end.kind, end.sample) for end in ends] == [
        (EndpointKind.EOU, 5 * FRAME),
        (EndpointKind.EOB, 10 * FRAME),
    ]


def test_what_follows_a_mark_is_a_new_word():
    said = tokens(("▁turn", 1, 1.0), ("<EOU>", 4, 1.0), ("n", 5, 1.0))

    assert text_of(VOCABULARY.words(said, 99 * FRAME)) == "turn n"


def test_punctuation_clings_to_the_word_before():
    said = tokens(("▁turn", 1, 1.0), ("▁?", 2, 0.3))

    (word,) = VOCABULARY.words(said, 99 * FRAME)

    assert (word.text, word.confidence) == ("turn?", 1.0)


def test_a_word_ends_where_the_next_begins_and_with_the_audio():
    said = tokens(("▁turn", 1, 1.0), ("▁o", 2, 1.0))

    first, last = VOCABULARY.words(said, end_sample=3 * FRAME)

    assert first.end_sample == 2 * FRAME
    assert last.end_sample == 3 * FRAME


def test_silence_has_no_confidence():
    assert mean_confidence(VOCABULARY.words(Tokens(), 0)) is None


# How fast a busy machine draws says nothing about words.
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(PIECES) - 1),
            st.integers(0, 5),
            st.floats(-0.1, 1.1),
        )
    ),
    st.integers(1, 60 * FRAME),
)
def test_any_tokens_make_ordered_words_within_the_audio(items, end):
    frame, said = 0, Tokens()
    for token, step, confidence in items:
        frame += step
        said.extend(Tokens([token], [frame], [confidence]))

    words = VOCABULARY.words(said, end)

    assert not any("<" in word.text or not word.text for word in words)
    for word in words:
        assert 0 <= word.start_sample < word.end_sample <= end
        assert 0 <= word.confidence <= 1
    starts = [word.start_sample for word in words]
    assert starts == sorted(starts)
    assert text_of(words).split() == [part for word in words for part in word.text.split()]
