"""Many live streams at once at a recognition server: texts, lag of partials, time to the final.

    python -m benchmarks.parakeet_streams --url ws://HOST:8010 [--streams 16] [FILE ...]

Each stream sends 100 ms of audio every 100 ms, as a caller does, over a connection of its own; the
streams begin at different moments of a step. Without files the packaged voice speaks. Prints one
JSON line:

* ``different``: texts that are not those of the same audio sent alone;
* ``partial_lag``: from when the last sample a partial covers was sent until the partial came;
* ``final``: from the end of the audio to the final;
* ``late``: how far behind its schedule the sender was, which is this machine's fault, not the
  server's;
* ``slots_leaked``: of ``/metrics``, after everything and ``--aborts`` streams opened and dropped.
"""

import argparse
import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import soundfile

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.audio.resample import resample
from benchmarks.corpus import SENTENCES
from benchmarks.latency import milliseconds
from benchmarks.machine import describe
from tests.parakeet.client import NativeClient

STEP = samples(0.1)


@dataclass
class Heard:
    """What came back for one stream. All in seconds."""

    text: str
    final_s: float
    lags_s: list[float] = field(default_factory=list)
    late_s: float = 0.0


async def speak(url: str, pcm: Int16Array, delay_s: float) -> Heard:
    """Send a recording at the pace of speech."""
    await asyncio.sleep(delay_s)
    client = await NativeClient.open(url, language="en")
    clock = asyncio.get_running_loop().time
    began_s = clock()
    lags_s: list[float] = []

    def on_message(message: dict[str, Any]) -> None:
        if message["type"] == "partial":
            # The message with that sample left when its last one was spoken.
            sent = min(len(pcm), -(-message["through_sample"] // STEP) * STEP)
            lags_s.append(clock() - began_s - sent / SAMPLE_RATE)

    listening = asyncio.create_task(client.until("final", 1, on_message))
    late_s = 0.0
    for start in range(0, len(pcm), STEP):
        piece = pcm[start : start + STEP]
        due_s = began_s + (start + len(piece)) / SAMPLE_RATE
        await asyncio.sleep(max(0.0, due_s - clock()))
        late_s = max(late_s, clock() - due_s)
        await client.audio(1, piece, start=start, step=STEP)
    ended_s = clock()
    await client.say(type="finalize", utterance=1, samples=len(pcm), deadline_s=60)
    final = await listening
    took_s = clock() - ended_s
    await client.close()
    return Heard(final["text"], took_s, lags_s, late_s)


async def abort(url: str, pcm: Int16Array, count: int) -> None:
    """Open and drop so many streams."""
    client = await NativeClient.open(url)
    for number in range(1, count + 1):
        await client.audio(number, pcm[: 2 * STEP])
        await client.say(type="abort", utterance=number)
    # An answer to the last message: all before it were taken.
    await client.say(type="ping")
    await client.until("pong")
    await client.close()


async def free_slots(url: str) -> float:
    """Slots that nobody has, as the server tells."""
    async with httpx.AsyncClient(base_url=url.replace("ws", "http", 1)) as http:
        text = (await http.get("/metrics")).text
    found = re.search(r"^parakeet_slots_free (\S+)$", text, re.M)
    return float(found[1]) if found else 0.0


async def measure(
    url: str, clips: Sequence[Int16Array], streams: int, rounds: int, aborts: int
) -> dict[str, Any]:
    """Speak every clip alone, then `streams` of them at once."""
    free = await free_slots(url)
    alone = [await speak(url, pcm, 0.0) for pcm in clips]
    heard: list[tuple[int, Heard]] = []
    for round_ in range(rounds):
        places = [(round_ * streams + number) % len(clips) for number in range(streams)]
        together = await asyncio.gather(
            *(speak(url, clips[place], number * 0.037) for number, place in enumerate(places))
        )
        heard += zip(places, together, strict=True)
    await abort(url, clips[0], aborts)
    return {
        "streams": streams,
        "utterances": len(heard),
        "different": sum(found.text != alone[place].text for place, found in heard),
        "empty": sum(not found.text for _, found in heard),
        "partial_lag": milliseconds([lag for _, found in heard for lag in found.lags_s]),
        "partial_lag_alone": milliseconds([lag for found in alone for lag in found.lags_s]),
        "final": milliseconds([found.final_s for _, found in heard]),
        "final_alone": milliseconds([found.final_s for found in alone]),
        "late": milliseconds([found.late_s for _, found in heard]),
        "aborts": aborts,
        "slots_leaked": free - await free_slots(url),
    }


def recording(path: Path) -> Int16Array:
    """A file as the protocol wants it: 16 kHz mono."""
    pcm, rate = soundfile.read(path, dtype="int16", always_2d=True)
    return resample(pcm[:, 0].copy(), rate, SAMPLE_RATE)


def voiced() -> list[Int16Array]:
    """Sentences in the packaged voice."""
    from tests.speech import dialogue

    return [dialogue(0.2, sentence, 0.5) for sentence in SENTENCES[:8]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--url", required=True, help="ws://HOST:PORT of duplex asr-server")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--aborts", type=int, default=1000)
    parser.add_argument("files", nargs="*", type=Path)
    given = parser.parse_args()
    clips = [recording(path) for path in given.files] or voiced()
    found = asyncio.run(measure(given.url, clips, given.streams, given.rounds, given.aborts))
    print(json.dumps({"benchmark": "parakeet_streams", "machine": describe(), **found}))


if __name__ == "__main__":
    main()
