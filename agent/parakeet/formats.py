"""A transcript as OpenAI's transcription API writes it: json, verbose_json, srt, vtt. Pure."""

import math
from collections.abc import Sequence
from typing import Any

from agent.audio.chunk import seconds
from agent.parakeet.engine import Transcript, Word
from agent.parakeet.segments import sentences

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")

_LANGUAGES = {"en": "english", "fr": "french", "de": "german", "es": "spanish", "it": "italian"}
"""OpenAI spells the language out; others are given as their code."""


def json_of(transcript: Transcript, length_s: float, *, logprobs: bool) -> dict[str, Any]:
    """The ``json`` format.

    Args:
        transcript: With words where `logprobs` are wanted.
        length_s: Of the audio.
        logprobs: Whether each word's log probability is wanted.
    """
    found: dict[str, Any] = {"text": transcript.text, "usage": _usage(length_s)}
    if logprobs:
        found["logprobs"] = logprobs_of(transcript.words)
    return found


def verbose_of(
    transcript: Transcript, length_s: float, granularities: Sequence[str]
) -> dict[str, Any]:
    """The ``verbose_json`` format.

    Args:
        transcript: With words.
        length_s: Of the audio.
        granularities: ``word``, ``segment`` or both.
    """
    language = transcript.language or "en"
    found: dict[str, Any] = {
        "task": "transcribe",
        "language": _LANGUAGES.get(language, language),
        "duration": length_s,
        "text": transcript.text,
        "usage": _usage(length_s),
    }
    if "word" in granularities:
        found["words"] = [
            {"word": word.text, "start": _start_s(word), "end": _end_s(word)}
            for word in transcript.words
        ]
    if "segment" in granularities:
        found["segments"] = [
            _segment(number, group) for number, group in enumerate(sentences(transcript.words))
        ]
    return found


def srt_of(words: Sequence[Word]) -> str:
    """SubRip subtitles."""
    return "".join(
        f"{number}\n{_span(group, ',')}\n{_text(group)}\n\n"
        for number, group in enumerate(sentences(words), 1)
    )


def vtt_of(words: Sequence[Word]) -> str:
    """WebVTT subtitles."""
    cues = (f"{_span(group, '.')}\n{_text(group)}\n\n" for group in sentences(words))
    return "WEBVTT\n\n" + "".join(cues)


def logprobs_of(words: Sequence[Word]) -> list[dict[str, Any]]:
    """Each word with its log probability, as if it were a token."""
    return [
        {"token": word.text, "logprob": _log(word.confidence), "bytes": list(word.text.encode())}
        for word in words
    ]


def _segment(number: int, group: Sequence[Word]) -> dict[str, Any]:
    logs = [_log(word.confidence) for word in group]
    return {
        "id": number,
        "seek": 0,
        "start": _start_s(group[0]),
        "end": _end_s(group[-1]),
        "text": _text(group),
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": sum(logs) / len(logs),
        # Whisper's own measures of a failed decoding; ours are cut before (see `repetition`).
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }


def _usage(length_s: float) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(length_s)}


def _log(confidence: float) -> float:
    return math.log(max(confidence, 1e-10))


def _text(group: Sequence[Word]) -> str:
    return " ".join(word.text for word in group)


def _start_s(word: Word) -> float:
    return round(seconds(word.start_sample), 3)


def _end_s(word: Word) -> float:
    return round(seconds(word.end_sample), 3)


def _span(group: Sequence[Word], point: str) -> str:
    return f"{_clock(_start_s(group[0]), point)} --> {_clock(_end_s(group[-1]), point)}"


def _clock(time_s: float, point: str) -> str:
    whole = round(time_s * 1000)
    rest, milliseconds = divmod(whole, 1000)
    rest, second = divmod(rest, 60)
    hour, minute = divmod(rest, 60)
    return f"{hour:02}:{minute:02}:{second:02}{point}{milliseconds:03}"
