"""A long recording cut into utterances, at its pauses. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.audio.chunk import samples
from agent.parakeet.engine import Transcript, Word
from agent.vad.silero import HOP

LONGEST_S = 24.0
"""Of one segment: Parakeet was trained on utterances up to about this long."""

PAUSE_S = 0.4
"""Silence this long ends a segment once it has `ENOUGH_S`."""

ENOUGH_S = 8.0
"""Shorter segments lose context and fill batches badly."""

MARGIN_S = 0.16
"""Kept around speech."""

_SPEECH = 0.35


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a recording.

    Attributes:
        start_sample: Of its first sample, at 16 kHz.
        end_sample: Just after its last.
    """

    start_sample: int
    end_sample: int


def cut(posterior: Sequence[float], length: int, longest_s: float = LONGEST_S) -> list[Segment]:
    """Cut a recording where nobody speaks; leave out what is silent.

    Args:
        posterior: Of speech, for each hop of 512 samples, the last one perhaps not full.
        length: Samples of the recording.
        longest_s: No segment is longer. Speech without a pause is cut at its weakest hop.

    Returns:
        Segments in order, which do not overlap; none where there is no speech.
    """
    longest, enough = samples(longest_s) // HOP, samples(ENOUGH_S) // HOP
    pause, margin = samples(PAUSE_S) // HOP, samples(MARGIN_S) // HOP
    found: list[tuple[int, int]] = []
    start = end = None
    for hop, probability in enumerate(posterior):
        if probability >= _SPEECH:
            start = hop if start is None else start
            end = hop + 1
        if start is None or end is None:
            continue
        silence = hop + 1 - end
        if silence >= pause and (end - start >= enough or silence >= 4 * pause):
            found.append((start, end))
            start = end = None
        elif end - start >= longest - 2 * margin:
            weakest = min(range(start + (end - start) // 2, end), key=lambda at: posterior[at])
            found.append((start, weakest + 1))
            start = weakest + 1
    if start is not None and end is not None and end > start:
        found.append((start, end))
    return _with_margins(found, margin, length)


def _with_margins(found: list[tuple[int, int]], margin: int, length: int) -> list[Segment]:
    cuts = []
    for index, (start, end) in enumerate(found):
        before = found[index - 1][1] if index else 0
        after = found[index + 1][0] if index + 1 < len(found) else length // HOP + 1
        # Half a pause each, so that no sample is heard twice.
        first = start - min(margin, (start - before) // 2)
        last = end + min(margin, (after - end) // 2)
        cuts.append(Segment(first * HOP, min(length, last * HOP)))
    return cuts


def stitch(parts: Sequence[tuple[Segment, Transcript]]) -> Transcript:
    """One transcript of all segments, with times in the recording."""
    spoken = [(segment, part) for segment, part in parts if part.text]
    words = tuple(
        replace(
            word,
            start_sample=segment.start_sample + word.start_sample,
            end_sample=segment.start_sample + word.end_sample,
        )
        for segment, part in spoken
        for word in part.words
    )
    known = [(len(part.text), part.confidence) for _, part in spoken if part.confidence is not None]
    weight = sum(size for size, _ in known)
    return Transcript(
        text=" ".join(part.text for _, part in spoken),
        words=words,
        confidence=sum(size * value for size, value in known) / weight if weight else None,
        language=spoken[0][1].language if spoken else None,
    )


def sentences(words: Sequence[Word], longest_s: float = 7.0) -> list[list[Word]]:
    """Group words for subtitles: a sentence, or as much as fits a caption."""
    groups: list[list[Word]] = []
    for word in words:
        group = groups[-1] if groups else []
        is_full = bool(group) and (
            group[-1].text.endswith((".", "!", "?"))
            or word.end_sample - group[0].start_sample > samples(longest_s)
        )
        if not group or is_full:
            groups.append([word])
        else:
            group.append(word)
    return groups
