"""Moonshine that has been told which names to expect.

Adding to the scores of a name's tokens while decoding cannot help where the name is spelled unlike
it sounds: the decoder takes another path at the first token. So the text is read first; where a
stretch of it is spelled like a name, the decoder is asked how likely the audio is to say the name
instead, and the name is taken if it is nearly as likely as its letters are alike.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, chain
from typing import Protocol

from agent.asr.hints import Suspicion, suspicions
from agent.asr.hypothesis import Word
from agent.asr.moonshine import Transcript
from agent.asr.streaming import Transcriber
from agent.audio.chunk import Float32Array

WEIGHT = 40.0
"""Nats of likelihood that a full likeness of letters makes up for."""

MARGIN = 12.0
"""Nats by which likeness must outweigh likelihood. On the clips of benchmarks/hints.py names that
were said reach 13 and more, all but one; what was not said reaches 8."""

_REMEMBERED = 200


class Weighing(Transcriber, Protocol):
    """What can also be asked how likely a text is: `Moonshine`."""

    def log_likelihoods(
        self, signal: Float32Array, alternatives: Sequence[Sequence[int]]
    ) -> list[float]:
        """See `Moonshine.log_likelihoods`."""
        ...

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """See `Moonshine.tokens_of`."""
        ...


class BiasedMoonshine:
    """Reads like `Moonshine`, with names put where they were misheard.

    One for each conversation: what was decided about a stretch is remembered while its utterance
    is read again and again.
    """

    def __init__(self, model: Weighing, hints: Sequence[str]) -> None:
        self._model = model
        self._hints = tuple(hints)
        self._decided: dict[tuple[str, str], bool] = {}

    def transcribe(
        self, signal: Float32Array, draft: Sequence[int] = (), forced: int = 0
    ) -> Transcript:
        """See `Moonshine.transcribe`; forced words stay as they are."""
        transcript = self._model.transcribe(signal, draft, forced)
        fixed = _words_within(transcript, forced)
        taken: list[Suspicion] = []
        for suspicion in suspicions([word.text for word in transcript.words], self._hints):
            is_free = suspicion.first >= fixed and not any(_overlap(suspicion, t) for t in taken)
            if is_free and self._is_name(signal, transcript, suspicion):
                taken.append(suspicion)
        for suspicion in sorted(taken, key=lambda one: -one.first):
            transcript = self._put(transcript, suspicion)
        return transcript

    def _is_name(self, signal: Float32Array, transcript: Transcript, suspicion: Suspicion) -> bool:
        asked = (_heard(transcript, suspicion), suspicion.hint)
        if asked not in self._decided:
            if len(self._decided) >= _REMEMBERED:
                self._decided.clear()
            alternative = self._put(transcript, suspicion)
            said, named = self._model.log_likelihoods(
                signal, [transcript.tokens, alternative.tokens]
            )
            self._decided[asked] = named - said + WEIGHT * suspicion.similarity > MARGIN
        return self._decided[asked]

    def _put(self, transcript: Transcript, suspicion: Suspicion) -> Transcript:
        """Write the name in place of a stretch, with the punctuation that clung to it."""
        first, last = suspicion.first, suspicion.first + suspicion.count
        replaced = transcript.words[first:last]
        text = suspicion.hint + _closing(replaced[-1].text)
        sure = sum(word.confidence for word in replaced) / len(replaced)
        word = Word(text, replaced[0].start_sample, replaced[-1].end_sample, sure)
        tokens = self._model.tokens_of(text)
        words = (*transcript.words[:first], word, *transcript.words[last:])
        return replace(
            transcript,
            text=" ".join(word.text for word in words),
            words=words,
            word_tokens=(*transcript.word_tokens[:first], tokens, *transcript.word_tokens[last:]),
        )


def _heard(transcript: Transcript, suspicion: Suspicion) -> str:
    words = transcript.words[suspicion.first : suspicion.first + suspicion.count]
    return " ".join(word.text for word in words)


def _overlap(one: Suspicion, other: Suspicion) -> bool:
    return one.first < other.first + other.count and other.first < one.first + one.count


def _closing(text: str) -> str:
    """Return the punctuation behind a word."""
    return text[len(text.rstrip(".,?!;:")) :]


def _words_within(transcript: Transcript, tokens: int) -> int:
    """How many words lie wholly or partly within the first `tokens` tokens."""
    ends = accumulate(len(word) for word in transcript.word_tokens)
    return sum(1 for end in chain([0], ends) if end < tokens)
