"""Sound over the agent, through a session's ears and policy, without its pipeline.

The real speech detector, the real recogniser behind a gate like `agent.processors.recognition`'s,
and the real policy, on the sample clock. Readings are kept on disk, so that trying other settings
on the same audio costs nothing.
"""

import hashlib
import json
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import platformdirs

from agent.asr.greedy import Stop
from agent.asr.hypothesis import Hypothesis, Word
from agent.asr.moonshine import Moonshine, Transcript
from agent.asr.streaming import StreamingMoonshine, StreamingSettings
from agent.audio.chunk import SAMPLE_RATE, Float32Array, Int16Array, PcmChunk, samples
from agent.audio.ring import PreRoll
from agent.models.store import locate
from agent.turns.echo import SILENT_DBFS, EchoLevel, level_dbfs
from agent.turns.events import AgentFloor, Decision, DecisionKind, Heard, SpeechProbability
from agent.turns.floor import Floor
from agent.turns.policy import FusedPolicy
from agent.turns.policy_settings import PolicySettings
from agent.vad.endpointer import Endpointer, EndpointerSettings, SpeechStarted
from agent.vad.readings import READINGS, Profile
from agent.vad.silero import HOP, SileroModel, SileroPosterior

RECOGNITION_S = 0.08
"""From the audio a reading covers to its words. Over the agent windows are short: Moonshine base
takes 45 ms of one core for 0.9 s and 66 ms for 1.2 s (90 %: 61 and 74); the rest is hand-over."""

PRE_ROLL = samples(0.36)
ABANDONED, UNCONFIRMED = samples(1.0), samples(2.0)
"""Silence, or sound, that closes the recogniser's gate on what was never confirmed as speech."""

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


class Ladder:
    """One call's recogniser and policy. Told hops in order; asked what is decided on them."""

    def __init__(self, ears: Ears, settings: PolicySettings | None = None) -> None:
        self._policy = FusedPolicy(settings)
        self._gate = _Gate(StreamingMoonshine(ears.moonshine, ears.partials))
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
        for hypothesis in self._gate.push(pcm, hop.at_sample, hop.probability):
            self._waiting.append((hop.at_sample + samples(RECOGNITION_S), hypothesis))
        if any(decision.kind in _CLOSING for decision in made):
            self._gate.end()
        return made


def decisions(
    sound: Sound,
    agent: AgentFloor,
    ears: Ears,
    settings: PolicySettings | None = None,
) -> Iterator[Decision]:
    """Everything that is decided on a recording while the agent does the same throughout."""
    ladder = Ladder(ears, settings)
    for hop in sound.hops:
        yield from ladder.push(sound.pcm[hop.at_sample - HOP : hop.at_sample], hop, agent)


class _Gate:
    """Opens and closes the recogniser as `agent.processors.recognition` does, without threads."""

    def __init__(self, recogniser: StreamingMoonshine) -> None:
        self._recogniser = recogniser
        self._ring = PreRoll(PRE_ROLL)
        self._readings = READINGS[Profile.SHORT]
        self._noticed = Endpointer(self._readings.prefetch, SAMPLE_RATE, HOP)
        self._confirmed = Endpointer(self._readings.confirmation, SAMPLE_RATE, HOP)
        self._is_open = False
        self._is_confirmed = False
        self._opened_at = 0
        self._is_pausing = True
        self._is_settled = False
        self._was_speech = False
        self._utterance = 0

    @property
    def _is_speech(self) -> bool:
        return self._noticed.is_speech or self._confirmed.is_speech

    def push(self, pcm: Int16Array, at: int, probability: float) -> Iterator[Hypothesis]:
        """Take the hop that ends at `at`; give what is recognised."""
        self._ring.push(PcmChunk(pcm, at - len(pcm)))
        noticed = self._noticed.push(probability, at)
        confirmed = self._confirmed.push(probability, at)
        if not self._is_open:
            if isinstance(noticed, SpeechStarted) or isinstance(confirmed, SpeechStarted):
                self._open()
            return
        is_speech = self._is_speech
        is_quiet = probability < self._readings.prefetch.off_probability
        partial = self._recogniser.push(pcm, is_speech and not is_quiet)
        if partial:
            yield partial
        if probability >= self._readings.gate:
            self._is_pausing = False
        elif not self._is_pausing:
            self._is_pausing = self._is_settled = True
            yield self._recogniser.settle()
        elif not is_quiet:
            self._is_settled = False
        if self._was_speech and not is_speech and not self._is_settled:
            yield self._recogniser.settle()
        self._was_speech = is_speech
        self._is_confirmed |= self._confirmed.is_speech
        silent = at - self._noticed.last_speech_end
        if not self._is_confirmed and (silent > ABANDONED or at - self._opened_at > UNCONFIRMED):
            self._is_open = False

    def end(self) -> None:
        """The utterance is decided; what is being said now begins the next."""
        if self._is_open:
            self._is_open = False
            if self._is_speech:
                self._open()

    def _open(self) -> None:
        self._is_open, self._is_pausing, self._was_speech = True, True, False
        self._utterance += 1
        pre_roll = self._ring.since(self._ring.end_sample - PRE_ROLL)
        self._opened_at, self._is_confirmed = pre_roll.start_sample, self._confirmed.is_speech
        self._recogniser.start(self._utterance, pre_roll.start_sample)
        self._recogniser.push(pre_roll.pcm, is_speech=False)


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
