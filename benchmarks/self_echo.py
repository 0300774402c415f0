"""The agent beside its own loudspeaker, ducked and paused as in a call, on the sample clock.

What is played comes out of the real playout buffer, goes through a synthetic room, is mixed with a
person now and then, and comes back through the real canceller, speech detector, recogniser and
policy, whose decisions act on the buffer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples, seconds
from agent.audio.echo import EchoCanceller
from agent.playout.buffer import PlayoutBuffer
from agent.playout.ledger import Ledger
from agent.processors.playout import DUCKED
from agent.tts.student import StudentVoice
from agent.turns.echo import EchoLevel
from agent.turns.events import AgentFloor, Decision, DecisionKind, SpeechProbability
from agent.turns.floor import Floor
from agent.turns.overlap_settings import OverlapSettings
from agent.turns.policy_settings import PolicySettings
from agent.vad.foreground import Foreground
from agent.vad.silero import HOP, SileroPosterior
from benchmarks.ladder import Ears, Ladder, caller_only
from benchmarks.overlap_clips import CLIP_S
from benchmarks.voices import Spoken, joined

ROOMS = {"small": 0.25, "large": 0.6}
"""Time in which the room's tail falls by 60 dB."""

RETURNS_DB = (-20.0, -10.0, 0.0, -6.0)
DELAYS_S = (0.0, 0.05, 0.12, 0.25)
USER_DBFS = (-26.0, -20.0, -32.0)
"""Level of the person's speech; the agent's own is near -26."""

FOUND_WITHIN_S = 3.0
BETWEEN_S = 1.5
"""Silence behind an answer."""

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


class Room:
    """Gives back what is played, its direct sound `return_db` and `delay_s` behind."""

    def __init__(self, rt60_s: float, return_db: float, delay_s: float, seed: int) -> None:
        impulse = np.zeros(samples(delay_s) + samples(rt60_s))
        impulse[samples(delay_s) :] = impulse_of(rt60_s, seed) * 10 ** (return_db / 20)
        self._size = HOP + len(impulse)
        self._spectrum = np.fft.rfft(impulse, self._size)
        self._coming = np.zeros(self._size)

    def push(self, played: Int16Array) -> npt.NDArray[np.float64]:
        """What comes back while `played` (shape (512,)) sounds."""
        spectrum = np.fft.rfft(played.astype(np.float64), self._size)
        self._coming += np.fft.irfft(spectrum * self._spectrum, self._size)
        now = self._coming[:HOP].copy()
        self._coming = np.concatenate([self._coming[HOP:], np.zeros(HOP)])
        return now


def impulse_of(rt60_s: float, seed: int) -> npt.NDArray[np.float64]:
    """A room's impulse response, a metre from the loudspeaker.

    There the direct sound is as strong as all reflections together.
    """
    size = samples(rt60_s)
    tail = np.random.default_rng(10_000 + seed).normal(0, 1, size)
    tail *= 10 ** (-3 * np.arange(size) / size)
    tail[: samples(0.002)] = 0.0
    impulse: npt.NDArray[np.float64] = tail / np.sqrt((tail**2).sum()) * np.sqrt(0.5)
    impulse[0] = np.sqrt(0.5)
    return impulse


class Cast:
    """Those who speak: the agent and the people."""

    def __init__(self, people: Sequence[Path], ears: Ears) -> None:
        """Begin.

        Args:
            people: 16 kHz recordings of persons speaking, one utterance each.
            ears: Find where each begins to speak.
        """
        self._paths = people
        self._ears = ears
        self._voice = StudentVoice()
        self._spoken: dict[int, Spoken] = {}

    def answer(self, number: int) -> Spoken:
        """One of `ANSWERS`, spoken."""
        number %= len(ANSWERS)
        if number not in self._spoken:
            sentences = [part.rstrip(".") + "." for part in ANSWERS[number].split(". ")]
            self._spoken[number] = joined(chain.from_iterable(map(self._voice.speak, sentences)))
        return self._spoken[number]

    def person(self, random: np.random.Generator, level_dbfs: float) -> Int16Array:
        """Somebody's first 2.6 s, from 0.1 s before the first word, at a level."""
        while True:
            path = self._paths[int(random.integers(len(self._paths)))]
            pcm, _ = soundfile.read(path, dtype="int16")
            onset = self._ears.first_speech(pcm)
            if onset is not None:
                break
        start = max(0, onset - samples(0.1))
        speech = pcm[start : start + samples(CLIP_S)].astype(np.float64)
        loud = np.sort(speech**2)[-len(speech) // 4 :].mean()
        return clipped(speech * 10 ** (level_dbfs / 20) * 32768 / np.sqrt(loud))


@dataclass(frozen=True, slots=True)
class Scene:
    """One room, one return level, one delay; three answers, some of them interrupted."""

    number: int
    answers: int = 3

    @property
    def name(self) -> str:
        """Of all three."""
        room, return_db, delay_s = self.path
        return f"{self.number}: {room} room, {return_db:g} dB, {1000 * delay_s:g} ms"

    @property
    def path(self) -> tuple[str, float, float]:
        """The room, its return and its delay."""
        pairs = list(product(RETURNS_DB, DELAYS_S))
        return_db, delay_s = pairs[self.number // len(ROOMS) * 5 % len(pairs)]
        return list(ROOMS)[self.number % len(ROOMS)], return_db, delay_s


@dataclass
class Tally:
    """What became of the answers."""

    speech: int = 0
    answers: int = 0
    self_interruptions: int = 0
    barge_ins: int = 0
    passed: int = 0
    paused: int = 0
    notes: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """As printed."""
        minutes = self.speech / SAMPLE_RATE / 60
        return {
            "minutes_of_agent_speech": round(minutes, 1),
            "answers": self.answers,
            "self_interruptions": self.self_interruptions,
            "barge_ins": self.barge_ins,
            "barge_ins_passed_share": round(self.passed / max(1, self.barge_ins), 4),
            "paused_by_itself_s_per_minute": round(
                self.paused / SAMPLE_RATE / max(minutes, 1e-9), 2
            ),
        }


class Loudspeaker:
    """The agent's answers on their way out, and how far they have come."""

    def __init__(self) -> None:
        self.buffer = PlayoutBuffer(SAMPLE_RATE)
        self._ledger = Ledger(SAMPLE_RATE)
        self._is_speaking = False

    def begin(self, answer: Spoken) -> None:
        """Speak an answer."""
        self._ledger.begin()
        self.buffer.open()
        self._ledger.add(answer.words, self.buffer.add(answer.pcm))
        self.buffer.close()
        self._is_speaking = True

    def play(self) -> Int16Array:
        """The next hop."""
        packet = self.buffer.take(HOP)
        self._ledger.heard_until(self.buffer.position)
        if self._is_speaking and self.buffer.is_done:
            self._is_speaking = False
        return np.zeros(HOP, np.int16) if packet is None else packet

    def obey(self, decision: Decision) -> None:
        """Do what `agent.processors.playout` does."""
        match decision.kind:
            case DecisionKind.DUCK:
                self.buffer.duck(DUCKED)
            case DecisionKind.PAUSE:
                self.buffer.pause()
            case DecisionKind.RESUME | DecisionKind.BACKCHANNEL:
                self.buffer.duck(1.0)
                self.buffer.resume()
            case DecisionKind.BARGE_IN:
                self.buffer.cut()
                self._ledger.cut()
                self._is_speaking = False

    def floor(self, at: int) -> AgentFloor:
        """As the policy is told."""
        return AgentFloor(at, self._is_speaking, self._ledger.heard_text, self._ledger.unheard_text)


class Call:
    """A scene being played. One pass for each set of settings: decisions change what is heard."""

    def __init__(self, scene: Scene, cast: Cast, ears: Ears, settings: OverlapSettings) -> None:
        room, return_db, delay_s = scene.path
        self._scene = scene
        self._cast = cast
        self._random = np.random.default_rng(scene.number)
        self._room = Room(ROOMS[room], return_db, delay_s, scene.number)
        self._canceller = EchoCanceller()
        self._cleaned: Int16Array = np.zeros(0, np.int16)
        self._posterior = SileroPosterior(ears.silero)
        self._echo = EchoLevel()
        self._foreground = Foreground()
        self._ladder = Ladder(ears, PolicySettings(overlap=settings))
        self._speaker = Loudspeaker()
        self._far: Int16Array = np.zeros(0, np.int16)
        self._at = 0
        self._person: Int16Array = np.zeros(0, np.int16)

    def run(self, tally: Tally) -> None:
        """Speak all answers; every other one is interrupted."""
        self._hops(samples(0.5))
        for turn in range(self._scene.answers):
            number = self._scene.number * self._scene.answers + turn
            is_interrupted = bool((self._scene.number + turn) % 2)
            self._answer(self._cast.answer(number), is_interrupted, turn, tally)
            self._person = np.zeros(0, np.int16)

    def _answer(self, answer: Spoken, is_interrupted: bool, turn: int, tally: Tally) -> None:
        tally.answers += 1
        self._speaker.begin(answer)
        start = self._at
        interrupts_at = int(self._random.uniform(0.15, 0.6) * len(answer.pcm))
        began: int | None = None
        level = USER_DBFS[(self._scene.number + turn) // 2 % len(USER_DBFS)]
        person = self._cast.person(self._random, level) if is_interrupted else None
        taken: int | None = None
        for decision in self._until_over():
            if decision is None:
                tally.paused += HOP * (self._speaker.buffer.is_paused and began is None)
                if person is not None and began is None and self._at - start >= interrupts_at:
                    self._person, began = person, self._at + samples(0.1)
                continue
            if decision.kind in (DecisionKind.BARGE_IN, DecisionKind.COMMIT) and taken is None:
                taken = decision.at_sample
        tally.speech += min(self._at, taken or self._at) - start
        if taken is not None and (began is None or taken < began):
            tally.self_interruptions += 1
            tally.notes.append(
                f"{self._scene.name}: by itself after {seconds(taken - start):.1f} s"
            )
        elif began is not None:
            tally.barge_ins += 1
            is_found = taken is not None and taken <= began + samples(FOUND_WITHIN_S)
            tally.passed += is_found
            if not is_found:
                tally.notes.append(f"{self._scene.name}: {level:g} dBFS not heard")

    def _until_over(self) -> Iterator[Decision | None]:
        """Hops until nobody has spoken for a while: what is decided, and None after each."""
        quiet = 0
        while quiet < samples(BETWEEN_S):
            yield from self._hop()
            yield None
            # The next answer is not due before the person's turn has been decided.
            is_users = len(self._person) > 0 or self._ladder.floor is Floor.USER
            is_busy = is_users or self._speaker.floor(self._at).is_speaking
            quiet = 0 if is_busy else quiet + HOP

    def _hops(self, count: int) -> None:
        for _ in range(0, count, HOP):
            self._hop()

    def _hop(self) -> list[Decision]:
        far = self._speaker.play()
        near = self._room.push(far) + self._random.normal(0, 8.0, HOP)
        spoken, self._person = self._person[:HOP], self._person[HOP:]
        near[: len(spoken)] += spoken
        # Cleaned in blocks of 10 ms, so that a hop comes a little later than it was taken.
        self._far = np.concatenate([self._far, far])
        self._cleaned = np.concatenate([self._cleaned, self._canceller.process(clipped(near), far)])
        made: list[Decision] = []
        while len(self._cleaned) >= HOP:
            hop, self._cleaned = self._cleaned[:HOP], self._cleaned[HOP:]
            played, self._far = self._far[:HOP], self._far[HOP:]
            self._at += HOP
            probability = self._posterior.push(hop)
            echo = self._echo.push(self._at, hop, played, probability)
            heard = SpeechProbability(self._at, probability, echo.near_dbfs, echo.echo_dbfs)
            his = caller_only(self._foreground, heard)
            made += self._ladder.push(hop, his, self._speaker.floor(self._at))
        for decision in made:
            self._speaker.obey(decision)
        return made


def clipped(signal: npt.NDArray[np.float64]) -> Int16Array:
    """As a converter gives it."""
    pcm: Int16Array = np.clip(np.rint(signal), -32768, 32767).astype(np.int16)
    return pcm
