"""What telephones really send, cut, spliced, doubled and bent.

A case is one number, from which everything else follows: drawing is cheap, so a parser has its 10⁵
cases in seconds.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

TOKENS = [
    *b'\r\n \t \0 : ; , = < > @ [ ] " / % \\ \xff \xc3 0 -1 4294967296 99999999999999 1e9'.split(
        b" "
    ),
    *b"\r\n\r\n \n sip: tel: tag= branch=z9hG4bK Content-Length:0 CSeq: a=fmtp:96".split(b" "),
    *b"a=rtpmap:0 m=audio m=video a=crypto:1 inline: \xed\xa0\x80 \xf0\x9f\x93\x9e".split(b" "),
    # Digits to `isdigit` or `isdecimal` that `int` does not read, or that are no ASCII; line ends
    # to `splitlines` alone.
    *(text.encode() for text in "\u00b2 \u0661 \u2028 \x1c \x85".split(" ")),
    b" ",
]

SEEDS = st.integers(0, 2**64 - 1).map(random.Random)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a property is tried on.

    Attributes:
        of: Makes one of a source of chance.
        more: What Hypothesis makes by itself.
    """

    of: Callable[[random.Random], Any]
    more: st.SearchStrategy[Any] | None = None

    @property
    def strategy(self) -> st.SearchStrategy[Any]:
        """For Hypothesis."""
        made = SEEDS.map(self.of)
        return made if self.more is None else made | self.more


CHANCES = Drawn(lambda chance: random.Random(chance.getrandbits(64)))
"""A source of everything else that a case needs."""


def mangle(chance: random.Random, corpus: list[bytes]) -> bytes:
    """A sample with one to four accidents; one in eight is nothing but noise."""
    if not chance.randrange(8):
        return chance.randbytes(chance.randrange(120))
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.randint(1, 4)):
        at, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        match chance.randrange(7):
            case 0 if at < len(data):
                data[at] = chance.randrange(256)
            case 1:
                del data[at : min(end, at + 40)]
            case 2:
                data[at:at] = data[at : min(end, at + 60)] * chance.randint(1, 3)
            case 3:
                data[at:at] = chance.choice(TOKENS)
            case 4:
                data[at:at] = chance.randbytes(chance.randrange(12))
            case 5:
                other = chance.choice(corpus)
                data[at:] = other[chance.randrange(len(other) + 1) :]
            case 6:
                del data[at:]
    return bytes(data)


def mangled(*corpus: bytes) -> Drawn:
    """Samples after accidents, and what Hypothesis makes of bytes by itself."""
    samples = list(corpus)
    return Drawn(lambda chance: mangle(chance, samples), st.binary(max_size=300))


def mangled_text(*corpus: str) -> Drawn:
    """The same as text; what is no UTF-8 becomes the sign for that, or is read as Latin-1."""
    samples = [text.encode() for text in corpus]

    def written(chance: random.Random) -> str:
        data = mangle(chance, samples)
        return data.decode("latin-1") if chance.randrange(2) else data.decode("utf-8", "replace")

    return Drawn(written, st.text(max_size=20))


def in_pieces(chance: random.Random, data: bytes, longest: int) -> list[bytes]:
    """Cut as a network cuts a stream."""
    pieces, at = [], 0
    while at < len(data):
        size = chance.randint(1, longest)
        pieces.append(data[at : at + size])
        at += size
    return pieces
