"""Codecs as session descriptions name them (RFC 3551, RFC 7587). Pure."""

from dataclasses import dataclass

PCMU, PCMA, OPUS = "PCMU", "PCMA", "OPUS"

G711 = (PCMU, PCMA)

CLOCK_RATES = {PCMU: 8_000, PCMA: 8_000, OPUS: 48_000}
"""Ticks of RTP's clock in a second. Opus has 48000 whatever it is made of."""

_STATIC = {"0": PCMU, "8": PCMA}
"""Payload types whose meaning needs no saying."""

_OUR_TYPES = {OPUS: 96, PCMU: 0, PCMA: 8}
"""In our offers, best first."""

EVENT = "TELEPHONE-EVENT"
_OUR_EVENT_TYPES = {8_000: 101, 48_000: 102}
"""By clock: keys count time as the audio between them does (RFC 4733 2.1)."""

_LEAST_BITS_PER_S = 6_000


@dataclass(frozen=True, slots=True)
class OpusTerms:
    """What a receiver of Opus wants.

    Attributes:
        has_copies: Each packet may hold a coarse copy of the one before (in-band FEC).
        is_constant: All packets are of one size.
        most_bits_per_s: On average.
        playback_rate: In Hz; twice the bandwidth that can be heard there.
    """

    has_copies: bool = False
    is_constant: bool = False
    most_bits_per_s: int = 510_000
    playback_rate: int = 48_000


@dataclass(frozen=True, slots=True)
class Named:
    """A codec in somebody's description.

    Attributes:
        codec: One of `CLOCK_RATES`.
        payload_type: Its number there.
        terms: Of the receiver, where it is Opus.
    """

    codec: str
    payload_type: int
    terms: OpusTerms = OpusTerms()


def number(text: str) -> int | None:
    """A payload type, or None."""
    is_number = text.isascii() and text.isdecimal() and len(text) < 4
    return int(text) if is_number and int(text) < 128 else None


def named(
    formats: list[str],
    names: dict[str, str],
    parameters: dict[str, str],
    usable: tuple[str, ...] = G711,
) -> Named | None:
    """The first format that we can use.

    Args:
        formats: Payload types as written, best first.
        names: Codec and clock, by payload type.
        parameters: Of each codec, by payload type.
        usable: Codecs we can use.
    """
    for text in formats:
        payload_type, codec = number(text), _codec(text, names)
        if payload_type is not None and codec in usable:
            return Named(codec, payload_type, read(parameters.get(text, "")))
    return None


def event_type(names: dict[str, str], clock_rate: int) -> tuple[int | None, int]:
    """Payload type and clock of pressed keys: with the audio's clock, else with the usual one.

    The type is None where none is named.
    """
    for rate in (clock_rate, 8_000):
        for text, name in names.items():
            payload_type = number(text)
            if payload_type is not None and name.partition("/")[0] == EVENT:
                _, _, clock = name.partition("/")
                if clock.partition("/")[0] == str(rate):
                    return payload_type, rate
    return None, 8_000


def read(parameters: str) -> OpusTerms:
    """Read what follows ``a=fmtp:96``; what makes no sense is passed over."""
    given = {}
    for item in parameters.lower().split(";")[:32]:
        name, _, value = item.partition("=")
        value = value.strip()
        if value.isascii() and value.isdecimal() and len(value) < 8:
            given[name.strip()] = int(value)
    return OpusTerms(
        has_copies=given.get("useinbandfec") == 1,
        is_constant=given.get("cbr") == 1,
        most_bits_per_s=max(_LEAST_BITS_PER_S, given.get("maxaveragebitrate", 510_000)),
        playback_rate=given.get("maxplaybackrate", 48_000),
    )


def offered(usable: tuple[str, ...]) -> tuple[list[int], list[str]]:
    """Payload types and lines of an offer."""
    codecs = [codec for codec in _OUR_TYPES if codec in usable]
    types = [_OUR_TYPES[codec] for codec in codecs]
    lines = [line for codec in codecs for line in describe(codec, _OUR_TYPES[codec])]
    for rate, event in _OUR_EVENT_TYPES.items():
        if rate in {CLOCK_RATES[codec] for codec in codecs} or rate == 8_000:
            types.append(event)
            lines += describe_events(event, rate)
    return types, lines


def describe(codec: str, payload_type: int) -> list[str]:
    """Lines about a codec that we receive: mono, and nothing above 8 kHz, as it is speech."""
    if codec != OPUS:
        return [f"a=rtpmap:{payload_type} {codec}/8000"]
    return [
        f"a=rtpmap:{payload_type} opus/48000/2",
        f"a=fmtp:{payload_type} maxplaybackrate=16000;sprop-maxcapturerate=16000;stereo=0;"
        "sprop-stereo=0;useinbandfec=1",
    ]


def describe_events(payload_type: int, clock_rate: int) -> list[str]:
    """Lines about keys."""
    return [f"a=rtpmap:{payload_type} {EVENT.lower()}/{clock_rate}", f"a=fmtp:{payload_type} 0-15"]


def _codec(text: str, names: dict[str, str]) -> str:
    """Which codec a payload type is, or empty."""
    name = names.get(text, f"{_STATIC.get(text, '')}/8000")
    codec, _, clock = name.partition("/")
    # RFC 7587 7: two channels always, whatever is really sent.
    wanted = ("48000/2",) if codec == OPUS else ("8000", "8000/1")
    return codec if codec in CLOCK_RATES and clock in wanted else ""
