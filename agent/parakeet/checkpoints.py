"""What is done of a long recording, on disk: a killed server goes on where it was."""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from agent.audio.chunk import Int16Array
from agent.parakeet import wire
from agent.parakeet.engine import Failure, Options, Transcript
from agent.parakeet.segments import Segment


class Checkpoints:
    """One file of JSON lines for each recording: a segment and its transcript on each line.

    A recording is known by its samples, the options and the model, so sending it again resumes it,
    and sending it again after it is done costs nothing while its file is kept.
    """

    def __init__(self, directory: Path, keep_s: float = 24 * 3600.0) -> None:
        """Use `directory`, making it; files older than `keep_s` are removed."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        oldest_s = time.time() - keep_s
        for path in directory.glob("*.jsonl"):
            if path.stat().st_mtime < oldest_s:
                path.unlink(missing_ok=True)

    def path(self, pcm: Int16Array, options: Options, model: str) -> Path:
        """Where this recording's progress is."""
        digest = hashlib.sha256(json.dumps([wire.options_to(options), model]).encode())
        digest.update(pcm.tobytes())
        return self._directory / f"{digest.hexdigest()}.jsonl"

    def done(self, path: Path) -> dict[Segment, Transcript]:
        """Segments recognised before; a line cut short by a kill does not count."""
        found: dict[Segment, Transcript] = {}
        if not path.exists():
            return found
        for line in path.read_bytes().split(b"\n"):
            try:
                entry = json.loads(line)
                segment = Segment(*entry["segment"])
                result = wire.result_from(entry["result"])
            except (ValueError, KeyError, TypeError):
                continue
            if not isinstance(result, Failure):
                found[segment] = result
        return found

    def add(self, path: Path, segment: Segment, transcript: Transcript) -> None:
        """Remember one segment, safely on disk before this returns."""
        entry: Mapping[str, object] = {
            "segment": [segment.start_sample, segment.end_sample],
            "result": wire.result_to(transcript),
        }
        # A newline first: an earlier line may have been cut short.
        with path.open("ab") as file:
            file.write(b"\n" + json.dumps(entry).encode())
            file.flush()
            os.fsync(file.fileno())
