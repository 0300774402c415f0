"""Interruptions found, and backchannels, coughs and echoes not taken for one.

    python -m benchmarks.overlap --data DIR [--clips 400] [--side odd]

DIR holds `commands/`: spoken orders, each an interruption of the agent at three levels of noise.
Backchannels are synthesised in four voices at three speeds; noises are synthesised coughs, keys
and knocks, and the desktop sounds of Debian's sound-theme-freedesktop where apt can fetch them;
echoes are the agent's own words, faint, as a poor canceller leaves them. The real speech detector
and the real recogniser hear every clip once; verdicts are then made on the sample clock, at the
sample at which the evidence would have come. Prints one JSON line.

Tuned on the even clips, judged on the odd ones, by the hash of the clip's name; voices are split
likewise, so that no judged backchannel comes from a voice that was tuned on.

Recall: share of interruptions with INTERRUPTION. False positives: share of the others with it.
Delay: from the first sample of the user's speech to the verdict, with `RECOGNITION_S` for the
recogniser's work.
"""

import argparse
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import soundfile

from agent.asr.hypothesis import Hypothesis
from agent.asr.moonshine import Moonshine
from agent.asr.streaming import StreamingMoonshine, StreamingSettings
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.audio.resample import resample
from agent.models.store import locate
from agent.tts.kokoro import KokoroVoice
from agent.tts.speech import Voice
from agent.tts.student import StudentVoice
from agent.turns.echo import SILENT_DBFS, EchoLevel, level_dbfs
from agent.turns.hotwords import Hotwords
from agent.turns.overlap import (
    AgentSpeech,
    Overlap,
    OverlapHop,
    OverlapKind,
    OverlapSettings,
    OverlapVerdict,
    OverlapWords,
)
from agent.vad.endpointer import Endpointer, EndpointerSettings, SpeechStarted, SpeechStopped
from agent.vad.readings import READINGS, Profile
from agent.vad.silero import HOP, SileroModel, SileroPosterior
from benchmarks.machine import describe

RECOGNITION_S = 0.12
"""Assumed from the audio a reading covers to its words, as in `benchmarks.turns`."""

PARTIALS = StreamingSettings(first_partial_s=0.3, partial_every_s=0.2)
"""Over the agent's speech words are wanted early: readings are short there and cost little."""

HEARD = READINGS[Profile.SHORT]
PRE_ROLL = samples(0.36)
FORGET = samples(1.0)
"""Silence after which an overlap is closed and the next one begins anew."""

LEAD_S, CLIP_S = 0.6, 2.6
"""Room tone before the user's speech, and the whole of a clip."""

VOICES = ("af_bella", "af_nicole", "am_michael", "am_fenrir")
BACKCHANNELS = (
    "Yeah.", "Mm-hmm.", "Uh-huh.", "Okay.", "Right.", "I see.", "Sure.", "Oh, really?", "Got it.",
    "Mhm.", "Oh.", "Of course.", "Yes.", "Makes sense.", "Exactly.", "Great.",
)  # fmt: skip
SPEEDS = (0.9, 1.1, 1.3)
SNRS_DB = (0.0, 10.0, 20.0)

AGENT = AgentSpeech(
    said=tuple(
        "the museum was built in nineteen twelve by an architect from Vienna whose name nobody "
        "remembers".split()
    ),
    unsaid=tuple("and it has been closed for repairs since the spring of last year".split()),
)


@dataclass(frozen=True, slots=True)
class Clip:
    """One overlap as the microphone hears it.

    Attributes:
        name: Unique.
        kind: interruption, backchannel, noise or echo.
        onset: Of the user's sound; 0 where there is none.
        pcm: Mono, shape (n,), int16, 16 kHz.
        far: What our loudspeaker plays meanwhile, same shape; None where it is not heard at all.
    """

    name: str
    kind: str
    onset: int
    pcm: Int16Array
    far: Int16Array | None = None


Evidence = OverlapHop | OverlapWords


def expected_echo(near: Int16Array, far: Int16Array | None) -> Callable[[int], float]:
    """Level expected of our own voice in the hop that ends at a sample, as a session follows it."""
    if far is None:
        return lambda at: SILENT_DBFS
    level = EchoLevel()
    expected = {
        at + HOP: level.push(at + HOP, near[at : at + HOP], far[at : at + HOP]).echo_dbfs
        for at in range(0, len(near) - HOP + 1, HOP)
    }
    return lambda at: expected.get(at, SILENT_DBFS)


def side_of(group: str) -> str:
    """Whether a speaker, a voice or a sound is tuned on (even) or judged on (odd)."""
    return "odd" if hashlib.sha256(group.encode()).digest()[0] % 2 else "even"


class Ears:
    """The real models, as the listening and the recognition of a session use them."""

    def __init__(self, partials: StreamingSettings = PARTIALS) -> None:
        self.silero = SileroModel(locate("silero-vad") / "silero_vad.onnx")
        self.moonshine = Moonshine(locate("moonshine-base-en"))
        self.partials = partials

    def hear(
        self, pcm: Int16Array, echo: Callable[[int], float] = lambda at: SILENT_DBFS
    ) -> list[Evidence]:
        """Everything that would be known, in the order in which it would be.

        Args:
            pcm: Mono, shape (n,), int16, 16 kHz.
            echo: Level expected of our own voice in the hop that ends at a sample.
        """
        posterior = SileroPosterior(self.silero)
        gate = _Gate(StreamingMoonshine(self.moonshine, self.partials), pcm)
        told: list[tuple[int, Evidence]] = []
        for begin in range(0, len(pcm) - HOP + 1, HOP):
            at = begin + HOP
            hop = pcm[begin:at]
            probability = posterior.push(hop)
            told.append((at, OverlapHop(at, probability, level_dbfs(hop), echo(at))))
            for hypothesis in gate.push(at, probability):
                known = at + samples(RECOGNITION_S)
                words = OverlapWords(known, hypothesis.words, hypothesis.end_sample)
                told.append((known, words))
        return [evidence for _, evidence in sorted(told, key=lambda item: item[0])]


class _Gate:
    """Opens the recogniser as `agent.processors.recognition` does, without threads."""

    def __init__(self, recogniser: StreamingMoonshine, pcm: Int16Array) -> None:
        self._recogniser = recogniser
        self._pcm = pcm
        self._noticed = Endpointer(HEARD.prefetch, SAMPLE_RATE, HOP)
        self._confirmed = Endpointer(HEARD.confirmation, SAMPLE_RATE, HOP)
        self._is_open = False
        self._is_pausing = True
        self._utterance = 0

    def push(self, at: int, probability: float) -> Iterator[Hypothesis]:
        noticed = self._noticed.push(probability, at)
        self._confirmed.push(probability, at)
        if not self._is_open:
            if not isinstance(noticed, SpeechStarted):
                return
            self._is_open, self._is_pausing = True, True
            self._utterance += 1
            start = max(0, at - PRE_ROLL)
            self._recogniser.start(self._utterance, start)
            self._recogniser.push(self._pcm[start:at], is_speech=False)
            return
        is_speech = self._noticed.is_speech or self._confirmed.is_speech
        partial = self._recogniser.push(self._pcm[at - HOP : at], is_speech)
        if partial:
            yield partial
        if probability >= HEARD.gate:
            self._is_pausing = False
        elif not self._is_pausing:
            self._is_pausing = True
            yield self._recogniser.settle()
        if not is_speech and at - self._noticed.last_speech_end >= FORGET:
            self._is_open = False


def verdicts(
    evidence: Iterable[Evidence],
    settings: OverlapSettings,
    agent: Callable[[int], AgentSpeech] = lambda at: AGENT,
) -> list[Overlap]:
    """Every verdict on what was heard, as the ladder would ask for them, up to an interruption."""
    confirmation = Endpointer(HEARD.confirmation, SAMPLE_RATE, HOP)
    hotwords = Hotwords()
    judge: OverlapVerdict | None = None
    words: OverlapWords | None = None
    reached: list[Overlap] = []
    opened = 0
    for piece in evidence:
        if isinstance(piece, OverlapHop):
            change = confirmation.push(piece.probability, piece.at_sample)
            if isinstance(change, SpeechStarted) and judge is None:
                opened = change.start_sample
                judge = OverlapVerdict(opened, change.at_sample, agent(opened), settings)
                if words and words.end_sample > opened:
                    judge.push(words)
            elif judge and not isinstance(change, SpeechStopped) and not confirmation.is_speech:
                if piece.at_sample - confirmation.last_speech_end >= FORGET:
                    judge = None
        else:
            words = piece
        if judge is None:
            continue
        before = judge.verdict
        verdict = judge.push(piece)
        if isinstance(piece, OverlapWords) and verdict.kind is not OverlapKind.INTERRUPTION:
            found = hotwords.find(piece.words, piece.at_sample, agent_speaking=True)
            if found:
                verdict = judge.push(found)
        if verdict is not before:
            reached.append(verdict)
        if verdict.kind is OverlapKind.INTERRUPTION:
            break
    return reached


def interruptions(folder: Path, count: int, ears: Ears, side: str) -> Iterator[Clip]:
    """Spoken orders from their first word on, at three levels of noise."""
    paths = sorted((folder / "commands").glob("*.flac"))
    for path in [path for path in paths if side in ("all", side_of(path.stem))][:count]:
        pcm, _ = soundfile.read(path, dtype="int16")
        onset = first_speech(pcm, ears.silero)
        if onset is None:
            continue
        start = max(0, onset - samples(LEAD_S))
        speech = pcm[start : start + samples(CLIP_S)]
        for snr in SNRS_DB:
            yield Clip(
                f"{path.stem}/{snr:g} dB", "interruption", onset - start,
                _noisy(speech, snr, path.stem),
            )  # fmt: skip


def backchannels(count: int, ears: Ears, side: str) -> Iterator[Clip]:
    """Short words of listeners in several voices."""
    voices = [voice for voice in VOICES if side in ("all", side_of(voice))]
    every = list(product(voices, BACKCHANNELS, SPEEDS))
    for number in np.linspace(0, len(every) - 1, min(count, len(every))).astype(int):
        name, text, speed = every[number]
        word = spoken(name, text)
        # Faster and higher, slower and lower: another speaker, near enough.
        word = resample(word, round(SAMPLE_RATE * speed), SAMPLE_RATE)
        snr = SNRS_DB[number % len(SNRS_DB)]
        pcm = np.zeros(samples(CLIP_S), np.int16)
        at = samples(LEAD_S)
        pcm[at : at + len(word)] = word[: len(pcm) - at]
        label = f"{name}/{text}/{speed}/{snr:g} dB"
        onset = first_speech(pcm, ears.silero)
        yield Clip(label, "backchannel", onset or at, _noisy(pcm, snr, label))


def noises(count: int, side: str) -> Iterator[Clip]:
    """Coughs, keys, knocks and desktop sounds."""
    sounds = [*_made_noises(count), *_desktop_sounds()]
    sounds = [sound for sound in sounds if side in ("all", side_of(sound[0]))]
    for number, (name, sound) in enumerate(sounds):
        pcm = np.zeros(samples(CLIP_S), np.int16)
        at = samples(LEAD_S)
        part = sound[: len(pcm) - at]
        pcm[at : at + len(part)] = part
        snr = SNRS_DB[number % len(SNRS_DB)]
        yield Clip(name, "noise", at, _noisy(pcm, snr, name))


def echoes(count: int) -> Iterator[Clip]:
    """The agent's own words, faint, as a poor canceller leaves them."""
    words = spoken("student", " ".join((*AGENT.said, *AGENT.unsaid)) + ".")
    for number in range(count):
        level_db = (-30.0, -20.0, -10.0)[number % 3]
        begin = (number * samples(0.37)) % max(1, len(words) - samples(CLIP_S))
        far = words[begin : begin + samples(CLIP_S)]
        faint = (far * 10 ** (level_db / 20)).astype(np.int16)
        yield Clip(
            f"echo/{number}/{level_db:g} dB", "echo", 0,
            _noisy(faint, 20.0, str(number)), far,
        )  # fmt: skip


def judged(clips: list[tuple[Clip, list[Evidence]]], settings: OverlapSettings) -> dict[str, Any]:
    """Recall, false positives and delays of one setting."""
    by_kind: dict[str, list[list[Overlap]]] = {}
    delays: list[float] = []
    resumes: list[float] = []
    for clip, evidence in clips:
        reached = verdicts(evidence, settings)
        by_kind.setdefault(clip.kind, []).append(reached)
        last = reached[-1] if reached else None
        if last is None:
            continue
        after_s = (last.at_sample - clip.onset) / SAMPLE_RATE
        if clip.kind == "interruption" and last.kind is OverlapKind.INTERRUPTION:
            delays.append(after_s)
        elif clip.kind != "interruption" and last.kind is not OverlapKind.INTERRUPTION:
            resumes.append((reached[0].at_sample - clip.onset) / SAMPLE_RATE)
    report: dict[str, Any] = {
        kind: {
            "clips": len(runs),
            "interruption_share": round(sum(_interrupts(run) for run in runs) / len(runs), 4),
            "heard_at_all": sum(bool(run) for run in runs),
        }
        for kind, runs in sorted(by_kind.items())
    }
    others = [run for kind, runs in by_kind.items() if kind != "interruption" for run in runs]
    report["false_positive_share"] = round(
        sum(_interrupts(run) for run in others) / max(1, len(others)), 4
    )
    if delays:
        report["delay_p50_s"] = round(statistics.median(delays), 3)
        report["delay_p90_s"] = round(float(np.quantile(delays, 0.9)), 3)
    if resumes:
        report["resume_p50_s"] = round(statistics.median(resumes), 3)
        report["resume_max_s"] = round(max(resumes), 3)
    return report


def _interrupts(run: list[Overlap]) -> bool:
    return any(verdict.kind is OverlapKind.INTERRUPTION for verdict in run)


def first_speech(pcm: Int16Array, model: SileroModel) -> int | None:
    """Where the speech detector first finds speech."""
    posterior = SileroPosterior(model)
    endpointer = Endpointer(EndpointerSettings(), SAMPLE_RATE, HOP)
    for begin in range(0, len(pcm) - HOP + 1, HOP):
        started = endpointer.push(posterior.push(pcm[begin : begin + HOP]), begin + HOP)
        if isinstance(started, SpeechStarted):
            return started.start_sample
    return None


def _noisy(pcm: Int16Array, snr_db: float, name: str) -> Int16Array:
    """With pink noise, `snr_db` below the level of the clip's loudest half second."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft(random.normal(0, 1, len(pcm)))
    spectrum /= np.sqrt(np.arange(len(spectrum)) + 10.0)
    noise = np.fft.irfft(spectrum, len(pcm))
    block = samples(0.5)
    levels = [
        float(np.mean(pcm[at : at + block].astype(np.float64) ** 2))
        for at in range(0, max(1, len(pcm) - block), block // 2)
    ]
    power = max(max(levels), 1.0) / 10 ** (snr_db / 10)
    noise *= np.sqrt(power / max(float(np.mean(noise**2)), 1e-12))
    mixed: Int16Array = np.clip(np.rint(pcm + noise), -32768, 32767).astype(np.int16)
    return mixed


def spoken(voice: str, text: str) -> Int16Array:
    """What a voice says, from a cache: synthesis is the slowest part of making the clips."""
    folder = platformdirs.user_cache_path("duplex-benchmarks") / "overlap"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (hashlib.sha256(f"{voice}/{text}".encode()).hexdigest()[:24] + ".npy")
    if not path.is_file():
        if voice not in _voices:
            _voices[voice] = StudentVoice() if voice == "student" else KokoroVoice(voice=voice)
        speaker = _voices[voice]
        parts = list(speaker.speak(text))
        pcm = np.concatenate([part.pcm for part in parts])
        np.save(path, resample(pcm, parts[0].sample_rate, SAMPLE_RATE))
    saved: Int16Array = np.load(path)
    loud = np.flatnonzero(np.abs(saved) > 300)
    return saved[loud[0] : loud[-1] + 1] if len(loud) else saved


_voices: dict[str, Voice] = {}


def _made_noises(count: int) -> Iterator[tuple[str, Int16Array]]:
    """Coughs (a burst of breath through a throat, sometimes twice), clicks and knocks."""
    for number in range(count):
        random = np.random.default_rng(1000 + number)
        kind = ("cough", "keys", "knock")[number % 3]
        signal = np.zeros(samples(1.0))
        if kind == "cough":
            for burst in range(random.integers(1, 3)):
                size = samples(random.uniform(0.15, 0.3))
                breath = random.normal(0, 1, size) * np.exp(-np.arange(size) / (0.3 * size))
                for resonance_hz in random.uniform((500, 1300, 2400), (900, 1900, 3400)):
                    phase = 2 * np.pi * resonance_hz * np.arange(160) / SAMPLE_RATE
                    breath = breath + np.convolve(
                        breath, np.sin(phase) * np.exp(-np.arange(160) / 40), "same"
                    )
                at = burst * samples(0.35)
                signal[at : at + size] += breath / np.abs(breath).max()
        elif kind == "keys":
            for at in random.integers(0, len(signal) - 400, 8):
                signal[at : at + 200] += random.normal(0, 1, 200) * np.exp(-np.arange(200) / 25)
        else:
            for at in (0, samples(0.2), samples(0.4)):
                tone = np.sin(2 * np.pi * random.uniform(90, 240) * np.arange(1600) / SAMPLE_RATE)
                signal[at : at + 1600] += tone * np.exp(-np.arange(1600) / 300)
        level = random.uniform(4000, 20000)
        yield f"{kind}/{number}", (signal / np.abs(signal).max() * level).astype(np.int16)


def _desktop_sounds() -> list[tuple[str, Int16Array]]:
    """Real recorded and designed sounds: a bell, a camera, a plug; empty where apt cannot."""
    folder = platformdirs.user_cache_path("duplex-benchmarks") / "desktop-sounds"
    if not folder.is_dir():
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            return []
        partial = folder.with_name("desktop-sounds-partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        command = ["apt-get", "download", "-q", "sound-theme-freedesktop"]
        if subprocess.run(command, cwd=partial, capture_output=True, check=False).returncode:
            return []
        for package in partial.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(partial)], check=True)
        partial.rename(folder)
    found = []
    for path in sorted(folder.rglob("*.oga")):
        # These speak: "front left".
        if path.is_symlink() or path.stem.startswith("audio-channel"):
            continue
        signal, rate = soundfile.read(path, dtype="int16", always_2d=True)
        found.append((path.stem, resample(signal[:, 0].copy(), rate, SAMPLE_RATE)))
    return found


def clips_for(folder: Path, count: int, ears: Ears, side: str) -> list[Clip]:
    """Half interruptions; the other half what is none."""
    orders = list(interruptions(folder, -(-count // (2 * len(SNRS_DB))), ears, side))
    if not orders:
        sys.exit(f"no recordings in {folder / 'commands'}; give their folder with --data")
    return [
        *orders,
        *backchannels(len(orders) // 2, ears, side),
        *noises(len(orders) // 4, side),
        *echoes(len(orders) // 4),
    ]


def main(folder: Path, count: int, side: str) -> dict[str, Any]:
    """Hear every clip once, then judge."""
    ears = Ears()
    heard = [
        (clip, ears.hear(clip.pcm, expected_echo(clip.pcm, clip.far)))
        for clip in clips_for(folder, count, ears, side)
    ]
    settings = OverlapSettings()
    wordless = [
        (clip, [piece for piece in evidence if isinstance(piece, OverlapHop)])
        for clip, evidence in heard
    ]
    by_snr = {
        f"{snr:g} dB": judged(
            [item for item in heard if item[0].name.endswith(f"/{snr:g} dB")], settings
        )
        for snr in SNRS_DB
    }
    return {
        "benchmark": "overlap",
        "machine": describe(),
        "side": side,
        "recognition_s": RECOGNITION_S,
        "all": judged(heard, settings),
        "by_snr": by_snr,
        "without_words": judged(wordless, settings),
        "without_echo_veto": judged(heard, replace(settings, echo_share=2.0)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--side", choices=("odd", "even", "all"), default="odd")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    given = parser.parse_args()
    print(json.dumps(main(given.data, given.clips, given.side)))
