"""One device or engine against another on the same recordings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from agent.audio.chunk import SAMPLE_RATE, Int16Array
from agent.audio.resample import resample
from agent.errors import SettingsError
from agent.parakeet.engine import Failure, Transcript, Utterance
from agent.parakeet.tools.engines import opened
from agent.parakeet.tools.report import Report
from agent.parakeet.tools.word_errors import plain_words, word_errors


def accuracy(
    engine: str,
    config: Mapping[str, Any],
    other: str,
    other_config: Mapping[str, Any],
    recordings: Sequence[Path],
) -> Report:
    """Recognise every recording with both, alone and in one batch.

    A text beside a recording (``NAME.txt``) is what was said; the word error rate is then against
    it, else against the other engine.

    Raises:
        SettingsError: No recording, or an engine that cannot be loaded.
    """
    pcms = [read(path) for path in recordings]
    first, first_name = _transcribed(engine, config, pcms)
    second, second_name = _transcribed(other, other_config, pcms)
    rows: list[dict[str, Any]] = []
    errors, count = 0, 0
    for path, (alone, batched), (reference, _) in zip(recordings, first, second, strict=True):
        written = path.with_suffix(".txt")
        wanted = plain_words(written.read_text(encoding="utf-8") if written.exists() else reference)
        wrong = word_errors(wanted, plain_words(alone))
        errors, count = errors + wrong, count + len(wanted)
        rows.append(
            {
                "recording": path.name,
                "equal": alone == reference,
                "batch_equal": alone == batched,
                "errors": wrong,
                "words": len(wanted),
            }
        )
    equal = sum(row["equal"] is True for row in rows)
    facts = {
        "engine": first_name,
        "against": second_name,
        "equal_texts": f"{equal} of {len(rows)}",
        "wer": errors / count if count else 0.0,
    }
    good = equal == len(rows) and all(row["batch_equal"] for row in rows)
    return Report("accuracy", rows, facts, good)


def read(path: Path) -> Int16Array:
    """A sound file as 16 kHz mono.

    Raises:
        SettingsError: Not a sound file.
    """
    try:
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise SettingsError(f"cannot read {path}: {error}") from error
    mono = np.rint(samples.mean(axis=1)).astype(np.int16)
    return resample(mono, rate, SAMPLE_RATE)


def _transcribed(
    engine: str, config: Mapping[str, Any], pcms: Sequence[Int16Array]
) -> tuple[list[tuple[str, str]], str]:
    """Texts of each recording alone and in company, and the engine's name."""
    utterances = [Utterance(pcm) for pcm in pcms]
    with opened(engine, config) as (loaded, facts):
        size = max(1, facts.max_batch)
        batched = [
            result
            for start in range(0, len(utterances), size)
            for result in loaded.transcribe(utterances[start : start + size]).results
        ]
        alone = [loaded.transcribe([utterance]).results[0] for utterance in utterances]
        name = f"{facts.engine} {facts.model} on {facts.device}"
    texts = [(_text(one), _text(other)) for one, other in zip(alone, batched, strict=True)]
    return texts, name


def _text(result: Transcript | Failure) -> str:
    return f"({result.kind})" if isinstance(result, Failure) else result.text
