"""Keys pressed on a telephone, as named events in RTP (RFC 4733) or in SIP INFO. Pure."""

from collections import deque
from dataclasses import dataclass

KEYS = "0123456789*#ABCD"
"""In the order of their event numbers."""

_LONGEST = 0xFFFF
"""Duration in samples that fits an event; a key held longer goes on in the next segment."""

_VOLUME = 10
"""In -dBm0, as most telephones send it."""

_END = 0x80
_END_REPEATS = 3
"""The last packet is sent so often, since nothing after it would tell that the key is up."""


class DigitReceiver:
    """Find key presses among event packets. Pure.

    A key counts at its first packet, whichever of its packets that is; each further one, repeated
    for fear of loss, is known by its timestamp.
    """

    def __init__(self) -> None:
        self._known: deque[int] = deque(maxlen=16)
        self._continues_at: tuple[int, int] | None = None
        self.malformed = 0

    def push(self, timestamp: int, payload: bytes) -> str | None:
        """Take an event packet.

        Args:
            timestamp: Of the packet: when the key went down.
            payload: Event, flags and duration; redundant older events behind are ignored.

        Returns:
            The key, once per press. None for repetitions, other events and nonsense.
        """
        if len(payload) < 4:
            self.malformed += 1
            return None
        event, duration = payload[0], int.from_bytes(payload[2:4], "big")
        if event >= len(KEYS):
            return None
        is_new = timestamp not in self._known and self._continues_at != (event, timestamp)
        if timestamp not in self._known:
            self._known.append(timestamp)
        if duration == _LONGEST:
            self._continues_at = (event, (timestamp + duration) & 0xFFFFFFFF)
        return KEYS[event] if is_new else None


@dataclass(frozen=True, slots=True)
class EventPacket:
    """One packet of a key press.

    Attributes:
        payload: Event, flags and duration.
        timestamp: When the key went down; the same for all of its packets.
        marker: Whether it is the first.
    """

    payload: bytes
    timestamp: int
    marker: bool


class DigitSender:
    """Press keys, one after the other. Pure.

    Args:
        tone: Packets a key is held.
        pause: Packets between two keys.
    """

    def __init__(self, tone: int = 5, pause: int = 4) -> None:
        self._tone, self._pause = tone, pause
        self._waiting: deque[str] = deque()
        self._key: str | None = None
        self._start = self._held = 0
        self._quiet = 0

    @property
    def is_busy(self) -> bool:
        """Whether keys are still being pressed."""
        return self._key is not None or bool(self._waiting) or self._quiet > 0

    def press(self, keys: str) -> None:
        """Queue keys.

        Args:
            keys: Of `KEYS`; letters may be lower case.

        Raises:
            ValueError: Something else is among them.
        """
        keys = keys.upper()
        if wrong := [key for key in keys if key not in KEYS]:
            raise ValueError(f"{wrong[0]!r} is not on a telephone; keys are {KEYS}")
        self._waiting.extend(keys)

    def step(self, timestamp: int, ticks: int = 160) -> list[EventPacket] | None:
        """Say what to send now.

        Args:
            timestamp: Of this step on the stream's clock.
            ticks: From one packet to the next, on the clock that events are said to have.

        Returns:
            Packets instead of audio, none during a pause between keys; or None if no key is pressed
            and audio goes on.
        """
        if self._quiet > 0:
            self._quiet -= 1
            return []
        if self._key is None:
            if not self._waiting:
                return None
            self._key, self._start, self._held = self._waiting.popleft(), timestamp, 0
        self._held += 1
        if self._held < self._tone:
            return [self._packet(self._held * ticks, marker=self._held == 1)]
        last = self._packet(self._held * ticks, end=True)
        self._key, self._quiet = None, self._pause
        return [last] * _END_REPEATS

    def _packet(self, duration: int, *, end: bool = False, marker: bool = False) -> EventPacket:
        assert self._key is not None
        flags = _VOLUME | (_END if end else 0)
        payload = bytes([KEYS.index(self._key), flags]) + duration.to_bytes(2, "big")
        return EventPacket(payload, self._start, marker)


def from_info(content_type: str, body: bytes) -> str | None:
    """Read a key from the body of a SIP INFO request, in either of the two formats in use.

    Returns:
        The key, or None if the body holds none.
    """
    kind = content_type.partition(";")[0].strip().lower()
    text = body[:200].decode("ascii", "replace")
    if kind == "application/dtmf-relay":
        fields = dict(_field(line) for line in text.splitlines())
        text = fields.get("signal", "")
    elif kind != "application/dtmf":
        return None
    key = text.strip().upper()
    names = {"10": "*", "11": "#"}
    key = names.get(key, key)
    return key if len(key) == 1 and key in KEYS else None


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name.strip().lower(), value.strip()
