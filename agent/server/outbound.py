"""`duplex call`: the agent calls somebody over SIP and holds one conversation."""

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from agent.agent import Agent
from agent.errors import SettingsError
from agent.observe.mask import mask_logs
from agent.runtimes import Runtimes
from agent.server.consultation import Consultation, SipSwitchboard, place
from agent.server.sessions import Sessions
from agent.server.telephone import presented
from agent.settings import Settings, SipSettings
from agent.transports.line import LineTransport
from agent.transports.sip.agent import UserAgent
from agent.transports.sip.call import SipCall
from agent.transports.sip.resolve import address_of_record, find, local_host


@dataclass(frozen=True, slots=True)
class Outbound:
    """A call to be made.

    Attributes:
        to: SIP address, or a number of the exchange that `sip.registrar` names.
        ring_s: How long it may ring.
        detects_machines: Whether to find out first who answered; also if there is a voicemail.
        voicemail: What a machine is told after its beep; None for what the settings say.
    """

    to: str
    ring_s: float = 45.0
    detects_machines: bool = False
    voicemail: str | None = None

    def over(self, settings: Settings) -> Settings:
        """The settings with what was wanted of this call."""
        changed: dict[str, object] = {}
        if self.detects_machines or self.voicemail:
            changed["detect_machines"] = True
        if self.voicemail is not None:
            changed["voicemail"] = self.voicemail
        return settings.model_copy(update={"phone": settings.phone.model_copy(update=changed)})


async def call(
    settings: Settings, wanted: Outbound, *, agent: Callable[[], Agent] | None = None
) -> None:
    """Load the models, call, talk until either side hangs up.

    Raises:
        RetryError: The call was not taken: busy, declined, no answer, or nobody there.
        SettingsError: The address makes no sense, or the port is taken.
        MissingModelError: A weight is absent or damaged.
    """
    mask_logs()
    uri = address_of_record(wanted.to, settings.sip.registrar)
    sip = await _facing(settings.sip, uri)
    # Before anybody's telephone rings: whoever answers must not wait for models.
    runtimes = Runtimes(settings)
    try:
        sessions = Sessions(
            settings, await runtimes.load(), is_offline=runtimes.is_offline, agent=agent
        )
        await talk(sessions, sip, uri, wanted.ring_s)
    finally:
        await runtimes.close()


async def talk(sessions: Sessions, sip: SipSettings, uri: str, ring_s: float) -> None:
    """Call `uri` and hold the conversation.

    Raises:
        RetryError: The call was not taken.
        SettingsError: The port is taken.
    """
    settings = presented(sip, sessions.settings.phone)
    try:
        agent = await UserAgent.open(sip.host, sip.port, _busy, settings)
    except OSError as error:
        raise SettingsError(
            f"cannot call from {sip.host}:{sip.port}: {error.strerror}; set DUPLEX_SIP__PORT to 0"
        ) from error
    loop = asyncio.get_running_loop()
    try:
        print(f"Calling {uri}", flush=True)
        made = await place(agent, uri, ring_s)
        print("Answered", flush=True)
        began = loop.time()
        try:
            consult = Consultation(sessions, SipSwitchboard(agent, made), made.call)
            await sessions.run_call(LineTransport(made), made.call, consult=consult)
            # Put through to somebody else, it goes on between them.
            if made.is_joined:
                await made.gone.wait()
        finally:
            print(f"Over after {loop.time() - began:.0f} s", flush=True)
    finally:
        await sessions.drain()
        await agent.close()


def _busy(call: SipCall) -> None:
    call.reject(486, "Busy Here")


async def _facing(sip: SipSettings, uri: str) -> SipSettings:
    """The settings with an interface that reaches `uri`, and with ears for who answers there.

    Raises:
        RetryError: Its host is unknown.
    """
    host = (await find(uri)).host
    # Any port: on the usual one `duplex serve --sip` may be listening.
    changed: dict[str, object] = {"port": 0, "accept_from": (*sip.accept_from, host)}
    if ipaddress.ip_address(sip.host).is_loopback and not ipaddress.ip_address(host).is_loopback:
        changed["host"] = local_host(host)
    return sip.model_copy(update=changed)
