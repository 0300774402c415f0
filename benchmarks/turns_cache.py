"""Every pause of the recordings, heard once by the real models and kept for replays.

    python -m benchmarks.turns_cache --data DIR --into FILE [--only commands,...] [--window S]

A line of FILE is one `Pause`: what was known in it and when. Models are slow and decisions are not,
so fitting and judging read this file. It holds what people said and stays out of the repository. A
run that was stopped goes on where it stopped.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from agent.asr.moonshine import Moonshine
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples, seconds, to_float
from agent.models.store import locate
from agent.turns.ending import PROSODY_UNTIL_S
from agent.turns.prosody import ProsodySchedule
from agent.turns.smart_turn import WINDOW_S, SmartTurn
from agent.vad.endpointer import Endpointer, EndpointerSettings, SpeechStarted, SpeechStopped
from agent.vad.silero import HOP, SileroModel, SileroPosterior
from benchmarks.pipecat_smart_turn import PipecatSmartTurn
from benchmarks.turns_data import SOURCES, Utterance

SCORED_AT_S = (0.096, 0.192, 0.288, 0.384, 0.576, 0.768, 1.056, 1.344, 1.632)
"""Silences at which the rivals ask Smart Turn: close together where decisions fall, wider after."""

SCORED = {"queries": 2, "digits": 2, "emails": 2, "spelled": 2}
"""How many of these moments, by source, where no rival is swept."""

PRE_ROLL = samples(0.36)

FOUND = ("commands", "prompts")
"""Sources of recordings as somebody left them, in which a last noise may be no speech."""


@dataclass(frozen=True, slots=True)
class Pause:
    """One silence, and what could be known in it.

    Attributes:
        clip: Whose silences are never divided between fitting and judging.
        source: Of the recording: a name in `benchmarks.turns_data.SOURCES`.
        is_end: Whether the turn ends here.
        is_made: Whether the pause was put there; its length is then drawn from the law of pauses.
        lasts_s: How long, for a pause that was spoken or whose length was part of its making.
        spoken_s: Speech of the turn so far, from its first word to here.
        text: The recogniser's, of all speech before.
        words: Each word's text, start and end before the silence (seconds, negative), confidence.
        tokens: Probability of each token of the text.
        prosody: Smart Turn's probability after each of `SCORED_AT_S`, of all that it can hear.
        voice: The scores that the agent asks for, as it asks for them: of how much silence, and
            the probability.
        expects: What the dialogue asked for: "", "digits" or "spelling".
        digits: How many digits were asked for, 0 when not known.
        wording: The language model's probability that the text is all; None where it was not asked
            (`benchmarks.turns_wording`).
    """

    clip: str
    source: str
    is_end: bool
    is_made: bool
    lasts_s: float | None
    spoken_s: float
    text: str
    words: tuple[tuple[str, float, float, float], ...]
    tokens: tuple[float, ...]
    prosody: tuple[float, ...]
    voice: tuple[tuple[float, float], ...]
    expects: str = ""
    digits: int = 0
    wording: float | None = None


class Ears:
    """The real models."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._silero = SileroModel(locate("silero-vad") / "silero_vad.onnx")
        export = locate("smart-turn-v3.2") / "smart-turn-v3.2-cpu.onnx"
        self._smart_turn = SmartTurn(export, window_s)
        self._rival = PipecatSmartTurn()
        self.moonshine = Moonshine(locate("moonshine-base-en"))

    def segments(self, pcm: Int16Array) -> list["Segment"]:
        """Where speech starts and stops, as every system in the benchmark sees it."""
        posterior = SileroPosterior(self._silero)
        endpointer = Endpointer(EndpointerSettings(), SAMPLE_RATE, HOP)
        schedule = ProsodySchedule()
        found: list[Segment] = []
        start, early = 0, None
        for end in range(HOP, len(pcm) + 1, HOP):
            probability = posterior.push(pcm[end - HOP : end])
            change = endpointer.push(probability, end)
            if isinstance(change, SpeechStarted):
                start = change.start_sample
            elif isinstance(change, SpeechStopped):
                found.append(Segment(start, change.end_sample, []))
                if early and schedule.is_early_valid:
                    found[-1].asked.append(early)
            is_speaking = endpointer.is_speech
            due = schedule.hop(end, probability, is_speaking=is_speaking, is_free=True)
            if due and is_speaking:
                early = (end, due.silence)
            elif due:
                found[-1].asked.append((end, due.silence))
        return found

    def pauses(self, utterance: Utterance) -> Iterator[Pause]:
        """Every silence of an utterance that matters to its benchmark."""
        segments = self.segments(utterance.pcm)
        if not segments:
            return
        texts = [self._read(utterance.pcm, segments[0].start, one.end) for one in segments]
        # A knock or the recording being switched off is no speech: it adds no word.
        is_found = utterance.source in FOUND
        while is_found and len(segments) > 1 and len(texts[-1].words) <= len(texts[-2].words):
            segments.pop()
            texts.pop()
        for number, (segment, read) in enumerate(zip(segments, texts, strict=True)):
            is_last, end = number == len(segments) - 1, segment.end
            until = len(utterance.pcm) if is_last else segments[number + 1].start
            if not read.words or (utterance.only_last and not is_last):
                continue
            if not is_last and seconds(until - end) < SHORTEST_S:
                continue
            yield Pause(
                clip=utterance.clip,
                source=utterance.source,
                is_end=is_last and not utterance.goes_on,
                is_made=utterance.goes_on,
                lasts_s=None if is_last else seconds(until - end),
                spoken_s=seconds(end - segments[0].start),
                text=read.text,
                words=tuple(
                    (
                        word.text,
                        round(seconds(word.start_sample + read.start - end), 3),
                        round(seconds(word.end_sample + read.start - end), 3),
                        round(word.confidence, 4),
                    )
                    for word in read.words
                ),
                tokens=tuple(round(value, 4) for value in read.tokens),
                prosody=self._sounds(utterance, end, until),
                voice=self._scores(utterance.pcm, segment, until),
                expects=utterance.expects,
                digits=utterance.digits,
            )

    def _read(self, pcm: Int16Array, first: int, end: int) -> "_Read":
        # Up to the first silent hop, as the agent reads.
        start = max(0, first - PRE_ROLL)
        read = self.moonshine.transcribe(to_float(pcm[start : end + HOP]))
        return _Read(start, read.text, read.words, read.probabilities)

    def _sounds(self, utterance: Utterance, end: int, until: int) -> tuple[float, ...]:
        pcm, scores = utterance.pcm, []
        for silence_s in SCORED_AT_S[: SCORED.get(utterance.source)]:
            at = end + samples(silence_s)
            if at > until:
                break
            scores.append(round(self._rival.score(pcm[:at]), 5))
        return tuple(scores)

    def _scores(
        self, pcm: Int16Array, segment: "Segment", until: int
    ) -> tuple[tuple[float, float], ...]:
        """What the agent is told of a silence that lasts until `until`."""
        scores = []
        for at, silence in segment.asked:
            silence_s = seconds(at + silence - segment.end)
            if at > until or silence_s > PROSODY_UNTIL_S:
                break
            heard = np.concatenate([pcm[:at], np.zeros(silence, np.int16)])
            scores.append((round(silence_s, 3), round(self._smart_turn.score(heard), 5)))
        return tuple(scores)


SHORTEST_S = 0.2
"""Shorter silences are no pause: nothing could have been decided in them."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Speech, and what is asked about the silence behind it.

    Attributes:
        start: First sample.
        end: Just after the last.
        asked: When the agent asks for a score, and how much digital silence it puts behind.
    """

    start: int
    end: int
    asked: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Read:
    start: int
    text: str
    words: tuple  # type: ignore[type-arg]
    tokens: tuple[float, ...]


def load(path: Path) -> list[Pause]:
    """Read a cache."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    wordings = {row["read"]: row["ends"] for row in rows if "read" in row}
    pauses = []
    for row in rows:
        if "source" in row:
            row["wording"] = wordings.get(row["text"])
            nested = {key: tuple(tuple(one) for one in row[key]) for key in ("words", "voice")}
            plain = {key: tuple(row[key]) for key in ("tokens", "prosody")}
            pauses.append(Pause(**row | nested | plain))
    return pauses


def record(data: Path, into: Path, only: list[str], window_s: float = WINDOW_S) -> None:
    """Hear what is not yet in the cache."""
    done = set()
    if into.exists():
        for line in into.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if "done" in row:
                done.add(row["done"])
    ears = Ears(window_s)
    with into.open("a", encoding="utf-8") as cache:
        for name in only:
            for utterance in SOURCES[name](data, ears.moonshine):
                if utterance.name in done:
                    continue
                for pause in ears.pauses(utterance):
                    cache.write(json.dumps(asdict(pause)) + "\n")
                cache.write(json.dumps({"done": utterance.name}) + "\n")
                cache.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--only", default=",".join(SOURCES))
    parser.add_argument("--window", type=float, default=WINDOW_S, help="seconds Smart Turn hears")
    options = parser.parse_args()
    np.seterr(all="ignore")
    record(options.data, options.into, options.only.split(","), options.window)
