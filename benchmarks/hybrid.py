"""Confidence routing: word errors against the share of utterances that goes to the cloud.

Every recording is read by the edge and by the cloud once; then each threshold is played through. An
utterance of which the edge is less sure than the threshold takes the cloud's text. Threshold 0 is
the edge alone, 1 the cloud alone. Without `--cloud`, Moonshine base stands in for the cloud and
tiny is the edge, which shows the shape of the curve and nothing of any server. Prints a table and
one line of JSON:

    python -m benchmarks.hybrid --every 3 [--cloud ws://HOST:8010] [--edge moonshine-base-en]
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jiwer
import numpy as np

from agent.asr.cloud.client import CloudSettings, Feed
from agent.asr.cloud.cloud import client_for
from agent.asr.hybrid.audio import UtteranceAudio
from agent.asr.hybrid.comparison import confidence
from agent.asr.moonshine import Moonshine
from agent.asr.streaming import StreamingMoonshine
from agent.models.store import locate
from benchmarks.corpus import Recording, load, normalise
from benchmarks.machine import describe

THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 1.0)
STAND_IN = "moonshine-base-en"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one side made of one recording.

    Attributes:
        text: As recognised.
        sure: Confidence in [0, 1].
        seconds: From the last sample to the text.
    """

    text: str
    sure: float
    seconds: float


def read_here(model: Moonshine, recordings: Sequence[Recording]) -> list[Reading]:
    """Read every recording with a model of this machine."""
    readings = []
    for recording in recordings:
        recogniser = StreamingMoonshine(model)
        recogniser.push(recording.pcm)
        began = time.perf_counter()
        hypothesis = recogniser.finish()
        took = time.perf_counter() - began
        readings.append(Reading(hypothesis.text, confidence(hypothesis), took))
    return readings


async def read_there(url: str, recordings: Sequence[Recording]) -> list[Reading]:
    """Read every recording with a server, its audio sent beforehand."""
    client = client_for(CloudSettings(url))()
    readings = []
    for recording in recordings:
        audio = UtteranceAudio()
        audio.append(recording.pcm)
        feed = Feed(audio)
        answering = asyncio.create_task(client.transcribe(feed))
        await asyncio.sleep(len(recording.pcm) / 160_000)
        began = time.perf_counter()
        feed.close()
        answer = await answering
        readings.append(Reading(answer.text, answer.confidence or 1.0, time.perf_counter() - began))
    await client.close()
    return readings


def route(
    threshold: float, edge: Sequence[Reading], cloud: Sequence[Reading], texts: Sequence[str]
) -> dict[str, float]:
    """Play one threshold through."""
    asked = [reading.sure < threshold or threshold >= 1.0 for reading in edge]
    taken = [c if ask else e for ask, e, c in zip(asked, edge, cloud, strict=True)]
    # The cloud is asked after the edge has read: the caller waits for both.
    waits = [
        e.seconds + (c.seconds if ask else 0.0)
        for ask, e, c in zip(asked, edge, cloud, strict=True)
    ]
    errors = jiwer.wer([normalise(text) for text in texts], [normalise(r.text) for r in taken])
    return {
        "below": threshold,
        "cloud_share_percent": round(100 * sum(asked) / len(asked), 1),
        "wer_percent": round(100 * errors, 2),
        "wait_p50_ms": round(1000 * float(np.median(waits))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every n-th recording")
    parser.add_argument("--edge", default="moonshine-tiny-en")
    parser.add_argument("--cloud", help="address of a server; default: a stand-in of this machine")
    given = parser.parse_args()
    source, recordings = load()
    recordings = recordings[:: given.every]
    texts = [recording.text for recording in recordings]
    edge = read_here(Moonshine(locate(given.edge)), recordings)
    if given.cloud:
        cloud = asyncio.run(read_there(given.cloud, recordings))
    else:
        cloud = read_here(Moonshine(locate(STAND_IN)), recordings)
    rows = [route(threshold, edge, cloud, texts) for threshold in THRESHOLDS]
    print("below  to the cloud  word errors  wait p50", file=sys.stderr)
    for row in rows:
        print(
            "{below:5.2f}  {cloud_share_percent:10.1f} %  {wer_percent:9.2f} %  "
            "{wait_p50_ms:5.0f} ms".format(**row),
            file=sys.stderr,
        )
    record: dict[str, Any] = {
        "benchmark": "hybrid",
        "machine": describe(),
        "source": source,
        "recordings": len(recordings),
        "edge": given.edge,
        "cloud": given.cloud or f"{STAND_IN}, standing in",
        "routes": rows,
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
