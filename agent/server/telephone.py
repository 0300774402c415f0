"""Answer telephone calls over SIP with the agent this server runs."""

import asyncio
import contextlib
import errno
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from loguru import logger

from agent.errors import RetryError, SettingsError
from agent.observe.mask import mask_logs
from agent.server.admission import AtCapacityError
from agent.server.consultation import Consultation, SipSwitchboard
from agent.server.sessions import Sessions
from agent.settings import PhoneSettings, SipSettings
from agent.transports.line import LineTransport
from agent.transports.sip.addresses import host_port
from agent.transports.sip.agent import UserAgent
from agent.transports.sip.call import SipCall
from agent.transports.sip.presented import UserAgentSettings
from agent.transports.sip.registration import RefusedError
from agent.transports.sip.srtp import IS_INSTALLED

_RETRY_S = 30.0
"""After a registration that failed; twice as long each time that it is refused."""

_LONGEST_RETRY_S = 900.0

_BUSY_S, _NOT_READY_S = 30, 10
"""When callers may try again: half of a short conversation, and the time models take to load."""


@contextlib.asynccontextmanager
async def telephone(sessions: Sessions) -> AsyncIterator[UserAgent | None]:
    """Answer calls while this context lasts; nothing if the settings do not want it.

    Raises:
        SettingsError: The port is taken.
    """
    settings = sessions.settings.sip
    if not settings.enabled:
        yield None
        return

    mask_logs()

    def on_call(call: SipCall) -> None:
        agent.spawn(_converse(sessions, agent, call))

    try:
        agent = await UserAgent.open(
            settings.host,
            settings.port,
            on_call,
            presented(settings, sessions.settings.phone),
        )
    except OSError as error:
        remedy = (
            "set DUPLEX_SIP__PORT to a free UDP port, or to 0 for any"
            if error.errno == errno.EADDRINUSE
            else "set DUPLEX_SIP__HOST to an address of this machine, or to 0.0.0.0 for all"
        )
        raise SettingsError(
            f"cannot take calls on {settings.host}:{settings.port}: {error.strerror}; {remedy}"
        ) from error
    print(f"Calls are answered on sip:{settings.user}@{host_port(agent.address)}", flush=True)
    if agent.tls_port:
        secure = host_port((agent.address[0], agent.tls_port))
        print(f"and over TLS on sip:{settings.user}@{secure};transport=tls", flush=True)
    registration = _registration(agent, settings)
    try:
        yield agent
    finally:
        if registration:
            registration.cancel()
            await asyncio.gather(registration, return_exceptions=True)
        await agent.close()


async def _converse(sessions: Sessions, agent: UserAgent, call: SipCall) -> None:
    if not sessions.is_ready:
        call.reject(503, "Service Unavailable", _NOT_READY_S)
        return
    phone = sessions.follow().phone
    try:
        if phone.recordings and phone.record_all:
            await call.call.record(consented=True)
        consult = Consultation(sessions, SipSwitchboard(agent, call), call.call)
        await sessions.run_call(LineTransport(call), call.call, consult=consult)
    except AtCapacityError as error:
        logger.warning("refused a call from {}: {}", call.peer.host, error)
        call.reject(486, "Busy Here", _BUSY_S)
    finally:
        await call.leave()


def presented(settings: SipSettings, phone: PhoneSettings) -> UserAgentSettings:
    """How a user agent with these settings presents itself."""
    if settings.encrypt and not IS_INSTALLED:
        raise SettingsError('sip.encrypt needs SRTP: pip install "duplex-voice[srtp]"')
    registrar = settings.registrar or ""
    trust = settings.authority
    return UserAgentSettings(
        user=settings.user,
        domain=registrar.partition(":")[2].partition(";")[0],
        password=settings.password.get_secret_value(),
        advertised=settings.advertised_host,
        rtp_ports=settings.rtp_ports,
        accept_from=settings.accept_from,
        transfer_to=frozenset(phone.transfer_to),
        recordings=phone.recordings,
        opus=settings.opus,
        encrypts=settings.encrypt,
        tcp=settings.tcp,
        tls_port=settings.tls_port,
        certificate=_certificate(settings),
        trust=_read("sip.authority", trust, _trusting) if trust else None,
    )


def _certificate(settings: SipSettings) -> ssl.SSLContext | None:
    path, key = settings.certificate, settings.private_key
    if path is None:
        return None

    def load(path: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path, key)
        return context

    return _read("sip.certificate and sip.private_key", path, load)


def _trusting(path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(path))


def _read(name: str, path: Path, load: Callable[[Path], ssl.SSLContext]) -> ssl.SSLContext:
    try:
        return load(path)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{name}: {path} cannot be used: {error}; give PEM files") from error


def _registration(agent: UserAgent, settings: SipSettings) -> "asyncio.Task[None] | None":
    if settings.registrar is None:
        return None
    return asyncio.create_task(
        _stay_registered(agent, settings.registrar, settings.expires_s), name="sip-registration"
    )


async def _stay_registered(agent: UserAgent, registrar: str, expires_s: int) -> None:
    """Register, again and again; a registrar that is down is asked until it is up."""
    retry_s = _RETRY_S
    while True:
        try:
            granted_s = await agent.register(registrar, expires_s)
        except RetryError as error:
            logger.warning("{}", error)
            await asyncio.sleep(retry_s)
            is_refused = isinstance(error, RefusedError)
            retry_s = min(2 * retry_s, _LONGEST_RETRY_S) if is_refused else _RETRY_S
            continue
        retry_s = _RETRY_S
        logger.info("registered with {} for {} s", registrar, granted_s)
        try:
            await asyncio.sleep(max(granted_s / 2, 1.0))
        except asyncio.CancelledError:
            # So that the exchange does not ring here for the rest of the time.
            with contextlib.suppress(RetryError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await agent.register(registrar, 0)
            raise
