"""The conversations of this server: admitted, run and drained."""

import asyncio
import functools
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from fastapi import WebSocket
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import BaseTransport

from agent.agent import Agent
from agent.dump import dumping
from agent.llm.prompt import system_prompt
from agent.observe.metrics import Metrics
from agent.server.admission import Admission, Place
from agent.server.company import HoldMusic
from agent.server.metering import Meter
from agent.server.patience import Patience
from agent.server.realtime_stages import Stages, configuration
from agent.server.roster import Roster
from agent.server.tracing import traces
from agent.server.watch import CallWatch, meets
from agent.session import QUEUES, Channel, Models, VoiceSession
from agent.settings import PhoneSettings, Settings
from agent.transports.phone.call import Call, Consult
from agent.transports.realtime.protocol import RealtimeProtocol
from agent.transports.realtime.transport import SAMPLE_RATE, RealtimeTransport
from agent.transports.rejoin import Rejoinable
from agent.transports.rtvi import SAMPLE_RATE as RTVI_RATE
from agent.transports.rtvi import RtviTransport
from agent.transports.stream import LEAD_S, StreamTransport

_WEBRTC_RATE = 24_000
_WEBRTC_DELAY_S = 0.12
"""Opus frame, network and the browser's own buffer, until the page reports better."""


class Sessions:
    """Admits callers up to a limit: refused is better than degraded for all."""

    def __init__(
        self,
        settings: Settings,
        models: Models,
        *,
        is_offline: bool,
        agent: Callable[[], Agent] | None = None,
        now: Callable[[], Settings] | None = None,
    ) -> None:
        self._agent = agent or (lambda: Agent.of(settings.agent))
        self._now = now or (lambda: settings)
        self.settings = settings
        self.models = models
        self.is_offline = is_offline
        self.metrics = Metrics()
        self._traces = traces(settings.traces)
        self.admission = Admission(
            settings.server, lambda status: self.metrics.refused.labels(str(status)).inc()
        )
        self._roster = Roster(self.metrics)
        self._streams: dict[str, tuple[VoiceSession, Rejoinable]] = {}
        self._offers = self._webrtc() if self.has_webrtc else None
        self.metrics.gauges(
            active=lambda: self.active,
            limit=lambda: self.admission.limit,
            ready=lambda: self.is_ready,
            tasks=lambda: len(asyncio.all_tasks()),
            depths={name: functools.partial(self._roster.deepest, name) for name in QUEUES},
        )
        self.metrics.watch_cloud(models.cloud)

    @property
    def active(self) -> int:
        """Conversations now."""
        return len(self._roster)

    @property
    def running(self) -> list[VoiceSession]:
        """The conversations that go on, in the order in which they began."""
        return self._roster.sessions

    @property
    def is_ready(self) -> bool:
        """Whether another caller would be taken, were there a place."""
        return self.admission.is_open

    @property
    def has_webrtc(self) -> bool:
        """Whether the WebRTC extra is installed."""
        return importlib.util.find_spec("aiortc") is not None

    def exchange(self, models: Models, *, is_offline: bool) -> list["asyncio.Task[None]"]:
        """Hold the conversations that begin from now on with other models.

        Returns:
            The conversations that go on with those before.
        """
        self.metrics.watch_cloud(models.cloud)
        self.models, self.is_offline = models, is_offline
        return self._roster.tasks

    def follow(self) -> Settings:
        """Take, and return, the settings of the conversation that begins now."""
        self.settings = self._now()
        return self.settings

    async def run_stream(
        self, transport: StreamTransport, sample_rate: int, place: Place, *, all_events: bool
    ) -> None:
        """Hold a conversation over an accepted WebSocket until it ends."""
        channel = Channel(
            "websocket",
            sample_rate,
            LEAD_S,
            fades=False,
            all_events=all_events,
            # The page has the browser do it; of a program we know nothing.
            cancels_echo=all_events,
        )
        session = self._begin(transport, channel, place)
        transport.socket.on_away = lambda: self._roster.lost(session)
        transport.socket.on_back = lambda: self._roster.found(session)
        self._streams[session.resume_key] = (session, transport)
        try:
            await self._roster.task(session)
        finally:
            del self._streams[session.resume_key]

    def may_rejoin(self, key: str, sample_rate: int) -> bool:
        """Whether `key` opens a conversation over a WebSocket at that rate."""
        found = self._streams.get(key)
        return found is not None and found[1].sample_rate == sample_rate

    async def rejoin(self, key: str, websocket: WebSocket) -> None:
        """Go on with a conversation over another accepted WebSocket, until it ends."""
        session, transport = self._streams[key]
        if transport.join(websocket):
            await asyncio.wait({self._roster.task(session)})

    async def run_rtvi(self, websocket: WebSocket, place: Place) -> None:
        """Hold a conversation with one of Pipecat's client SDKs over an accepted WebSocket."""
        transport = RtviTransport(websocket, f"duplex-voice {version('duplex-voice')}")
        # Such clients are pages and apps, whose platform takes the echo out.
        channel = Channel("rtvi", RTVI_RATE, LEAD_S, fades=False)
        session = self._begin(transport, channel, place)
        await self._roster.task(session)

    async def run_realtime(
        self, websocket: WebSocket, place: Place, *, is_beta: bool, greets: bool
    ) -> None:
        """Hold a conversation in OpenAI's Realtime protocol over an accepted WebSocket."""
        self.follow()
        agent = self._agent()
        protocol = RealtimeProtocol(configuration(agent, self.models), is_beta=is_beta)
        protocol.begin()
        transport = RealtimeTransport(websocket, protocol)
        stages = Stages(protocol, transport.act, self.models.policy, self.settings.turns)
        session = self._begin(
            transport,
            Channel("realtime", SAMPLE_RATE, LEAD_S, fades=False, cancels_echo=False),
            place,
            agent=agent,
            models=replace(self.models, policy=lambda: stages.policy),
            edit=stages.put_into,
            # What a client of this protocol does not ask for would be an answer out of turn.
            greets=greets or agent.flow is not None,
        )
        await self._roster.task(session)

    async def run_call(
        self,
        transport: BaseTransport,
        call: Call,
        *,
        agent: Agent | None = None,
        phone: PhoneSettings | None = None,
        consult: Consult | None = None,
    ) -> None:
        """Hold a conversation over a telephone call until it ends.

        Args:
            transport: The call's.
            call: The call.
            agent: Who talks; None for the one everybody talks to.
            phone: In place of the settings for calls.
            consult: Puts the caller through to somebody who was asked, where the channel can.

        Raises:
            AtCapacityError: All places are taken.
        """
        if phone is None:
            phone = self.follow().phone
            call.transfer_to = frozenset(phone.transfer_to)
        channel = Channel(
            call.facts.channel,
            call.sound.sample_rate,
            call.sound.delay_s,
            # A tail of ours behind a clear would sound alone.
            fades=not call.capabilities.clear,
            all_events=False,
        )
        greets = not meets(call, phone)
        place = self.admission.take()
        session = self._begin(transport, channel, place, call=call, agent=agent, greets=greets)
        watch = CallWatch(session, call, phone)
        session.watchers.append(watch.see)
        if not greets:
            session.worker.add_observer(watch)
        music = HoldMusic(session, channel.sample_rate)
        call.bind(finish=session.end, on_key=watch.key, company=music, consult=consult)
        watching = asyncio.create_task(watch.run(), name=f"watch-{session.id}")
        try:
            await self._roster.task(session)
        finally:
            call.ended()
            await watching

    def knows(self, connection: object) -> bool:
        """Whether a WebRTC connection of that name is open."""
        return self._offers is not None and self._offers.knows(connection)

    async def answer(self, offer: dict[str, Any], place: Place) -> dict[str, Any]:
        """Answer the WebRTC offer of a new caller, whose conversation begins.

        Raises:
            ValueError: The offer makes no sense.
        """
        assert self._offers is not None
        channel = Channel("webrtc", _WEBRTC_RATE, _WEBRTC_DELAY_S)

        def on_connection(transport: Any) -> None:
            session = self._begin(transport, channel, place)
            transport.on_away = lambda: self._roster.lost(session)
            transport.on_back = lambda: self._roster.found(session)
            # A browser that finds no direct path any more goes on over a WebSocket.
            self._streams[session.resume_key] = (session, transport)
            self._roster.task(session).add_done_callback(
                lambda _: self._streams.pop(session.resume_key)
            )

        try:
            return dict(await self._offers.answer(offer, on_connection))
        except BaseException:
            place.release()
            raise

    async def negotiate(self, offer: dict[str, Any]) -> dict[str, Any]:
        """Answer another offer on an open connection.

        Raises:
            ValueError: The offer makes no sense.
        """
        assert self._offers is not None
        return dict(await self._offers.negotiate(offer))

    async def add_candidates(self, body: dict[str, Any]) -> None:
        """Add trickled ICE candidates to a connection.

        Raises:
            KeyError: No such connection.
            ValueError: A candidate makes no sense.
        """
        assert self._offers is not None
        await self._offers.add_candidates(body)

    async def drain(self) -> None:
        """Take no one new; let those who talk finish what is being said."""
        self.admission.close()
        await self._roster.drain(self.settings.server.drain_s)
        if self._offers:
            await self._offers.close()
        if self._traces:
            await asyncio.to_thread(self._traces.close)

    def _webrtc(self) -> Any:
        from agent.transports.webrtc import Offers

        return Offers(rejoin_s=self.settings.server.rejoin_s)

    def require_place(self) -> None:
        """Make sure that one more caller would be taken.

        Raises:
            AtCapacityError: All places are taken, or the server is shutting down.
        """
        self.admission.require_place()

    def _begin(
        self,
        transport: BaseTransport,
        channel: Channel,
        place: Place,
        *,
        call: Call | None = None,
        agent: Agent | None = None,
        models: Models | None = None,
        edit: Callable[[list[FrameProcessor]], list[FrameProcessor]] = list,
        greets: bool = True,
    ) -> VoiceSession:
        """Begin a conversation, which gives the place back when it ends."""
        self.follow()
        agent = agent or self._agent()
        prompt = system_prompt(agent.instructions, has_tools=agent.has_tools)
        models = models or self.models
        if dump := dumping(self.settings, channel, self.models.names):
            models, agent, edit = dump.models(models), dump.asking(agent), dump.editing(edit)
        session = VoiceSession(
            self.settings,
            models,
            transport,
            channel,
            agent=agent,
            system_prompt=_with_call(prompt, call),
            call=call,
            edit=edit,
        )
        meter = Meter(self.metrics, session.recorder, self.admission.packet_left)
        session.watchers.append(meter.see)
        trace = self._traces and self._traces.conversation(
            session.recorder, session=session.id, channel=channel.name
        )
        after: list[Callable[[], object]] = []
        if dump:
            after.append(dump.close)
        if trace:
            after.append(trace.end)
        if call is None:
            watch = Patience(session, self.settings.server)
            session.watchers.append(watch.see)
            patience = asyncio.create_task(watch.run(), name=f"patience-{session.id}")
            after.append(patience.cancel)
        self._roster.begin(
            session, transport, place, channel=channel.name, greets=greets, after=after
        )
        return session


def _with_call(prompt: str, call: Call | None) -> str:
    """Tell the model on which call it is."""
    return f"{prompt}\n\n{call.facts.description()}" if call else prompt
