"""What two texts of the same speech have in common, and how sure one is. Pure."""

import math
import re
import unicodedata

from agent.asr.hybrid.events import Answer
from agent.asr.hypothesis import Hypothesis, Word

_APOSTROPHES = re.compile(r"['’ʼ]")
_MARKS = re.compile(r"[^\w\s]|_")


def same_words(one: str, other: str) -> bool:
    """Whether two texts differ in nothing but case, punctuation and spaces."""
    return _plain(one) == _plain(other)


def confidence(hypothesis: Hypothesis) -> float:
    """Geometric mean of the words' probabilities; 0 without words."""
    if not hypothesis.words:
        return 0.0
    logs = [math.log(max(word.confidence, 1e-10)) for word in hypothesis.words]
    return math.exp(sum(logs) / len(logs))


def hypothesis_of(
    answer: Answer, utterance_id: int, start: int, speech: int, length: int
) -> Hypothesis:
    """Place the cloud's answer on the media clock, as a final.

    Args:
        answer: Its positions count from the utterance's first sample.
        utterance_id: Of the utterance.
        start: Position of its first sample on the media clock (16 kHz).
        speech: Samples up to the end of speech.
        length: Samples in all.
    """
    words = answer.words or _spread(answer, speech)
    return Hypothesis(
        utterance_id=utterance_id,
        text=_writable(answer.text),
        words=tuple(
            Word(
                _writable(word.text),
                # What stands behind the end of the audio was not said there.
                start + min(word.start_sample, length),
                start + min(word.end_sample, length),
                word.confidence,
            )
            for word in words
        ),
        is_final=True,
        start_sample=start,
        end_sample=start + length,
    )


def _spread(answer: Answer, speech: int) -> tuple[Word, ...]:
    """Estimate times a server does not give: every letter takes the same."""
    texts = answer.text.split()
    letters = sum(map(len, texts)) or 1
    # A server that tells nothing of its confidence is believed.
    sure = 1.0 if answer.confidence is None else answer.confidence
    words, done = [], 0
    for text in texts:
        begin, done = done, done + len(text)
        words.append(Word(text, speech * begin // letters, speech * done // letters, sure))
    return tuple(words)


def _writable(text: str) -> str:
    """JSON can hold half of a character, and no file, page or request to a model can."""
    return text.encode("utf-8", "replace").decode()


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_MARKS.sub(" ", _APOSTROPHES.sub("", text)).split())
