"""Models that are slow or dead, around real ones."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx

from agent.asr.hybrid.recogniser import Sides
from agent.asr.hypothesis import Hypothesis, Recogniser
from agent.audio.chunk import Int16Array
from agent.errors import SettingsError
from agent.eval.scenario import StageFault
from agent.processors.language import Language
from agent.tts.speech import Speech, Voice

Charge = Callable[[float], None]
"""Takes seconds; see `agent.virtual_time.PricedExecutor.charge`."""


class FaultyRecogniser:
    """Takes its time over each hypothesis, or gives none."""

    def __init__(self, recogniser: Recogniser, fault: StageFault, charge: Charge) -> None:
        self._within = recogniser
        self._fault = fault
        self._charge = charge

    def start(self, utterance_id: int, start_sample: int) -> None:
        """Begin an utterance."""
        self._within.start(utterance_id, start_sample)

    def push(self, pcm: Int16Array, is_speech: bool = True) -> Hypothesis | None:
        """Take audio."""
        heard = self._within.push(pcm, is_speech)
        return self._late(heard) if heard else None

    def settle(self) -> Hypothesis:
        """Recognise all of it."""
        return self._late(self._within.settle())

    def finish(self) -> Hypothesis:
        """Recognise it for good."""
        return self._late(self._within.finish())

    def _late(self, heard: Hypothesis) -> Hypothesis:
        if self._fault.dead:
            raise RuntimeError("the recogniser is dead, as the scenario wants it")
        self._charge(self._fault.slow_s)
        return heard


class FaultyVoice:
    """Takes its time over each clause, or says nothing."""

    def __init__(self, voice: Voice, fault: StageFault, charge: Charge) -> None:
        self._within = voice
        self._fault = fault
        self._charge = charge

    @property
    def name(self) -> str:
        """Of the voice within."""
        return self._within.name

    @property
    def sample_rate(self) -> int:
        """Of the voice within."""
        return self._within.sample_rate

    def speak(self, clause: str) -> Iterator[Speech]:
        """Speak one clause."""
        if self._fault.dead:
            raise RuntimeError("the voice is dead, as the scenario wants it")
        self._charge(self._fault.slow_s)
        yield from self._within.speak(clause)


class FaultyTransport(httpx.AsyncBaseTransport):
    """A way to a server that is long, or broken."""

    def __init__(self, fault: StageFault) -> None:
        self._fault = fault
        # No connection is kept: on virtual time an open one would be waited for.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._within = httpx.AsyncHTTPTransport(limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask, late or in vain."""
        if self._fault.dead:
            raise httpx.ConnectError("the model is dead, as the scenario wants it")
        await asyncio.sleep(self._fault.slow_s)
        return await self._within.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._within.aclose()


def recogniser(
    make: Callable[[], Recogniser | Sides], fault: StageFault, charge: Charge
) -> Recogniser | Sides:
    """Make a recogniser whose side on this machine is at fault."""
    made = make()
    if isinstance(made, Sides):
        edge = FaultyRecogniser(made.edge, fault, charge) if made.edge else None
        return replace(made, edge=edge)
    return FaultyRecogniser(made, fault, charge)


def language(service: object, fault: StageFault) -> None:
    """Put the fault between a language model's service and its first server.

    Raises:
        SettingsError: The service asks no server.
    """
    if not isinstance(service, Language):
        raise SettingsError("faults.model needs a language model behind a server, as ours are")
    service.reach_by(FaultyTransport(fault))
