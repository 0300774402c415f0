"""From tokens to text: words with their times and confidence, and what is no text at all. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agent.asr.hypothesis import Word
from agent.parakeet.engine import EndpointKind, ModelEndpoint

WORD_BEGIN = "▁"
"""What SentencePiece puts in front of a piece that begins a word."""

LAST_PIECE_FRAMES = 2
"""How long the last piece of a word sounds, unless the next word begins earlier.

A TDT model's own durations would tell, but NeMo 3.0.0 overwrites those of a whole batch whenever
one utterance of it needs another step (``durations`` in ``tdt_label_looping.py``, `torch_impl`), so
they depend on the company.
"""

_MARKS = {"<EOU>": EndpointKind.EOU, "<EOB>": EndpointKind.EOB}

_SILENT = re.compile(r"<(?!0x[0-9A-Fa-f]{2}>)[^<>]+>|⁇")
"""Control tokens such as ``<en-US>`` or ``<unk>``; ``<0xC3>`` is a byte of text."""


@dataclass(slots=True)
class Tokens:
    """What greedy decoding gave, in order.

    Attributes:
        ids: Of each token.
        frames: Encoder frame at which it was emitted, counted from the stream's first.
        confidences: Each in [0, 1].
    """

    ids: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)

    def extend(self, other: "Tokens") -> None:
        """Append what a later chunk gave."""
        self.ids += other.ids
        self.frames += other.frames
        self.confidences += other.confidences


@dataclass(frozen=True)
class Vocabulary:
    """The meaning of token ids.

    Attributes:
        pieces: The piece of every id.
        to_text: Joins ids as the checkpoint's own tokenizer does.
        frame_samples: Samples of 16 kHz audio that one encoder frame stands for.
    """

    pieces: Sequence[str]
    to_text: Callable[[list[int]], str]
    frame_samples: int

    def mark(self, token: int) -> EndpointKind | None:
        """What the token says about the turn, or None."""
        return _MARKS.get(self.pieces[token])

    def words(self, tokens: Tokens, end_sample: int) -> tuple[Word, ...]:
        """Put tokens together to words.

        Args:
            tokens: Of one utterance.
            end_sample: Length of its audio in samples: no word ends later.
        """
        groups = self._groups(tokens)
        starts = [tokens.frames[group[0]] * self.frame_samples for group in groups]
        words: list[Word] = []
        for group, start, following in zip(groups, starts, [*starts, end_sample][1:], strict=True):
            text = self.to_text([tokens.ids[place] for place in group]).strip()
            if not text:
                continue
            last = group[-1]
            end = (tokens.frames[last] + LAST_PIECE_FRAMES) * self.frame_samples
            end = max(min(end, following, end_sample), min(start + 1, end_sample))
            start = min(start, max(0, end - 1))
            # The least sure of its tokens decides whether a word is right.
            confidence = min(max(0.0, min(tokens.confidences[place] for place in group)), 1.0)
            if words and not any(map(str.isalnum, text)):
                before = words.pop()
                text, start = before.text + text, before.start_sample
                confidence = before.confidence
            words.append(Word(text, start, end, confidence))
        return tuple(words)

    def endpoints(self, tokens: Tokens) -> tuple[ModelEndpoint, ...]:
        """The tokens that end a turn, where they were emitted."""
        found = []
        for token, frame in zip(tokens.ids, tokens.frames, strict=True):
            kind = self.mark(token)
            if kind is not None:
                found.append(ModelEndpoint(kind, (frame + 1) * self.frame_samples))
        return tuple(found)

    def _groups(self, tokens: Tokens) -> list[list[int]]:
        """Places of the tokens of each word."""
        groups: list[list[int]] = []
        begins = True
        for place, token in enumerate(tokens.ids):
            piece = self.pieces[token]
            if _SILENT.fullmatch(piece):
                begins = True
                continue
            if begins or piece.startswith((WORD_BEGIN, " ")):
                groups.append([])
            groups[-1].append(place)
            begins = False
        return groups


def text_of(words: Sequence[Word]) -> str:
    """The text that words make."""
    return " ".join(word.text for word in words)


def mean_confidence(words: Sequence[Word]) -> float | None:
    """How sure the model is of the whole; None where nothing was said."""
    if not words:
        return None
    return sum(word.confidence for word in words) / len(words)
