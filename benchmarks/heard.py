"""Random cuts against what was played: does the context hold the words that were heard?

    python -m benchmarks.heard [--cuts 500] [--seed 1]

The real voice speaks through a whole session on virtual time to a client with a jitter buffer and a
network behind it; at a random moment the client cuts the answer. Half of the cuts come after a
false alarm, in which the agent was paused and went on. What was played is read from the packets:
each is looked for in what the voice made, so no count of ours is believed. Then the context is
compared.

Two clients: one that reports what it has played (plain stream, page over WebSocket), one of which
only the usual delay is known. Prints one JSON line.

Within one word: share of cuts after which the context's answer has at most one word more or less
than were heard, by the middle of each word. Unplayed: cuts after which it holds a word of which
nothing had been played. Told: share of cuts after which the next request tells the model.
"""

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.audio.chunk import SAMPLE_RATE, Int16Array
from agent.eval.scripted import LoudnessPosterior
from agent.llm.prompt import INTERRUPTED_NOTE
from agent.processors.frames import TurnDecisionFrame
from agent.session import Channel, Models, VoiceSession, close
from agent.settings import load
from agent.transports.memory import MemoryOutput, MemoryTransport
from agent.tts.speech import Speech, Voice
from agent.tts.student import StudentVoice
from agent.turns.events import Decision, DecisionKind
from agent.turns.policy import FusedPolicy
from agent.virtual_time import VirtualLoop
from benchmarks.instant import InstantProsody, InstantRecogniser
from benchmarks.machine import describe
from benchmarks.self_echo import ANSWERS

RATE = 24_000
CUTS_IN_A_SESSION = 10
REPORT_S = 0.1
USUAL_DELAY_S = 0.12
"""Assumed of a client that reports nothing; the real ones are spread around it."""


class KeptVoice:
    """The real voice, made once for each clause, and what it said lately."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self.name = voice.name
        self.sample_rate = voice.sample_rate
        self._made: dict[str, list[Speech]] = {}
        self.lately: list[Speech] = []

    def speak(self, clause: str) -> Iterator[Speech]:
        """Give a clause."""
        if clause not in self._made:
            self._made[clause] = list(self._voice.speak(clause))
        for speech in self._made[clause]:
            self.lately.append(speech)
            yield speech


class Reciting(FrameProcessor):
    """In the language model's place: an answer of two or three sentences."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self.asked: list[list[Any]] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        self.asked.append(list(frame.context.messages))
        await self.push_frame(LLMFullResponseStartFrame())
        for token in self._chance.choice(ANSWERS).split():
            await self.push_frame(LLMTextFrame(f"{token} "))
        await self.push_frame(LLMFullResponseEndFrame())


@dataclass
class Client:
    """A loudspeaker behind a network and a jitter buffer.

    Attributes:
        output: The server's end.
        buffer_s: From a packet's leaving to its sounding.
        network_s: A message's way.
        reports: Whether it says what it has played.
    """

    output: MemoryOutput
    buffer_s: float
    network_s: float
    reports: bool
    cleared_at: list[float] = field(default_factory=list)

    def played(self, until_s: float) -> list[tuple[Int16Array, int]]:
        """Packets that have begun to sound, and how much of each has sounded."""
        heard = []
        free_at = 0.0
        for sent_at, pcm in self.output.packets:
            starts = max(free_at, sent_at + self.buffer_s)
            drops = [at for at in self.cleared_at if at > sent_at]
            end = min([until_s, *drops])
            free_at = min(starts + len(pcm) / RATE, max(starts, end))
            if (count := round((free_at - starts) * RATE)) > 0:
                heard.append((pcm, count))
        return heard

    def played_samples(self, until_s: float) -> int:
        """Samples that have sounded since the session began."""
        return sum(count for _, count in self.played(until_s))


@dataclass
class Tally:
    """Cuts of one kind of client."""

    cuts: int = 0
    within_one: int = 0
    exact: int = 0
    unplayed: int = 0
    told: int = 0
    notes: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """As printed."""
        cuts = max(1, self.cuts)
        return {
            "cuts": self.cuts,
            "within_one_word_share": round(self.within_one / cuts, 4),
            "exact_share": round(self.exact / cuts, 4),
            "cuts_with_an_unplayed_word": self.unplayed,
            "told_share": round(self.told / cuts, 4),
        }


class Call:
    """One session that is cut again and again."""

    def __init__(self, voice: KeptVoice, chance: random.Random, *, reports: bool) -> None:
        self._voice = voice
        self._chance = chance
        self._language = Reciting(chance)
        self._transport = MemoryTransport(SAMPLE_RATE)
        self._client = Client(
            self._transport.output(),
            buffer_s=chance.uniform(0.04, 0.2),
            network_s=chance.uniform(0.005, 0.06),
            reports=reports,
        )
        loop = asyncio.get_running_loop()
        self._session = VoiceSession(
            load(environ={"DUPLEX_AGENT__GREETING": "", "DUPLEX_TURNS__SPECULATE": "false"}),
            Models(
                silero=LoudnessPosterior(),  # type: ignore[arg-type]
                smart_turn=InstantProsody(),  # type: ignore[arg-type]
                recogniser=InstantRecogniser,
                policy=FusedPolicy,
                voice=voice,
                language=lambda _prompt: self._language,
                names={},
            ),
            self._transport,
            Channel("memory", RATE, USUAL_DELAY_S, fades=not reports),
            system_prompt="",
            clock=loop.time,
        )

    async def run(self, cuts: int, tally: Tally) -> None:
        """Cut so many answers."""
        task = asyncio.create_task(self._session.run())
        await self._transport.input().ready.wait()
        reporting = asyncio.create_task(self._report()) if self._client.reports else None
        for number in range(cuts):
            await self._cut_one(number, tally)
        if reporting:
            reporting.cancel()
        await close(self._session, task, drain_s=1.0)

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time() - self._client.output.origin_s

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            await self._say_played(cleared=False)

    async def _say_played(self, *, cleared: bool) -> None:
        played = self._client.played_samples(self._now_s())
        loop = asyncio.get_running_loop()
        message = {"type": "played", "samples": played, "cleared": cleared}
        loop.call_later(self._client.network_s, lambda: self._send_later(message))

    def _send_later(self, message: dict[str, Any]) -> None:
        # Kept until it is done, or the loop may forget it.
        self._sending = asyncio.create_task(self._transport.input().send(message))

    async def _cut_one(self, number: int, tally: Tally) -> None:
        self._voice.lately.clear()
        before = len(self._client.output.packets)
        await self._transport.input().send({"type": "text", "text": f"Question {number}."})
        await asyncio.sleep(0.3)
        length_s = sum(len(speech.pcm) for speech in self._voice.lately) / RATE
        moment = self._chance.uniform(0.0, max(0.5, min(length_s - 0.5, 12.0)))
        if self._chance.random() < 0.5:
            await asyncio.sleep(moment / 2)
            await self._decide(DecisionKind.PAUSE)
            await asyncio.sleep(self._chance.uniform(0.1, 0.8))
            await self._decide(DecisionKind.RESUME)
            moment /= 2
        await asyncio.sleep(moment)
        await self._cut()
        heard = self._heard_words(before)
        await asyncio.sleep(0.3)
        self._compare(heard, tally)

    async def _decide(self, kind: DecisionKind) -> None:
        decision = Decision(kind, 0, 0, "a cough")
        await self._session.worker.queue_frame(TurnDecisionFrame(decision=decision, text=""))

    async def _cut(self) -> None:
        """The user interrupts; the client goes on until it is told to drop what it has."""
        seen = len(self._client.output.messages)
        await self._transport.input().send({"type": "interrupt"})
        for _ in range(100):
            clears = [m for _, m in self._client.output.messages[seen:] if m["type"] == "clear"]
            if clears:
                break
            await asyncio.sleep(0.001)
        await asyncio.sleep(self._client.network_s)
        self._client.cleared_at.append(self._now_s())
        if self._client.reports:
            await self._say_played(cleared=True)

    def _heard_words(self, before: int) -> tuple[list[str], int, int]:
        """The answer's words; how many were heard, and how many had begun to sound."""
        made = self._voice.lately
        pcm = np.concatenate([speech.pcm for speech in made] or [np.zeros(0, np.int16)])
        own = {id(packet) for _, packet in self._client.output.packets[before:]}
        position = 0
        for packet, count in self._client.played(self._now_s()):
            if id(packet) in own and (at := _find(packet, pcm, position)) is not None:
                position = at + count
        words, heard, begun, offset = [], 0, 0, 0
        for speech in made:
            for word in speech.words:
                words.append(word.text)
                start, end = offset + word.start_s * RATE, offset + word.end_s * RATE
                heard += 2 * position > start + end
                begun += position > start
            offset += len(speech.pcm)
        return words, heard, begun

    def _compare(self, truth: tuple[list[str], int, int], tally: Tally) -> None:
        words, heard, begun = truth
        messages: list[dict[str, Any]] = []
        for message in self._session.context.messages:
            assert isinstance(message, dict)
            messages.append({**message})
        last = max(i for i, message in enumerate(messages) if message["role"] == "user")
        said = " ".join(m["content"] for m in messages[last:] if m["role"] == "assistant").split()
        is_prefix = said == words[: len(said)]
        tally.cuts += 1
        is_near = is_prefix and abs(len(said) - heard) <= 1
        if not is_near:
            tally.notes.append(f"{len(said)} words kept, {heard} heard: ... {' '.join(said[-3:])}")
        tally.within_one += is_near
        tally.exact += is_prefix and len(said) == heard
        tally.unplayed += not is_prefix or len(said) > begun
        tally.told += begun == 0 or any(m["content"] == INTERRUPTED_NOTE for m in messages[last:])


def _find(packet: Int16Array, pcm: Int16Array, start: int) -> int | None:
    """Where a packet lies in what the voice made, from `start` less one packet on."""
    for at in range(max(0, start // len(packet) - 1) * len(packet), len(pcm), len(packet)):
        if np.array_equal(pcm[at : at + len(packet)], packet[: len(pcm) - at]):
            return at
    return None


def cut_often(cuts: int, seed: int, voice: Voice) -> dict[str, Any]:
    """Cut so many answers, half of them with each kind of client."""
    kept = KeptVoice(voice)
    found = {}
    for name, reports in {"reporting": True, "estimated": False}.items():
        tally = Tally()
        number = 0
        while tally.cuts < cuts // 2:
            loop = VirtualLoop()
            with loop.virtual():
                loop.run_until_complete(
                    _one_call(
                        kept, random.Random(f"{seed}/{name}/{number}"), reports, cuts // 2, tally
                    )
                )
            loop.close()
            number += 1
            print(name, tally.report(), file=sys.stderr)
        found[name] = tally.report() | {"wrong": tally.notes}
    return found


async def _one_call(
    voice: KeptVoice, chance: random.Random, reports: bool, cuts: int, tally: Tally
) -> None:
    call = Call(voice, chance, reports=reports)
    await call.run(min(CUTS_IN_A_SESSION, cuts - tally.cuts), tally)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=500, help="half with each kind of client")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="the only form there is")
    given = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    result = cut_often(given.cuts, given.seed, StudentVoice())
    print(json.dumps({"benchmark": "heard", "machine": describe(), **result}))
