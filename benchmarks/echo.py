"""The agent's own voice taken for the user, and users lost in it.

    python -m benchmarks.echo --data DIR [--minutes 30] [--raw] [--only self|recordings]

Self-echo: our own voice speaks for so many minutes; every call plays it through one of two
synthetic rooms back into the microphone, at -20 to 0 dB and 0 to 250 ms late, and in half of the
answers a person (`commands/`) speaks over it. The agent is not paused meanwhile, as it would be:
harder than life. Arms: as shipped behind WebRTC's canceller; the canceller alone, without level and
word veto; and, where --raw asks for it, level and veto without the canceller (slow: the recogniser
then reads the agent all the time).

Recordings (`echo/`, from Microsoft's AEC challenge): what a poor canceller left, without its
reference, so that the ladder has none of the agent's words and knows only that it speaks: far-end
clips in which the agent is cut, and double-talk clips in which it is not.

The real speech detector, recogniser and policy (`benchmarks.ladder`); prints one JSON line.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples, seconds
from agent.audio.echo import EchoCanceller
from agent.audio.resample import resample
from agent.tts.student import StudentVoice
from agent.turns.events import AgentFloor, Decision, DecisionKind
from agent.turns.overlap import OverlapSettings
from agent.turns.policy_settings import PolicySettings
from benchmarks.ladder import Ears, Sound, decisions
from benchmarks.machine import describe
from benchmarks.overlap_clips import CLIP_S

ROOMS = {"small": 0.25, "large": 0.6}
"""Time in which the room's tail falls by 60 dB."""

RETURNS_DB = (-20.0, -10.0, 0.0, -6.0)
DELAYS_S = (0.0, 0.05, 0.12, 0.25)
USER_DBFS = (-26.0, -20.0, -32.0)
"""Level of the person's speech; the agent's own is near -26."""

FOUND_WITHIN_S = 3.0
BETWEEN_S = 1.5
"""Silence behind an answer."""

AGENT_RMS = 1642.0
"""Of the voice that is taken to play behind a recording whose reference is not published: -26 dBFS,
the agent's level. A session always knows that its agent speaks, and how loud."""

ANSWERS = (
    "The museum was built in nineteen twelve by an architect from Vienna. It has been closed for "
    "repairs since the spring of last year, and the garden behind it is open on Sundays only. If "
    "you come by train, leave at the second station and walk along the river for ten minutes.",
    "Your order left our warehouse on Monday morning. The carrier says that it reached the depot "
    "in Manchester last night, so it should be with you between two and four tomorrow. You do not "
    "have to be at home, because the driver can leave it with a neighbour or in the porch.",
    "There are three ways to change the password. You can open the settings and choose security, "
    "you can answer the message that we send to your phone, or you can ask one of my colleagues. "
    "The first is the quickest, and it takes less than a minute if you know the old one.",
    "Saturn is the sixth planet from the sun and the second largest in the solar system. Its rings "
    "are made of ice and rock, and more than eighty moons go around it. The largest of them is "
    "called Titan, and its atmosphere is thicker than ours.",
    "We have a table by the window at seven, and another one on the terrace at half past eight. "
    "The kitchen closes at ten. Children are welcome, and there is a ramp at the side entrance "
    "for wheelchairs. Parking is free after six in the street behind the church.",
    "Before the engine is opened it should cool down for an hour. Take out the four screws at the "
    "bottom, lift the cover and look for a small green lever on the left. If it does not move, "
    "a drop of oil usually helps. Never use force, because the spring behind it breaks easily.",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One stretch of the agent's speech.

    Attributes:
        start: First sample in the call.
        end: Just after its last sample.
        barge_in: First sample of a person's speech over it; None where nobody speaks.
    """

    start: int
    end: int
    barge_in: int | None


@dataclass(frozen=True, slots=True)
class Call:
    """One room, one return level, one delay.

    Attributes:
        name: Of all three.
        far: What is played, shape (n,), int16, 16 kHz.
        near: What the microphone takes, same shape.
        words: The agent's words and the sample at which each has sounded.
        answers: In order.
    """

    name: str
    far: Int16Array
    near: Int16Array
    words: tuple[tuple[str, int], ...]
    answers: tuple[Answer, ...]

    def agent(self, at: int) -> AgentFloor:
        """What the agent has said by a sample, and what is left of the answer."""
        answer = next((a for a in self.answers if a.start <= at < a.end), None)
        if answer is None:
            return AgentFloor(at, is_speaking=False)
        own = [(word, end) for word, end in self.words if answer.start <= end <= answer.end]
        return AgentFloor(
            at,
            is_speaking=True,
            said=" ".join(word for word, end in own if end <= at),
            unsaid=" ".join(word for word, end in own if end > at),
        )


class Stage:
    """Makes calls out of the agent's voice, rooms and people."""

    def __init__(self, people: Sequence[Path], ears: Ears) -> None:
        """Begin.

        Args:
            people: 16 kHz recordings of persons speaking, one utterance each.
            ears: Find where each begins to speak.
        """
        self._paths = people
        self._ears = ears
        self._voice = StudentVoice()
        self._spoken: dict[int, tuple[Int16Array, tuple[tuple[str, int], ...]]] = {}

    def call(self, number: int, answers: int = 3) -> Call:
        """The call of that number; the same every time."""
        room, rt60_s = list(ROOMS.items())[number % len(ROOMS)]
        pairs = list(product(RETURNS_DB, DELAYS_S))
        return_db, delay_s = pairs[number // len(ROOMS) * 5 % len(pairs)]
        random = np.random.default_rng(number)
        far_parts: list[Int16Array] = [np.zeros(samples(0.5), np.int16)]
        words: list[tuple[str, int]] = []
        spans: list[Answer] = []
        user: list[tuple[int, Int16Array]] = []
        at = len(far_parts[0])
        for turn in range(answers):
            pcm, own = self._answer((number * answers + turn) % len(ANSWERS))
            words += [(word, at + end) for word, end in own]
            barge_in = None
            if (number + turn) % 2:
                begin = at + int(random.uniform(0.15, 0.6) * len(pcm))
                speech, onset = self._person(random, USER_DBFS[(number + turn) // 2 % 3])
                user.append((begin, speech))
                barge_in = begin + onset
            spans.append(Answer(at, at + len(pcm), barge_in))
            far_parts += [pcm, np.zeros(samples(BETWEEN_S), np.int16)]
            at += len(pcm) + samples(BETWEEN_S)
        far = np.concatenate(far_parts)
        near = echo_of(far, rt60_s, return_db, delay_s, number)
        near += random.normal(0, 8.0, len(near))
        for begin, speech in user:
            stretch = speech[: len(near) - begin]
            near[begin : begin + len(stretch)] += stretch
        name = f"{number}: {room} room, {return_db:g} dB, {1000 * delay_s:g} ms"
        return Call(name, far, _clipped(near), tuple(words), tuple(spans))

    def _answer(self, number: int) -> tuple[Int16Array, tuple[tuple[str, int], ...]]:
        if number not in self._spoken:
            pcm: list[Int16Array] = []
            words: list[tuple[str, int]] = []
            at = 0
            for sentence in ANSWERS[number].split(". "):
                for speech in self._voice.speak(sentence.rstrip(".") + "."):
                    part = resample(speech.pcm, speech.sample_rate, SAMPLE_RATE)
                    words += [(w.text, at + samples(w.end_s)) for w in speech.words]
                    pcm.append(part)
                    at += len(part)
            self._spoken[number] = np.concatenate(pcm), tuple(words)
        return self._spoken[number]

    def _person(self, random: np.random.Generator, level_dbfs: float) -> tuple[Int16Array, int]:
        while True:
            path = self._paths[random.integers(len(self._paths))]
            pcm, _ = soundfile.read(path, dtype="int16")
            onset = self._ears.first_speech(pcm)
            if onset is not None:
                break
        start = max(0, onset - samples(0.1))
        speech = pcm[start : start + samples(CLIP_S)].astype(np.float64)
        loud = np.sort(speech**2)[-len(speech) // 4 :].mean()
        gain = 10 ** (level_dbfs / 20) * 32768 / np.sqrt(loud)
        return _clipped(speech * gain), onset - start


def hear(call: Call, ears: Ears, *, cancel: bool) -> Sound:
    """What the ladder would be told of a call."""
    near = EchoCanceller().process(call.near, call.far) if cancel else call.near
    return ears.listen(near, call.far)


@dataclass
class Tally:
    """Answers of one arm."""

    minutes: float = 0.0
    answers: int = 0
    self_interruptions: int = 0
    barge_ins: int = 0
    passed: int = 0

    def take(self, call: Call, sound: Sound, ears: Ears, settings: OverlapSettings) -> None:
        """Judge a call."""
        self.minutes += sum(a.end - a.start for a in call.answers) / SAMPLE_RATE / 60
        for answer in call.answers:
            cut = taken_at(
                decisions(
                    sound,
                    call.agent,
                    ears,
                    PolicySettings(overlap=settings),
                    answer.start,
                    answer.end + samples(1.0),
                )
            )
            self.answers += 1
            by_itself = answer.end + samples(1.0) if answer.barge_in is None else answer.barge_in
            if cut is not None and cut < by_itself:
                self.self_interruptions += 1
            elif answer.barge_in is not None:
                self.barge_ins += 1
                found = cut is not None and cut <= answer.barge_in + samples(FOUND_WITHIN_S)
                self.passed += found

    def report(self) -> dict[str, Any]:
        """As printed."""
        return {
            "minutes_of_agent_speech": round(self.minutes, 1),
            "answers": self.answers,
            "self_interruptions": self.self_interruptions,
            "barge_ins": self.barge_ins,
            "barge_ins_passed_share": round(self.passed / max(1, self.barge_ins), 4),
        }


def taken_at(made: Iterable[Decision]) -> int | None:
    """When the floor was taken from the agent, or what was said over it was answered."""
    takes = (DecisionKind.BARGE_IN, DecisionKind.COMMIT)
    return next((decision.at_sample for decision in made if decision.kind in takes), None)


def self_echo(folder: Path, minutes: float, ears: Ears, *, raw: bool) -> dict[str, Any]:
    """All arms on the same calls."""
    settings = OverlapSettings()
    deaf = replace(settings, echo_share=2.0, echo_margin_db=-200.0)
    arms = {"shipped": Tally(), "canceller_alone": Tally()}
    if raw:
        arms["without_canceller"] = Tally()
    people = sorted((folder / "commands").glob("*.flac"))
    if not people:
        sys.exit(f"no recordings in {folder / 'commands'}; give their folder with --data")
    stage = Stage(people, ears)
    number = 0
    while arms["shipped"].minutes < minutes:
        call = stage.call(number)
        cleaned = hear(call, ears, cancel=True)
        arms["shipped"].take(call, cleaned, ears, settings)
        arms["canceller_alone"].take(call, cleaned, ears, deaf)
        if raw:
            arms["without_canceller"].take(call, hear(call, ears, cancel=False), ears, settings)
        print(call.name, {name: arm.report() for name, arm in arms.items()}, file=sys.stderr)
        number += 1
    return {name: tally.report() for name, tally in arms.items()}


def recordings(folder: Path, ears: Ears) -> dict[str, Any]:
    """Far-end clips taken for the user, double-talk clips missed."""
    taken = {"farend_singletalk": [0, 0], "doubletalk": [0, 0]}
    random = np.random.default_rng(0)
    speaking = AgentFloor(0, is_speaking=True)
    for path in sorted((folder / "echo").glob("*.flac")):
        kind = next(kind for kind in taken if kind in path.stem)
        pcm, _ = soundfile.read(path, dtype="int16")
        far = np.rint(random.normal(0, AGENT_RMS, len(pcm))).astype(np.int16)
        at = taken_at(decisions(ears.listen(pcm, far), lambda at: speaking, ears))
        taken[kind][0] += at is not None
        taken[kind][1] += 1
        if (at is not None) == (kind == "farend_singletalk"):
            print("wrong:", path.stem, at and round(seconds(at), 2), file=sys.stderr)
    far_end, double = taken["farend_singletalk"], taken["doubletalk"]
    return {
        "far_end_clips": far_end[1],
        "far_end_taken_share": round(far_end[0] / max(1, far_end[1]), 4),
        "double_talk_clips": double[1],
        "double_talk_missed_share": round(1 - double[0] / max(1, double[1]), 4),
    }


def echo_of(
    far: Int16Array, rt60_s: float, return_db: float, delay_s: float, seed: int
) -> npt.NDArray[np.float64]:
    """`far` as a room gives it back, its direct sound `return_db` and `delay_s` behind."""
    random = np.random.default_rng(10_000 + seed)
    size = samples(rt60_s)
    tail = random.normal(0, 1, size) * 10 ** (-3 * np.arange(size) / size)
    tail[: samples(0.002)] = 0.0
    # Direct sound as strong as all reflections together: a metre from the loudspeaker.
    impulse = tail / np.sqrt((tail**2).sum()) * np.sqrt(0.5)
    impulse[0] = np.sqrt(0.5)
    length = len(far) + size
    spectrum = np.fft.rfft(far.astype(np.float64), length) * np.fft.rfft(impulse, length)
    wet = np.fft.irfft(spectrum, length)[: len(far)] * 10 ** (return_db / 20)
    shift = samples(delay_s)
    return np.concatenate([np.zeros(shift), wet])[: len(far)]


def _clipped(signal: npt.NDArray[np.float64]) -> Int16Array:
    pcm: Int16Array = np.clip(np.rint(signal), -32768, 32767).astype(np.int16)
    return pcm


def main(folder: Path, minutes: float, *, raw: bool, only: str) -> dict[str, Any]:
    ears = Ears()
    report: dict[str, Any] = {"benchmark": "echo", "machine": describe()}
    if only != "recordings":
        report["self_echo"] = self_echo(folder, minutes, ears, raw=raw)
    if only != "self":
        report["recordings"] = recordings(folder, ears)
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--raw", action="store_true", help="also without the canceller")
    parser.add_argument("--only", choices=("", "self", "recordings"), default="")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    given = parser.parse_args()
    print(json.dumps(main(given.data, given.minutes, raw=given.raw, only=given.only)))
