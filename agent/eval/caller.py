"""The scripted caller: listens to the agent, and speaks when a line's moment has come."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from loguru import logger

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.eval import memory
from agent.eval.ears import HeardWord, WordEar
from agent.eval.line import PACKET, PACKET_S
from agent.eval.line import Line as Wire
from agent.eval.parties import Party
from agent.eval.scenario import Line, Scenario
from agent.eval.speaking import AUDIBLE, Spoken

_FIRST_S = 0.5
"""Before the first line, where nobody greets."""

_SILENT_S = 0.3
"""Without sound for so long the agent has stopped; speech has shorter gaps."""

_PATIENCE_S = 8.0
"""Silence after which an answer is given up."""

_REST_S = 2.0
"""After the last answer, before hanging up."""

_LONGEST_S = 900.0


@dataclass(frozen=True, slots=True)
class Said:
    """Something the caller did.

    Attributes:
        line: What it was meant to be.
        text: The words, as a recogniser should understand them.
        start_s: Its first audible sample, on the caller's clock.
        end_s: Just after its last.
        over_agent: Whether the agent was speaking when it began.
        messages: How many the agent's context held when it began.
        was_said: Whether its moment came.
    """

    line: Line
    text: str
    start_s: float
    end_s: float
    over_agent: bool = False
    messages: int = 0
    was_said: bool = True


@dataclass
class Call:
    """What became of a conversation. All times are seconds on the caller's clock."""

    said: list[Said] = field(default_factory=list)
    words: list[HeardWord] = field(default_factory=list)
    made: int = 0
    """Words the agent's voice has made, heard or not."""
    caller: Int16Array = field(default_factory=lambda: np.zeros(0, np.int16))
    """The caller's voice, 16 kHz, without noise."""
    agent: Int16Array = field(default_factory=lambda: np.zeros(0, np.int16))
    """The agent's audio as it sounded."""
    agent_rate: int = SAMPLE_RATE
    spoke: list[tuple[float, float]] = field(default_factory=list)
    """Stretches in which the agent sounded, gaps under 0.3 s closed."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)


class Caller:
    """Holds one conversation."""

    def __init__(
        self, scenario: Scenario, party: Party, wire: Wire, speak: Callable[[Line], Spoken]
    ) -> None:
        self._scenario = scenario
        self._party = party
        self._wire = wire
        self._speak = speak
        self._ear = WordEar(party.voice, party.sample_rate)
        self._call = Call(agent_rate=party.sample_rate)
        self._seen = 0
        self._now_s = 0.0
        self._track: list[Int16Array] = []

    async def run(self) -> Call:
        """Go through the script."""
        loop = asyncio.get_running_loop()
        self._origin_s = loop.time()
        if self._scenario.greet:
            await self._party.greet()
        for line in self._scenario.script:
            if self._now_s > _LONGEST_S:
                logger.warning("the conversation is longer than {} s; it ends", _LONGEST_S)
                break
            await self._do(line)
        await self._wait(lambda: self._is_answered() and self._rest_s > _REST_S)
        return self._finished()

    async def _do(self, line: Line) -> None:
        if line.silence_s is not None:
            until = self._now_s + line.silence_s
            await self._wait(lambda: self._now_s >= until, patient=True)
            return
        spoken = self._speak(line)
        if not await self._wait(self._moment(line)):
            self._call.said.append(
                Said(line, spoken.text, self._now_s, self._now_s, False, 0, False)
            )
            return
        start_s, over, known = self._now_s, self._is_sounding, len(self._party.messages)
        for start in range(0, len(spoken.pcm), PACKET):
            await self._step(spoken.pcm[start : start + PACKET])
        end_s = start_s + len(spoken.pcm) / SAMPLE_RATE
        self._call.said.append(Said(line, spoken.text, start_s, end_s, over, known))

    def _moment(self, line: Line) -> Callable[[], bool]:
        """Return what tells whether it is time for a line."""
        since = self._call.said[-1].start_s if self._call.said else -1.0
        if line.at_word is not None:
            wanted = _plain(line.at_word)
            heard = len(self._call.words)
            return lambda: any(_plain(word.text) == wanted for word in self._call.words[heard:])
        if (over_s := line.over_s) is not None:
            return lambda: self._is_sounding and self._now_s - self._onset(since) >= over_s
        if not self._call.said and not self._scenario.greet:
            return lambda: self._now_s >= _FIRST_S
        # After a backchannel the agent may be silent for a moment before it goes on.
        rest_s = line.quiet_s if self._awaits_answer() else line.quiet_s + 1.0
        return lambda: self._is_answered() and self._rest_s >= rest_s

    async def _wait(self, is_time: Callable[[], bool], *, patient: bool = False) -> bool:
        """Be silent until it is time. False when the agent has been silent for too long."""
        silent_since = self._now_s
        while not is_time():
            if self._is_sounding or self._is_working():
                silent_since = self._now_s
            if not patient and self._now_s - silent_since > _PATIENCE_S:
                return False
            await self._step(np.zeros(PACKET, np.int16))
        return True

    async def _step(self, speech: Int16Array) -> None:
        """Let 20 ms pass."""
        speech = np.pad(speech, (0, PACKET - len(speech)))
        self._listen()
        self._track.append(speech)
        if len(pcm := self._wire.push(speech)):
            await self._party.transport.input().speak(pcm)
        self._now_s += PACKET_S
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._origin_s + self._now_s - loop.time()))

    @property
    def _offset_s(self) -> float:
        """From the transport's clock to ours. Its output starts a moment after its input."""
        return self._party.transport.output().origin_s - self._origin_s

    def _listen(self) -> None:
        packets = self._party.transport.output().packets
        for at, pcm in packets[self._seen :]:
            at_s = at + self._offset_s
            self._wire.sounds(at_s, pcm)
            self._call.words += self._ear.push(at_s, pcm)
            if np.abs(pcm.astype(np.int32)).max(initial=0) > AUDIBLE:
                self._sounded(at_s, at_s + len(pcm) / self._party.sample_rate)
        self._seen = len(packets)

    def _sounded(self, start_s: float, end_s: float) -> None:
        spoke = self._call.spoke
        if spoke and start_s - spoke[-1][1] < _SILENT_S:
            spoke[-1] = (spoke[-1][0], end_s)
        else:
            spoke.append((start_s, end_s))

    @property
    def _quiet_s(self) -> float:
        return self._now_s - self._call.spoke[-1][1] if self._call.spoke else self._now_s

    @property
    def _rest_s(self) -> float:
        """For how long nobody has spoken."""
        ended_s = self._call.said[-1].end_s if self._call.said else 0.0
        return min(self._quiet_s, self._now_s - ended_s)

    @property
    def _is_sounding(self) -> bool:
        return bool(self._call.spoke) and self._quiet_s < _SILENT_S

    def _onset(self, since_s: float) -> float:
        """When the agent began what it is saying, or was first heard after `since_s`."""
        return max(self._call.spoke[-1][0], since_s)

    def _awaits_answer(self) -> bool:
        return bool(self._call.said) and self._call.said[-1].line.is_turn

    def _is_answered(self) -> bool:
        """Whether the agent has begun to speak since the caller's last turn."""
        if not self._awaits_answer():
            return bool(self._call.said) or bool(self._call.spoke)
        last = self._call.said[-1]
        return any(start > last.start_s for start, _ in self._call.spoke) and not self._is_working()

    def _is_working(self) -> bool:
        """Whether a tool's result is still to come."""
        return any(not found for found in memory.results(self._party.messages).values())

    def _finished(self) -> Call:
        call = self._call
        call.caller = np.concatenate(self._track or [np.zeros(0, np.int16)])
        call.made = self._ear.made
        call.messages, call.decisions = self._party.messages, self._party.decisions
        rate = self._party.sample_rate
        call.agent = np.zeros(samples(self._now_s, rate), np.int16)
        for at, pcm in self._party.transport.output().packets:
            start = samples(at + self._offset_s, rate)
            room = call.agent[start : start + len(pcm)]
            room[:] = pcm[: len(room)]
        return call


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9']", "", word.lower())
