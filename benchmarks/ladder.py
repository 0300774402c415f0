"""Sound over the agent, through a session's ears and policy, without its pipeline.

The real speech detector, the real recogniser behind a gate like `agent.processors.recognition`'s,
and the real policy, on the sample clock. Readings are kept on disk, so that trying other settings
on the same audio costs nothing.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import platformdirs

from agent.asr.greedy import Stop
from agent.asr.hypothesis import Hypothesis, Word
from agent.asr.moonshine import Moonshine, Transcript
from agent.asr.streaming import StreamingMoonshine, StreamingSettings
from agent.audio.chunk import SAMPLE_RATE, Float32Array, Int16Array, samples
from agent.models.store import locate
from agent.turns.echo import SILENT_DBFS, EchoLevel, level_dbfs
from agent.turns.events import AgentFloor, Decision, DecisionKind, Heard, SpeechProbability
from agent.turns.policy import FusedPolicy
from agent.turns.policy_settings import PolicySettings
from agent.vad.endpointer import Endpointer, EndpointerSettings, SpeechStarted
from agent.vad.readings import READINGS, Profile
from agent.vad.silero import HOP, SileroModel, SileroPosterior

RECOGNITION_S = 0.12
"""Assumed from the audio a reading covers to its words, as in `benchmarks.turns`."""

PRE_ROLL = samples(0.36)
ABANDONED = samples(1.0)
"""Silence that closes the recogniser's gate on what was never decided."""

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
        """Hear a whole recording.

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
            expected = SILENT_DBFS
            if far is not None:
                expected = echo.push(at, hop, far[start:at]).echo_dbfs
            hops.append(SpeechProbability(at, posterior.push(hop), level_dbfs(hop), expected))
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


def decisions(
    sound: Sound,
    agent: Callable[[int], AgentFloor],
    ears: Ears,
    settings: PolicySettings | None = None,
    start: int = 0,
    end: int | None = None,
) -> Iterator[Decision]:
    """Everything the policy decides on what is heard.

    Args:
        sound: What is heard.
        agent: How far the agent's response has come at a sample.
        ears: Recognise it.
        settings: Of the policy.
        start: From where on.
        end: Up to where; None for all.
    """
    policy = FusedPolicy(settings)
    gate = _Gate(StreamingMoonshine(ears.moonshine, ears.partials), sound.pcm)
    told: AgentFloor | None = None
    waiting: list[tuple[int, Hypothesis]] = []
    for hop in sound.hops:
        at = hop.at_sample
        if at <= start or (end is not None and at > end):
            continue
        made: list[Decision] = []
        floor = agent(at)
        if told is None or (floor.is_speaking, floor.said) != (told.is_speaking, told.said):
            told = floor
            made += policy.push(floor)
        while waiting and waiting[0][0] <= at:
            known, hypothesis = waiting.pop(0)
            made += policy.push(Heard(known, hypothesis))
        made += policy.push(hop)
        for hypothesis in gate.push(at, hop.probability):
            waiting.append((at + samples(RECOGNITION_S), hypothesis))
        if any(decision.kind in _CLOSING for decision in made):
            gate.end(at)
        yield from made


class _Gate:
    """Opens and closes the recogniser as `agent.processors.recognition` does, without threads."""

    def __init__(self, recogniser: StreamingMoonshine, pcm: Int16Array) -> None:
        self._recogniser = recogniser
        self._pcm = pcm
        readings = READINGS[Profile.SHORT]
        self._least = readings.gate
        self._noticed = Endpointer(readings.prefetch, SAMPLE_RATE, HOP)
        self._confirmed = Endpointer(readings.confirmation, SAMPLE_RATE, HOP)
        self._is_open = False
        self._is_pausing = True
        self._was_speech = False
        self._utterance = 0

    @property
    def _is_speech(self) -> bool:
        return self._noticed.is_speech or self._confirmed.is_speech

    def push(self, at: int, probability: float) -> Iterator[Hypothesis]:
        """Take the hop that ends at `at`; give what is recognised."""
        noticed = self._noticed.push(probability, at)
        confirmed = self._confirmed.push(probability, at)
        if not self._is_open:
            if isinstance(noticed, SpeechStarted) or isinstance(confirmed, SpeechStarted):
                self._open(at)
            return
        is_speech = self._is_speech
        partial = self._recogniser.push(self._pcm[at - HOP : at], is_speech)
        if partial:
            yield partial
        if probability >= self._least:
            self._is_pausing = False
        elif not self._is_pausing:
            self._is_pausing = True
            yield self._recogniser.settle()
        if self._was_speech and not is_speech:
            yield self._recogniser.settle()
        self._was_speech = is_speech
        if not is_speech and at - self._noticed.last_speech_end > ABANDONED:
            self._is_open = False

    def end(self, at: int) -> None:
        """The utterance is decided; what is being said now begins the next."""
        if self._is_open:
            self._is_open = False
            if self._is_speech:
                self._open(at)

    def _open(self, at: int) -> None:
        self._is_open, self._is_pausing, self._was_speech = True, True, False
        self._utterance += 1
        start = max(0, at - PRE_ROLL)
        self._recogniser.start(self._utterance, start)
        self._recogniser.push(self._pcm[start:at], is_speech=False)


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
