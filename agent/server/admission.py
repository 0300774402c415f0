"""The one gate of every socket and offer: who may come in, how many, how often.

A route asks once, before it accepts anything, and holds the place it is given for as long as the
caller stays:

    with sessions.admission.enter(websocket) as place:
        await websocket.accept()
        await sessions.run_stream(transport, ..., place=place)

Who is turned away gets a `RefusedError`, which the app answers with its status, before any
WebSocket is accepted (see `refusals`).
"""

import hmac
import math
import random
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from agent.errors import RetryError, SettingsError
from agent.loopback import is_loopback
from agent.server.pressure import Pressure, Worked
from agent.server.processor_time import cores, worked
from agent.server.rates import Rates
from agent.server.tickets import Tickets
from agent.settings import ServerSettings

_SUBPROTOCOL = "openai-insecure-api-key."
"""Begins the subprotocol in which OpenAI's clients in a browser bring a key."""

_RETRY_S = (5.0, 15.0)
"""Told to whom no place is left, drawn from between: conversations last minutes, and who was turned
away together should not come back together."""

_NETWORK_STARTS_PER_MINUTE = 60


class RefusedError(RetryError):
    """Somebody is turned away.

    Attributes:
        status: Of HTTP.
        retry_after_s: When to come back; None where that would not help.
    """

    def __init__(self, message: str, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class AtCapacityError(RefusedError):
    """All places are taken; the caller may try again shortly."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 503, random.uniform(*_RETRY_S))


class Place:
    """A place that somebody holds; given back once, at the latest when its block ends."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        """Let the next one have it; harmless to repeat."""
        give_back, self._give_back = self._give_back, None
        if give_back:
            give_back()

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Admission:
    """Decides who comes in.

    Without keys everybody may who is on this machine: the server then listens on the loopback only,
    and takes no page's word but its own.

    Args:
        settings: Keys, pages, caps.
        refused: Told the status of everyone who is turned away.
        now: Seconds, monotonic.
        work: Processor time so far.
    """

    def __init__(
        self,
        settings: ServerSettings,
        refused: Callable[[int], None] = lambda status: None,
        now: Callable[[], float] = time.monotonic,
        work: Callable[[], Worked] = worked,
    ) -> None:
        self._settings = settings
        self._work = work
        self._pressure = Pressure(cores())
        self._refused = refused
        self._now = now
        self._keys = [key.encode() for key in settings.secrets]
        self._tokens: Tickets[bool] = Tickets(settings.token_s)
        self._held: Counter[str] = Counter()
        self._is_open = True
        open_to_network = not is_loopback(settings.host)
        starts = settings.starts_per_minute
        if starts is None and open_to_network:
            starts = _NETWORK_STARTS_PER_MINUTE
        self._starts = Rates(starts / 60, starts) if starts else None
        self._shares = open_to_network

    @property
    def is_open(self) -> bool:
        """Whether anybody is let in; no while the server shuts down."""
        return self._is_open

    @property
    def token_s(self) -> float:
        """How long a token is good."""
        return self._tokens.ttl_s

    @property
    def limit(self) -> int:
        """Most conversations at once: set, or what the machine holds by what it shows."""
        limit = self._settings.max_sessions
        if isinstance(limit, int):
            return limit
        self._look()
        return self._pressure.limit(self._held.total(), self._now())

    def packet_left(self, late_s: float) -> None:
        """A packet of speech has left so many seconds late."""
        if self._settings.max_sessions == "auto":
            self._pressure.packet(late_s, self._now())
            self._look()

    def _look(self) -> None:
        """Note now and then what was worked."""
        now_s = self._now()
        if self._pressure.wants_work(now_s):
            self._pressure.work(self._work(), now_s)

    def close(self) -> None:
        """Let nobody in any more; who is in stays."""
        self._is_open = False

    def issue(self) -> str:
        """A token that opens one conversation, for somebody who was identified."""
        return self._tokens.issue(True, self._now())

    def identify(self, connection: HTTPConnection) -> None:
        """Make sure that it is ours to answer: the page's origin, and a key or a token.

        A token is used up by this.

        Raises:
            RefusedError: It is not.
        """
        self.check_origin(connection)
        if self._keys and not any(self._opens(*brought) for brought in _secrets(connection)):
            raise self._refusal(
                "this server wants a key: send Authorization: Bearer KEY, or ?token= with a token "
                "from POST /api/tokens",
                401,
            )

    def check_origin(self, connection: HTTPConnection) -> None:
        """Make sure that it comes from our own page, or from no page at all.

        Without this any page a person visits could talk to the agent on their machine.

        Raises:
            RefusedError: It comes from somewhere else.
        """
        origin, host = connection.headers.get("origin"), connection.headers.get("host")
        allowed = self._settings.origins
        if origin is not None and origin not in allowed and _netloc(origin) != _host(origin, host):
            raise self._refusal("this page may not use this server; see server.origins", 403)
        # A name that a stranger's DNS points at this machine is no name of ours.
        if not self._keys and host and not _is_local(host, allowed):
            raise self._refusal(
                f"this server is not known as {host}; see server.origins, or set server.keys", 403
            )

    def limit_rate(self, connection: HTTPConnection) -> None:
        """Count one attempt of an address.

        Raises:
            RefusedError: It tries too often.
        """
        wait_s = self._starts.wait_s(_address(connection), self._now()) if self._starts else 0.0
        if wait_s:
            raise self._refusal("too many conversations from your address", 429, wait_s)

    def enter(self, connection: HTTPConnection) -> Place:
        """Let a caller in who wants a conversation.

        Raises:
            RefusedError: They may not, or not now.
        """
        # Counted first, so that keys cannot be tried at leisure.
        self.limit_rate(connection)
        # A token is not used up for nothing.
        self.require_place(_address(connection))
        self.identify(connection)
        return self.take(_address(connection))

    def take(self, address: str = "") -> Place:
        """Take a place for somebody known otherwise, such as a telephone's provider.

        Args:
            address: Whose share it counts against; empty for nobody's.

        Raises:
            AtCapacityError: All places are taken, or the server is shutting down.
        """
        self.require_place(address)
        self._pressure.begun(self._now())
        self._held[address] += 1

        def give_back() -> None:
            self._held[address] -= 1
            if not self._held[address]:
                del self._held[address]

        return Place(give_back)

    def require_place(self, address: str = "") -> None:
        """Make sure that one more caller would be taken.

        Raises:
            AtCapacityError: All places are taken, or the server is shutting down.
        """
        if not self._is_open:
            raise self._full("the server is shutting down")
        limit = self.limit
        if self._held.total() >= limit:
            raise self._full(f"all {limit} lines are busy; try again shortly")
        share = self._settings.max_per_address
        if share is None and self._shares:
            share = math.ceil(limit / 2)
        if address and share and self._held[address] >= share:
            raise self._full(
                f"your address holds {share} conversations already; see "
                "server.max_per_address, and server.trusted_proxies behind a proxy"
            )

    def _refusal(
        self, message: str, status: int, retry_after_s: float | None = None
    ) -> RefusedError:
        self._refused(status)
        return RefusedError(message, status, retry_after_s)

    def _full(self, message: str) -> AtCapacityError:
        error = AtCapacityError(message)
        self._refused(error.status)
        return error

    def _opens(self, secret: str, is_query: bool) -> bool:
        given = secret.encode()
        # Every key is compared, so that time tells nothing. A key in an address would be logged
        # by whatever lies between.
        matches = sum(hmac.compare_digest(given, key) for key in self._keys)
        return (matches > 0 and not is_query) or bool(self._tokens.redeem(secret, self._now()))


def require_keys(settings: ServerSettings) -> None:
    """Make sure that nobody can walk in from the network.

    Raises:
        SettingsError: Anybody could.
    """
    if not settings.secrets and not is_loopback(settings.host):
        raise SettingsError(
            f"refusing to listen on {settings.host} without a key: anybody who reaches this "
            "machine could talk to the agent. Set server.keys (DUPLEX_SERVER__KEYS) to a secret "
            "of 16 characters or more, such as the output of: "
            'python -c "import secrets; print(secrets.token_urlsafe(24))"'
        )


def _secrets(connection: HTTPConnection) -> list[tuple[str, bool]]:
    """What was brought as a key or token, each with whether it stood in the address."""
    found = []
    scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found.append((secret.strip(), False))
    for offered in connection.headers.get("sec-websocket-protocol", "").split(","):
        if offered.strip().startswith(_SUBPROTOCOL):
            found.append((offered.strip().removeprefix(_SUBPROTOCOL), False))
    if token := connection.query_params.get("token"):
        found.append((token, True))
    return found


def _address(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else "unknown"


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _host(origin: str, host: str | None) -> str | None:
    """The host that was asked, written as a browser writes it in an origin."""
    default = {"http": ":80", "https": ":443"}.get(origin.partition(":")[0], "")
    return host.removesuffix(default) if host and default else host


def _is_local(host: str, origins: tuple[str, ...]) -> bool:
    if host in {_netloc(origin) for origin in origins}:
        return True
    name = host.rpartition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
    return is_loopback(name)
