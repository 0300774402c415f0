"""A clause's phonemes, and which of them belong to which written word. Pure.

The pronunciation (dictionary, part-of-speech rules, spelling model for unknown words) is that of
the distilled voice's own package; Kokoro was trained on the same phonemes. The package gives one
string for a clause, so its steps are called one by one here to keep track of the words.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.tts.matching import match
from agent.tts.normalise import Reading, read_aloud

SILENT = frozenset(' ;:,.!?—…"“”()')
"""Phoneme symbols that stand for a pause or a tone of voice, not for a sound."""


@dataclass(frozen=True, slots=True)
class PronouncedWord:
    """A written word and its sounds.

    Attributes:
        text: As written.
        start: Index of its first sounding phoneme in the pronunciation.
        end: Index just after its last; equal to `start` when the word is not sounded.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Pronunciation:
    """What a voice says.

    Attributes:
        phonemes: One character a phoneme, in Kokoro's alphabet.
        words: The written words in order; their ranges never overlap.
    """

    phonemes: str
    words: tuple[PronouncedWord, ...]


@functools.cache
def shared_phonemiser() -> "Phonemiser":
    """Share one phonemiser among all voices: its dictionaries take a second to load."""
    return Phonemiser()


class Phonemiser:
    """Turns clauses into phonemes. Safe to call from several threads."""

    def __init__(self) -> None:
        from hibari.g2p import G2P

        self._g2p = G2P()
        # Loaded here and not at the first unknown word, which a caller would wait for.
        self._alphabet = frozenset(_vocabulary())
        self._g2p.oov("warm")

    def __call__(self, clause: str) -> Pronunciation:
        """Pronounce one clause; punctuation without words gives no phonemes."""
        readings = read_aloud(clause, self._is_known)
        spoken_words = self._normalise(readings)
        sounds = self._sounds([word for word, _ in spoken_words])
        return _assemble(readings, [owner for _, owner in spoken_words], sounds)

    def _is_known(self, word: str) -> bool:
        lexicon = self._g2p.lexicon
        return any(
            spelling in words
            for spelling in (word, word.lower())
            for words in (lexicon.golds, lexicon.silvers)
        )

    def _normalise(self, readings: Sequence[Reading]) -> list[tuple[str, int]]:
        """Spoken words, each with the index of the written word it comes from."""
        from hibari.g2p.normalize import normalize

        before = [
            (word, index)
            for index, reading in enumerate(readings)
            for word in reading.spoken.split()
        ]
        after: list[str] = normalize(" ".join(word for word, _ in before)).split()
        return match(before, after, lambda word: normalize(word).split())

    def _sounds(self, words: Sequence[str]) -> list[str]:
        """Phonemes of each spoken word, pronounced in the context of the others."""
        sounds = [""] * len(words)
        if not words:
            return sounds
        tokens = self._g2p.phonemize_tokens(self._g2p._tokens(" ".join(words)))
        index = 0
        for token in tokens:
            sounds[index] += "".join(c for c in token.phonemes or "" if c in self._alphabet)
            index += bool(token.whitespace)
        return sounds


def cut(pronunciation: Pronunciation, longest: int) -> list[Pronunciation]:
    """Divide between words so that no piece has more than `longest` phonemes.

    A piece ends at the last pause that fits, else at the last word that does. A single word
    longer than that is cut where the limit falls; its later pieces carry no word.
    """
    pieces = []
    rest = pronunciation
    while len(rest.phonemes) > longest:
        head, rest = _cut_once(rest, longest)
        pieces.append(head)
    return [*pieces, rest]


def _cut_once(whole: Pronunciation, longest: int) -> tuple[Pronunciation, Pronunciation]:
    text = whole.phonemes
    pauses = [m.end() for m in re.finditer(r"[;:,.!?—…]+ ", text[:longest])]
    spaces = [i + 1 for i in range(1, longest) if text[i] == " "]
    # A pause in the first third would leave a piece too short to be worth a run of the model.
    at = next(
        (ends[-1] for ends in (pauses, spaces) if ends and ends[-1] > longest // 3),
        spaces[-1] if spaces else longest,
    )
    head = tuple(
        PronouncedWord(w.text, w.start, min(w.end, at)) for w in whole.words if w.start < at
    )
    tail = tuple(
        PronouncedWord(w.text, w.start - at, w.end - at) for w in whole.words if w.start >= at
    )
    return Pronunciation(text[:at].rstrip(), head), Pronunciation(text[at:], tail)


def _assemble(
    readings: Sequence[Reading], owners: Sequence[int], sounds: Sequence[str]
) -> Pronunciation:
    phonemes = ""
    ranges: dict[int, tuple[int, int]] = {}
    for owner, sound in zip(owners, sounds, strict=True):
        if phonemes and sound and phonemes[-1] != " ":
            phonemes += " "
        audible = [i for i, c in enumerate(sound) if c not in SILENT]
        if audible:
            start, end = len(phonemes) + audible[0], len(phonemes) + audible[-1] + 1
            ranges[owner] = (ranges.get(owner, (start, end))[0], end)
        phonemes += sound
    words = []
    last = 0
    for index, reading in enumerate(readings):
        start, last = ranges.get(index, (last, last))
        words.append(PronouncedWord(reading.written, start, last))
    # Signs alone would be hummed.
    return Pronunciation(phonemes.strip() if ranges else "", tuple(words))


@functools.cache
def _vocabulary() -> dict[str, int]:
    import json
    from pathlib import Path

    import hibari

    path = Path(hibari.__file__).parent / "assets" / "vocab.json"
    vocabulary: dict[str, int] = json.loads(path.read_text("utf-8"))
    return vocabulary


def phoneme_ids(phonemes: str) -> list[int]:
    """Model input: one id a phoneme, between the two pads both models were trained with."""
    vocabulary = _vocabulary()
    return [0, *(vocabulary[phoneme] for phoneme in phonemes), 0]
