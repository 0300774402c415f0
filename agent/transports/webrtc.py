"""A browser over WebRTC: offers in, one transport per call out.

No server on the network is asked for addresses unless one is given.
"""

import asyncio
from collections.abc import Callable
from typing import Any

try:
    import aiortc  # noqa: F401
    import av  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        f"WebRTC needs {error.name}, which is an extra: "
        'pip install "duplex-voice[webrtc]" (its codecs carry GPL parts)'
    ) from error

from aiortc.exceptions import InvalidAccessError, InvalidStateError
from aiortc.sdp import SessionDescription, candidate_from_sdp
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection

from agent.transports.webrtc_call import FILL_AFTER_S, WebRTCTransport
from agent.transports.webrtc_peer import install_receiver

__all__ = ["Offers", "WebRTCTransport"]

_MAX_SDP = 64 * 1024
"""Characters of an offer; a browser's audio-only one has 3000."""

_CONNECT_WITHIN_S = 10
"""An offer whose connection never comes holds a place so long."""

_MALFORMED = (
    # Of a generator that found nothing; inside a coroutine it would become a RuntimeError.
    StopIteration,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    InvalidAccessError,
    InvalidStateError,
)
"""What aiortc's parsers raise at nonsense."""


class Offers:
    """Answers the offers that browsers post, and knows the connections by their id.

    Args:
        ice_servers: STUN or TURN URLs. None by default: then only addresses of this machine are
            offered and nothing is asked on the network.
        output_rate: Of the agent's audio, in Hz.
        fill_after_s: Time without packets after which a caller is taken as silent.
        rejoin_s: How long a caller whose connection broke may take to come back.
    """

    def __init__(
        self,
        *,
        ice_servers: tuple[str, ...] = (),
        output_rate: int = 24_000,
        fill_after_s: float = FILL_AFTER_S,
        rejoin_s: float = 0.0,
    ) -> None:
        self._ice_servers = list(ice_servers)
        self._output_rate = output_rate
        self._fill_after_s = fill_after_s
        self._rejoin_s = rejoin_s
        self._connections: dict[str, SmallWebRTCConnection] = {}

    def knows(self, name: object) -> bool:
        """Whether a connection of that name is open."""
        return isinstance(name, str) and name in self._connections

    async def answer(
        self, offer: dict[str, Any], on_connection: Callable[[WebRTCTransport], None]
    ) -> dict[str, Any]:
        """Answer the offer of a new caller.

        Args:
            offer: `sdp` and `type`.
            on_connection: Called with the caller's transport, before the answer is given. What it
                raises refuses the caller: the connection is closed and this raises it.

        Returns:
            `sdp`, `type` and `pc_id`.

        Raises:
            ValueError: The offer makes no sense.
        """
        try:
            return self._answered(await self._accept(_checked(offer), on_connection))
        except _MALFORMED as error:
            raise ValueError(f"unusable offer: {error}") from error

    async def negotiate(self, offer: dict[str, Any]) -> dict[str, Any]:
        """Answer another offer of somebody connected.

        Args:
            offer: As for `answer`, with the connection's `pc_id`, and `restart_pc` true to replace
                its peer connection and keep the conversation.

        Raises:
            KeyError: There is no such connection.
            ValueError: The offer makes no sense.
        """
        connection = self._connections[str(offer.get("pc_id"))]
        try:
            await connection.renegotiate(
                _checked(offer), "offer", restart_pc=bool(offer.get("restart_pc", False))
            )
            install_receiver(connection)
            return self._answered(connection)
        except _MALFORMED as error:
            raise ValueError(f"unusable offer: {error}") from error

    async def add_candidates(self, body: dict[str, Any]) -> None:
        """Add a caller's ICE candidates to its connection.

        Args:
            body: `pc_id` and `candidates`, each with `candidate`, `sdp_mid`, `sdp_mline_index`.

        Raises:
            KeyError: There is no such connection.
            ValueError: A candidate makes no sense.
        """
        connection = self._connections[str(body.get("pc_id"))]
        try:
            for item in body["candidates"]:
                await connection.add_ice_candidate(_candidate(item))
        except _MALFORMED as error:
            raise ValueError(f"unusable candidate: {error}") from error

    async def close(self) -> None:
        """Hang up every call."""
        connections = list(self._connections.values())
        self._connections.clear()
        await asyncio.gather(*(connection.disconnect() for connection in connections))

    async def _accept(
        self, sdp: str, on_connection: Callable[[WebRTCTransport], None]
    ) -> SmallWebRTCConnection:
        connection = SmallWebRTCConnection(
            ice_servers=self._ice_servers, connection_timeout_secs=_CONNECT_WITHIN_S
        )
        try:
            await connection.initialize(sdp, "offer")
            # Before the first packet can come: what the stock buffer took would be lost.
            install_receiver(connection)
            transport = WebRTCTransport(
                connection,
                output_rate=self._output_rate,
                fill_after_s=self._fill_after_s,
                rejoin_s=self._rejoin_s,
            )
            on_connection(transport)
        except BaseException:
            await connection.pc.close()
            raise

        async def forget(*_: object) -> None:
            if not transport.may_rejoin:
                self._drop(connection)

        transport.on_moved = lambda: self._drop(connection)
        connection.add_event_handler("closed", forget)
        transport.add_event_handler("on_client_disconnected", forget)
        return connection

    def _answered(self, connection: SmallWebRTCConnection) -> dict[str, Any]:
        answer: dict[str, Any] | None = connection.get_answer()
        assert answer is not None
        # A restarted connection has a new name.
        self._drop(connection)
        self._connections[answer["pc_id"]] = connection
        return answer

    def _drop(self, connection: SmallWebRTCConnection) -> None:
        for name in [n for n, known in self._connections.items() if known is connection]:
            del self._connections[name]


def _checked(offer: dict[str, Any]) -> str:
    sdp = offer.get("sdp")
    if offer.get("type") != "offer" or not isinstance(sdp, str):
        raise ValueError('an offer is {"type": "offer", "sdp": "..."}')
    if len(sdp) > _MAX_SDP:
        raise ValueError(f"an offer has at most {_MAX_SDP} characters")
    # Read here once, where everything the parser raises is known.
    SessionDescription.parse(sdp)
    return sdp


def _candidate(item: dict[str, Any]) -> Any:
    # An empty one marks the end of candidates (RFC 8840), which aiortc expects as None.
    if not item["candidate"]:
        return None
    candidate = candidate_from_sdp(item["candidate"].removeprefix("candidate:"))
    candidate.sdpMid = item["sdp_mid"]
    candidate.sdpMLineIndex = item["sdp_mline_index"]
    return candidate
