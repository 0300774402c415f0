"""Utterances with pauses, real and made, for judging the end of a turn.

Real: spoken orders (`commands/`), each with its own pauses and its room's tone behind. Made from
them: the same orders stopped between two words, with the room's tone in the place of the rest, as
if the speaker were thinking there. Spoken digits (`digits/`) joined to phone and card numbers with
pauses between groups. Telephone prompts, whole and stopped between two words. Addresses and
spelling by our own voice. Everything is drawn with fixed seeds from the name of the clip.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from agent.asr.moonshine import Moonshine
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples, to_float, to_int16
from benchmarks.boundary_data import Said, is_kept_out, said
from benchmarks.corpus import CorpusUnavailableError, telephone_prompts

LONGEST_S = 12.0
TAIL_S = 2.0
"""Silence behind every utterance: longer than the last score."""

CUTS = 2
"""Places at which each order or prompt is stopped."""

NUMBERS = 20
"""Dictated by each speaker."""

GROUP_PAUSE_S = (0.4, 1.5)
"""Between groups of digits, as people read out numbers."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording as it is played.

    Attributes:
        name: Of this utterance, unique.
        clip: Of the recording it was made from.
        source: Of the kind.
        pcm: Mono, int16, 16 kHz, with at least `TAIL_S` of room tone at the end.
        goes_on: Whether the speaker is only pausing at the end.
        only_last: Whether only the last pause counts, the others being another utterance's.
        expects: What the dialogue asked for.
        digits: How many digits it asked for.
    """

    name: str
    clip: str
    source: str
    pcm: Int16Array
    goes_on: bool = False
    only_last: bool = False
    expects: str = ""
    digits: int = 0


def seeded(name: str) -> random.Random:
    """Chance that depends on a name alone."""
    return random.Random(hashlib.sha256(name.encode()).digest())


def commands(data: Path, moonshine: Moonshine) -> Iterator[Utterance]:
    """Orders as they were spoken, and the same stopped between two words."""
    for path in sorted((data / "commands").glob("*.flac"), key=lambda path: path.stem[::-1]):
        pcm, _ = soundfile.read(path, dtype="int16")
        pcm = pcm[: samples(LONGEST_S)]
        yield Utterance(path.stem, path.stem, "commands", pcm)
        yield from _stopped(path.stem, "commands", pcm, moonshine)


def prompts(data: Path, moonshine: Moonshine) -> Iterator[Utterance]:
    """A studio speaker's telephone prompts of at least five words."""
    try:
        recordings = telephone_prompts(least_words=5)
    except CorpusUnavailableError:
        return
    chosen = [one for one in recordings if one.text.rstrip()[-1] in ".?!"]
    for one in sorted(chosen, key=lambda one: seeded(one.name).random())[:120]:
        pcm = one.pcm[: samples(LONGEST_S)]
        tone = _room_tone(pcm, samples(TAIL_S), np.random.default_rng(1))
        whole = _joined(pcm, tone)
        yield Utterance(f"prompt-{one.name}", f"prompt-{one.name}", "prompts", whole)
        yield from _stopped(f"prompt-{one.name}", "prompts", pcm, moonshine)


def _stopped(name: str, source: str, pcm: Int16Array, moonshine: Moonshine) -> Iterator[Utterance]:
    words = moonshine.transcribe(to_float(pcm)).words
    chance = seeded(name)
    places = list(range(1, len(words)))
    chance.shuffle(places)
    rng = np.random.default_rng(chance.getrandbits(32))
    for before in sorted(places[:CUTS]):
        at = _quietest(pcm, words[before - 1].end_sample, words[before].start_sample)
        stopped = _joined(pcm[:at], _room_tone(pcm, samples(TAIL_S), rng))
        yield Utterance(f"{name}-{before}", name, source, stopped, goes_on=True, only_last=True)


def digits(data: Path, moonshine: Moonshine) -> Iterator[Utterance]:
    """Numbers of 10 to 16 digits, by three people, with pauses between groups."""
    spoken: dict[str, dict[str, list[Path]]] = {}
    for path in sorted((data / "digits").glob("*.flac")):
        digit, speaker, _ = path.stem.split("_")
        spoken.setdefault(speaker, {}).setdefault(digit, []).append(path)
    for number in range(NUMBERS):
        for speaker, by_digit in spoken.items():
            name = f"digits-{speaker}-{number}"
            chance = seeded(name)
            count = chance.randint(10, 16)
            parts: list[Int16Array] = []
            left = 0
            rng = np.random.default_rng(number)
            for index in range(count):
                take = chance.choice(by_digit[chance.choice(sorted(by_digit))])
                pcm, rate = soundfile.read(take, dtype="float32")
                parts.append(to_int16(soxr.resample(pcm, rate, SAMPLE_RATE).astype(np.float32)))
                left = left - 1 if left else chance.choice((2, 2, 3))
                if index + 1 < count:
                    gap = chance.uniform(*GROUP_PAUSE_S) if left == 0 else chance.uniform(0.02, 0.1)
                    parts.append(hiss(samples(gap), rng))
            parts.append(hiss(samples(TAIL_S), rng))
            yield Utterance(
                name,
                f"digits-{speaker}-{number}",
                "digits",
                np.concatenate([hiss(samples(0.4), rng), *parts]),
                expects="digits",
                digits=count,
            )


_EMAILS = (
    "j o h n, dot smith, at, gmail dot com",
    "m a r i a, underscore, lopez, at, yahoo dot com",
    "support, at, green valley, dot org",
    "p e t e r, four two, at, hotmail dot com",
    "anna dot k, at, university, dot e d u",
    "it's k a r l, dash, heinz, at, web dot d e",
    "info, at, north, bakery, dot com",
    "my address is, tom, dot, baker, at, outlook dot com",
    "s u s a n, nineteen, eighty two, at, i cloud dot com",
    "billing, underscore, team, at, acme, dot net",
    "r dot, o'brien, at, trinity, dot i e",
    "hello, at, j m, d e s i g n, dot studio",
    "write to, mike, at, mike's garage, dot co, dot u k",
    "d a v e, seven seven, at, proton, dot me",
    "lucy, dot, van, dot, dyke, at, city hall, dot gov",
    "n dot patel, at, clinic, dash, west, dot org",
    "office, at, b r o w n, and sons, dot com",
    "it is, x y z, one two three, at, mail dot com",
    "paul, at, paul, dash, wright, dot photos",
    "emma, dot, j, dot, stone, at, gmail, dot com",
)

_SPELLED = (
    "my name is spelled, s m, i t h, s o n",
    "k o w, a l s, k i",
    "t h o, m p s, o n",
    "B as in bravo, R as in romeo, X as in x-ray, seven",
    "order number, a b four, seven nine, k k two",
    "W three, double seven, dash, nine one, zero",
    "oh seven, double nine, four four two, one six, eight",
    "plus four four, two oh, seven nine four six, oh nine five eight",
    "four two four two, four two four two, one three one three, oh oh one seven",
    "five five five, eight six seven, five three oh nine",
    "twelve, baker street, london, n w one, six x e",
    "one hundred and four, oak avenue, apartment, three b",
    "the postcode is, s w one a, two a a",
    "it's spelled, m c, c o n, n e l l",
    "z e, d e r, b a u m",
    "double u, i l, k i n, s o n",
    "A as in alpha, T as in tango, nine, four, L as in lima",
    "serial number, x j, four four, dash, seven b",
    "reference, two oh, m k, eight one",
    "the code is, q, seven, double f, three",
)
"""Commas are where the group pauses go."""

VOICES = ("af_heart", "bm_george")


def emails(data: Path, moonshine: Moonshine) -> Iterator[Utterance]:
    """Addresses of mail by our own voice: comma for comma a group pause."""
    return _dictated("emails", _EMAILS)


def spelled(data: Path, moonshine: Moonshine) -> Iterator[Utterance]:
    """Spelling, codes and street addresses, likewise."""
    return _dictated("spelled", _SPELLED)


def _dictated(source: str, lines: Sequence[str]) -> Iterator[Utterance]:
    from hibari import Hibari

    voice = Hibari(threads=1)
    for number, line in enumerate(lines):
        name = f"{source}-{number}"
        chance = seeded(name)
        rng = np.random.default_rng(number)
        parts = [hiss(samples(0.4), rng)]
        groups = line.split(",")
        for index, group in enumerate(groups):
            said = np.asarray(voice(group.strip(), seed=number), np.float32)
            pcm = to_int16(soxr.resample(said, 24_000, SAMPLE_RATE).astype(np.float32))
            parts.append(_trimmed(pcm))
            last = index + 1 == len(groups)
            gap = TAIL_S if last else chance.uniform(*GROUP_PAUSE_S)
            parts.append(hiss(samples(gap), rng))
        yield Utterance(name, name, source, np.concatenate(parts), expects="spelling")


QUERIES = 180
SPEEDS = (0.85, 1.0, 1.2)


def queries(data: Path, moonshine: Moonshine) -> Iterator[Utterance]:
    """What people say to machines, by our own voice: whole, and stopped between two words.

    Of the texts that `benchmarks.fit_boundary` keeps out (`data/texts` holds the repositories of
    `benchmarks.boundary_data`): a voice that Smart Turn has not heard, and short questions.
    """
    from hibari import Hibari

    voice = Hibari(threads=1)
    texts = [one.text for one in said(data / "texts") if is_kept_out(one.text) and _is_short(one)]
    for number, text in enumerate(sorted(texts, key=lambda text: seeded(text).random())[:QUERIES]):
        name = f"query-{number}"
        chance = seeded(name)
        rng = np.random.default_rng(number)
        mark = "" if text.rstrip().endswith((".", "?", "!")) else "."
        speed = chance.choice(SPEEDS)
        spoken = np.asarray(voice(text.strip() + mark, speed, seed=number), np.float32)
        pcm = _trimmed(to_int16(soxr.resample(spoken, 24_000, SAMPLE_RATE).astype(np.float32)))
        pcm = np.concatenate([hiss(samples(0.4), rng), pcm])
        yield Utterance(name, name, "queries", np.concatenate([pcm, hiss(samples(TAIL_S), rng)]))
        words = moonshine.transcribe(to_float(pcm)).words
        if len(words) < 2:
            continue
        before = chance.randrange(1, len(words))
        at = _quietest(pcm, words[before - 1].end_sample, words[before].start_sample)
        stopped = _joined(pcm[:at], hiss(samples(TAIL_S), rng))
        yield Utterance(f"{name}-{before}", name, "queries", stopped, goes_on=True, only_last=True)


def _is_short(one: Said) -> bool:
    return not one.is_answer and one.source != "snips" and 3 <= len(one.text.split()) <= 14


SOURCES: dict[str, Callable[[Path, Moonshine], Iterator[Utterance]]] = {
    "commands": commands,
    "digits": digits,
    "emails": emails,
    "spelled": spelled,
    "prompts": prompts,
    "queries": queries,
}


def _quietest(pcm: Int16Array, end: int, start: int) -> int:
    """The quietest 20 ms around a word boundary."""
    width = samples(0.02)
    lowest = max(0, end - 2 * width)
    highest = min(len(pcm) - width, max(start, end) + width)
    places = range(lowest, max(highest, lowest + 1), width // 4)
    energy = [float(np.square(pcm[at : at + width].astype(np.float64)).sum()) for at in places]
    return places[int(np.argmin(energy))] + width // 2


def _room_tone(pcm: Int16Array, length: int, rng: np.random.Generator) -> Int16Array:
    """The clip's own quietest half second, turned about and joined until it is long enough."""
    width = min(samples(0.5), len(pcm) // 2)
    step = width // 5
    blocks = [pcm[at : at + width] for at in range(0, len(pcm) - width, step)]
    levels = [float(np.square(block.astype(np.float64)).mean()) for block in blocks]
    # Digital silence is a gap in a recording, not its room.
    audible = [index for index, level in enumerate(levels) if level > 1.0] or [
        int(np.argmax(levels))
    ]
    quietest = blocks[min(audible, key=lambda index: levels[index])]
    fade = np.linspace(0.0, 1.0, samples(0.05))
    tone = quietest.astype(np.float64)
    while len(tone) < length:
        following = quietest[::-1] if rng.random() < 0.5 else np.roll(quietest, rng.integers(width))
        head = tone[-len(fade) :] * (1 - fade) + following[: len(fade)] * fade
        tone = np.concatenate([tone[: -len(fade)], head, following[len(fade) :]])
    return tone[:length].astype(np.int16)


def _joined(head: Int16Array, tail: Int16Array) -> Int16Array:
    """Without a click: 8 ms of fading over."""
    width = samples(0.008)
    fade = np.linspace(0.0, 1.0, width)
    over = head[-width:] * (1 - fade) + tail[:width] * fade
    return np.concatenate([head[:-width], over.astype(np.int16), tail[width:]])


def hiss(length: int, rng: np.random.Generator) -> Int16Array:
    """A quiet line, -66 dBFS: the digits come without a room."""
    return np.clip(rng.normal(0.0, 16.0, length), -200, 200).astype(np.int16)


def _trimmed(pcm: Int16Array) -> Int16Array:
    loud = np.flatnonzero(np.abs(pcm) > 300)
    return pcm[loud[0] : loud[-1] + 1] if len(loud) else pcm
