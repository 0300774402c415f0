"""Sound over the agent, through a session's ears and policy, without its pipeline.

The real speech detector, the real recogniser behind its gate, and the real policy, on the sample
clock. Readings are kept on disk, so that trying other settings on the same audio costs nothing.
"""

import hashlib
import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import platformdirs

from agent.asr.gate import Feed, Open, Order, RecognitionGate, Step
from agent.asr.greedy import Stop
from agent.asr.hypothesis import Hypothesis, Word
from agent.asr.moonshine import Moonshine, Transcript
from agent.asr.streaming import StreamingMoonshine, StreamingSettings
from agent.audio.chunk import SAMPLE_RATE, Float32Array, Int16Array, PcmChunk, samples
from agent.models.store import locate
from agent.turns.echo import SILENT_DBFS, EchoLevel, level_dbfs
from agent.turns.events import AgentFloor, Decision, DecisionKind, Heard, SpeechProbability
from agent.turns.floor import Floor
from agent.turns.policy import FusedPolicy
from agent.turns.policy_settings import PolicySettings
from agent.vad.endpointer import Endpointer, EndpointerSettings, SpeechStarted
from agent.vad.foreground import Foreground
from agent.vad.silero import HOP, SileroModel, SileroPosterior

RECOGNITION_S = 0.08
"""From the audio a reading covers to its words. Over the agent windows are short: Moonshine base
takes 45 ms of one core for 0.9 s and 66 ms for 1.2 s (90 %: 61 and 74); the rest is hand-over."""

_CLOSING = {
    DecisionKind.COMMIT,
    DecisionKind.HOLD,
    DecisionKind.BACKCHANNEL,
    DecisionKind.REPEAT,
}


@dataclass(frozen=True, slots=True)
class Sound:
    """What a microphone took, and what the speech detector makes of it."""

    pcm: Int16Array
    hops: tuple[SpeechProbability, ...]


class Ears:
    """The real models."""

    def __init__(self, partials: StreamingSettings | None = None) -> None:
        self.silero = SileroModel(locate("silero-vad") / "silero_vad.onnx")
        self.moonshine = Remembered(Moonshine(locate("moonshine-base-en")), "moonshine-base-en")
        self.partials = partials or StreamingSettings()

    def listen(self, pcm: Int16Array, far: Int16Array | None = None) -> Sound:
        """Hear a whole recording as a session does: people behind the caller do not count.

        Args:
            pcm: Mono, shape (n,), int16, 16 kHz.
            far: What our loudspeaker plays meanwhile, same shape; None where none of it comes back.
        """
        return attributed(self.detect(pcm, far))

    def detect(self, pcm: Int16Array, far: Int16Array | None = None) -> Sound:
        """Find speech in a whole recording, anybody's.

        Args:
            pcm: Mono, shape (n,), int16, 16 kHz.
            far: What our loudspeaker plays meanwhile, same shape; None where none of it comes back.
        """
        posterior = SileroPosterior(self.silero)
        echo = EchoLevel()
        hops = []
        for start in range(0, len(pcm) - HOP + 1, HOP):
            at = start + HOP
            hop = pcm[start:at]
            expected, probability = SILENT_DBFS, posterior.push(hop)
            if far is not None:
                expected = echo.push(at, hop, far[start:at], probability).echo_dbfs
            hops.append(SpeechProbability(at, probability, level_dbfs(hop), expected))
        return Sound(pcm, tuple(hops))

    def first_speech(self, pcm: Int16Array) -> int | None:
        """Where the speech detector first finds speech."""
        posterior = SileroPosterior(self.silero)
        endpointer = Endpointer(EndpointerSettings(), SAMPLE_RATE, HOP)
        for begin in range(0, len(pcm) - HOP + 1, HOP):
            started = endpointer.push(posterior.push(pcm[begin : begin + HOP]), begin + HOP)
            if isinstance(started, SpeechStarted):
                return started.start_sample
        return None


def attributed(sound: Sound) -> Sound:
    """The same sound, of which only the caller's speech counts."""
    foreground = Foreground()
    return Sound(sound.pcm, tuple(caller_only(foreground, hop) for hop in sound.hops))


def caller_only(foreground: Foreground, hop: SpeechProbability) -> SpeechProbability:
    """One hop, told whose speech it is."""
    told = foreground.push(hop.probability, hop.level_dbfs, hop.echo_dbfs)
    return replace(
        hop,
        probability=told.probability,
        behind=told.behind,
        caller_dbfs=told.caller_dbfs,
        behind_dbfs=told.behind_dbfs,
    )


class Ladder:
    """One call's recogniser and policy. Told hops in order; asked what is decided on them."""

    def __init__(self, ears: Ears, settings: PolicySettings | None = None) -> None:
        self._policy = FusedPolicy(settings)
        self._recogniser = _Hearing(StreamingMoonshine(ears.moonshine, ears.partials))
        self._told: AgentFloor | None = None
        self._waiting: deque[tuple[int, Hypothesis]] = deque()

    @property
    def floor(self) -> Floor:
        """Who holds it."""
        return self._policy.floor

    def push(self, pcm: Int16Array, hop: SpeechProbability, agent: AgentFloor) -> list[Decision]:
        """Take one hop.

        Args:
            pcm: Its samples.
            hop: What the speech detector makes of them.
            agent: How far the agent's response has come.
        """
        made: list[Decision] = []
        told = self._told
        if told is None or (agent.is_speaking, agent.said) != (told.is_speaking, told.said):
            self._told = agent
            made += self._policy.push(agent)
        while self._waiting and self._waiting[0][0] <= hop.at_sample:
            made += self._policy.push(Heard(*self._waiting.popleft()))
        made += self._policy.push(hop)
        chunk = PcmChunk(pcm, hop.at_sample - len(pcm))
        for hypothesis in self._recogniser.push(chunk, hop.probability):
            self._waiting.append((hop.at_sample + samples(RECOGNITION_S), hypothesis))
        if any(decision.kind in _CLOSING for decision in made):
            self._recogniser.end()
        return made


def decisions(
    sound: Sound,
    agent: Callable[[int], AgentFloor],
    ears: Ears,
    settings: PolicySettings | None = None,
) -> Iterator[Decision]:
    """Everything that is decided on a recording.

    Args:
        sound: It.
        agent: How far the agent has come by a sample, asked in order.
        ears: Of the call.
        settings: Of the policy.
    """
    ladder = Ladder(ears, settings)
    for hop in sound.hops:
        at = hop.at_sample
        yield from ladder.push(sound.pcm[at - HOP : at], hop, agent(at))


def speaking(at: int) -> AgentFloor:
    """The agent speaks throughout, and nobody knows what."""
    return AgentFloor(at, is_speaking=True)


def silent(at: int) -> AgentFloor:
    """The agent says nothing."""
    return AgentFloor(at, is_speaking=False)


class _Hearing:
    """The recogniser behind its gate, on the caller's thread."""

    def __init__(self, recogniser: StreamingMoonshine) -> None:
        self._recogniser = recogniser
        self._gate = RecognitionGate()

    def push(self, hop: PcmChunk, probability: float) -> Iterator[Hypothesis]:
        """Take a hop; give what is recognised."""
        for order in self._gate.push(hop, probability):
            yield from self._obey(order)

    def end(self) -> None:
        """The utterance is decided; what is being said now begins the next."""
        for order in self._gate.close():
            # What is said no more is read no more: nobody waits here for its final.
            if order is not Step.FINISH:
                list(self._obey(order))

    def _obey(self, order: Order) -> Iterator[Hypothesis]:
        match order:
            case Open(utterance_id, pre_roll):
                self._recogniser.start(utterance_id, pre_roll.start_sample)
                self._recogniser.push(pre_roll.pcm, is_speech=False)
            case Feed(pcm, is_speech, is_quiet):
                if partial := self._recogniser.push(pcm, is_speech and not is_quiet):
                    yield partial
            case Step.SETTLE:
                yield self._recogniser.settle()


class Remembered:
    """A recogniser whose readings are kept on disk. A draft speeds a reading up, no more."""

    def __init__(self, model: Moonshine, name: str) -> None:
        folder = platformdirs.user_cache_path("duplex-benchmarks")
        folder.mkdir(parents=True, exist_ok=True)
        self._model = model
        self._name = name
        self._kept = sqlite3.connect(Path(folder) / "readings.sqlite", timeout=60)
        self._kept.execute("CREATE TABLE IF NOT EXISTS readings (key TEXT PRIMARY KEY, text TEXT)")

    def transcribe(
        self, signal: Float32Array, draft: Sequence[int] = (), forced: int = 0
    ) -> Transcript:
        """Recognise `signal`, or remember what was recognised."""
        key = hashlib.sha256(self._name.encode() + np.ascontiguousarray(signal).tobytes())
        key.update(json.dumps(list(draft[:forced])).encode())
        query = "SELECT text FROM readings WHERE key = ?"
        row = self._kept.execute(query, (key.hexdigest(),)).fetchone()
        if row:
            return _from_json(row[0])
        transcript = self._model.transcribe(signal, draft, forced)
        value = json.dumps(asdict(transcript) | {"stop": transcript.stop.name})
        with self._kept:
            self._kept.execute(
                "INSERT OR REPLACE INTO readings VALUES (?, ?)", (key.hexdigest(), value)
            )
        return transcript


def _from_json(text: str) -> Transcript:
    row = json.loads(text)
    return Transcript(
        text=row["text"],
        words=tuple(Word(**word) for word in row["words"]),
        word_tokens=tuple(tuple(tokens) for tokens in row["word_tokens"]),
        probabilities=tuple(row["probabilities"]),
        stop=Stop[row["stop"]],
    )
