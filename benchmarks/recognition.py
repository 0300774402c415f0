"""Errors, speed and latencies of the edge recogniser, next to the stock library's in one run.

Recordings are fed as a microphone would, in 32 ms chunks on a virtual clock: a chunk is handed
over when it has been spoken and the recogniser is done with the ones before, so its real running
time counts as it would in a call, without waiting for the audio to pass. Latencies are wall time
and need a quiet machine; `cpu_rtf` is the processor's time over the audio's. One line of JSON. The
comparison wants the package moonshine-voice 0.1.0 and is left out without it:

    python -m benchmarks.recognition --every 4
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

import jiwer
import numpy as np

from agent.asr.moonshine import Moonshine
from agent.asr.streaming import StreamingMoonshine
from agent.audio.chunk import SAMPLE_RATE, Int16Array, to_float
from agent.models import store
from benchmarks.corpus import Recording, load, normalise
from benchmarks.machine import describe

CHUNK = 512
LOUD = 0.02
"""Amplitude over which speech is said to have begun."""

NOTICED_AFTER = 1024
"""Samples after which a voice activity model is taken to have noticed speech: two hops."""

LONG_S = 5.0
"""An ordinary utterance is at most this long; finals are told apart at this length."""


class Ear(Protocol):
    """A recogniser under test."""

    def begin(self) -> None:
        """Start an utterance."""
        ...

    def push(self, pcm: Int16Array, is_speech: bool) -> bool:
        """Take what has come since; True when it brought an update of the text."""
        ...

    def finish(self) -> str:
        """End the utterance with its last sample and give its text."""
        ...


class OurEar:
    """The framework's streaming recogniser."""

    def __init__(self, model: Moonshine) -> None:
        self._recogniser = StreamingMoonshine(model)

    def begin(self) -> None:
        """See `Ear`."""
        self._recogniser.start(0, 0)

    def push(self, pcm: Int16Array, is_speech: bool) -> bool:
        """See `Ear`."""
        return self._recogniser.push(pcm, is_speech) is not None

    def finish(self) -> str:
        """See `Ear`."""
        return self._recogniser.finish().text


class StockEar:
    """The library's own streaming mode, as its documentation uses it."""

    def __init__(self, transcriber: Any) -> None:
        self._transcriber = transcriber

    def begin(self) -> None:
        """See `Ear`."""
        self._lines: dict[int, str] = {}
        self._events = 0
        self._stream = self._transcriber.create_stream(0.5)
        self._stream.add_listener(self._on_event)
        self._stream.start()

    def push(self, pcm: Int16Array, is_speech: bool) -> bool:
        """See `Ear`."""
        before = self._events
        self._stream.add_audio(to_float(pcm).tolist(), SAMPLE_RATE)
        return self._events > before

    def finish(self) -> str:
        """See `Ear`."""
        self._stream.stop()
        self._stream.close()
        return " ".join(self._lines.values())

    def _on_event(self, event: Any) -> None:
        line = getattr(event, "line", None)
        if line is not None and line.text:
            self._lines[line.line_id] = line.text
            self._events += 1


Result = TypeVar("Result")


@dataclass
class Measured:
    """What one recogniser did with all recordings; times in seconds."""

    texts: list[str] = field(default_factory=list)
    cpu_s: float = 0.0
    first_partials: list[float] = field(default_factory=list)
    intervals: list[float] = field(default_factory=list)
    finals: list[float] = field(default_factory=list)


def stream(ear: Ear, recordings: Sequence[Recording]) -> Measured:
    """Feed every recording on the virtual clock."""
    measured = Measured()
    began_cpu = time.process_time()
    for recording in recordings:
        _feed(ear, recording.pcm, measured)
    measured.cpu_s = time.process_time() - began_cpu
    return measured


def _feed(ear: Ear, pcm: Int16Array, measured: Measured) -> None:
    loud = np.flatnonzero(np.abs(pcm) > LOUD * 32768)
    onset = int(loud[0]) if len(loud) else 0
    ear.begin()
    given, free_s, shown_s = 0, 0.0, []
    while given < len(pcm):
        # All that has come while the recogniser was busy is handed over at once, as the
        # framework's worker does; what came before speech was noticed apart from what came after.
        came = max(given + CHUNK, int(free_s * SAMPLE_RATE) // CHUNK * CHUNK)
        noticed = -(-(onset + NOTICED_AFTER) // CHUNK) * CHUNK
        until = min(came, len(pcm)) if given >= noticed else min(came, noticed, len(pcm))
        chunk, is_speech = pcm[given:until], given >= noticed
        given = until
        has_text, took_s = _timed(partial(ear.push, chunk, is_speech))
        free_s = max(free_s, given / SAMPLE_RATE) + took_s
        if has_text:
            shown_s.append(free_s)
    text, took_s = _timed(ear.finish)
    measured.texts.append(text)
    measured.finals.append(max(free_s - len(pcm) / SAMPLE_RATE, 0.0) + took_s)
    if shown_s:
        measured.first_partials.append(shown_s[0] - onset / SAMPLE_RATE)
        measured.intervals.extend(np.diff(shown_s).tolist())


def _timed(call: Callable[[], Result]) -> tuple[Result, float]:
    began = time.perf_counter()
    result = call()
    return result, time.perf_counter() - began


def batch(read: Callable[[Int16Array], str], recordings: Sequence[Recording]) -> Measured:
    """Read every recording whole."""
    measured = Measured()
    began_cpu = time.process_time()
    for recording in recordings:
        text, took_s = _timed(partial(read, recording.pcm))
        measured.texts.append(text)
        measured.finals.append(took_s)
    measured.cpu_s = time.process_time() - began_cpu
    return measured


def report(measured: Measured, recordings: Sequence[Recording]) -> dict[str, Any]:
    """Reduce to what is printed."""
    seconds = [len(recording.pcm) / SAMPLE_RATE for recording in recordings]
    errors = jiwer.process_words(
        [normalise(recording.text) for recording in recordings],
        [normalise(text) for text in measured.texts],
    )
    ordinary = [
        final for final, length in zip(measured.finals, seconds, strict=True) if length <= LONG_S
    ]
    return {
        "wer_percent": round(100 * errors.wer, 2),
        "substitutions": errors.substitutions,
        "insertions": errors.insertions,
        "deletions": errors.deletions,
        "cpu_rtf": round(measured.cpu_s / sum(seconds), 4),
        "with_final_stop": sum(text.endswith((".", "?", "!")) for text in measured.texts),
        "first_partial_ms": _percentiles(measured.first_partials),
        "update_interval_ms": _percentiles(measured.intervals),
        "final_ms": _percentiles(measured.finals),
        f"final_ms_up_to_{LONG_S:.0f}_s": _percentiles(ordinary),
    }


def _percentiles(values: Sequence[float]) -> dict[str, int] | None:
    if not values:
        return None
    return {f"p{part}": round(1000 * float(np.percentile(values, part))) for part in (50, 90, 99)}


def ours(name: str, recordings: Sequence[Recording]) -> dict[str, Any]:
    """Both ways of one model of ours."""
    model = Moonshine(store.locate(name))
    model.transcribe(to_float(recordings[0].pcm))  # the first run allocates
    return {
        f"{name} streaming": report(stream(OurEar(model), recordings), recordings),
        f"{name} whole": report(batch(lambda pcm: _in_pieces(model, pcm), recordings), recordings),
    }


def _in_pieces(model: Moonshine, pcm: Int16Array, most_s: float = 15.0) -> str:
    """Read whole recordings as far as the model was made for, longer ones in equal pieces."""
    pieces = np.array_split(pcm, max(1, int(np.ceil(len(pcm) / SAMPLE_RATE / most_s))))
    return " ".join(model.transcribe(to_float(piece)).text for piece in pieces)


def stock(recordings: Sequence[Recording]) -> dict[str, Any]:
    """Both modes of moonshine-voice with the tiny model it carries."""
    if importlib.util.find_spec("moonshine_voice") is None:
        return {"stock": "left out: moonshine-voice is not installed"}
    import moonshine_voice
    from moonshine_voice.moonshine_api import ModelArch
    from moonshine_voice.transcriber import Transcriber

    weights = Path(moonshine_voice.__file__).parent / "assets" / "tiny-en"
    transcriber = Transcriber(str(weights), ModelArch.TINY, options={"return_audio_data": "false"})

    def read(pcm: Int16Array) -> str:
        heard = transcriber.transcribe_without_streaming(to_float(pcm).tolist(), SAMPLE_RATE)
        return " ".join(line.text for line in heard.lines)

    read(recordings[0].pcm)
    name = f"moonshine-voice {version('moonshine-voice')} tiny"
    return {
        f"{name} batch": report(batch(read, recordings), recordings),
        f"{name} streaming": report(stream(StockEar(transcriber), recordings), recordings),
    }


def main() -> None:
    """Parse the arguments, measure, print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every n-th recording")
    arguments = parser.parse_args()
    source, recordings = load()
    recordings = recordings[:: arguments.every]
    results: dict[str, Any] = {}
    for name in ("moonshine-tiny-en", "moonshine-base-en"):
        results |= ours(name, recordings)
    results |= stock(recordings)
    seconds = sum(len(recording.pcm) for recording in recordings) / SAMPLE_RATE
    words = sum(len(normalise(recording.text).split()) for recording in recordings)
    record = {
        "benchmark": "recognition",
        "machine": describe(),
        "recordings": {
            "source": source,
            "n": len(recordings),
            "seconds": round(seconds, 1),
            "words": words,
        },
        "results": results,
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
