"""Each provider's side of its stream, as its documentation shows it, and a telephone behind.

Shapes are those of the recorded sessions in the providers' own references, named in
`agent/transports/phone/providers`. No provider was called.
"""

from tests.core.phone.providers.exotel import ExotelSide
from tests.core.phone.providers.genesys import GenesysSide
from tests.core.phone.providers.plivo import PlivoSide
from tests.core.phone.providers.side import CALLED, CALLER, Clear, Keys, Mark, Said, Side
from tests.core.phone.providers.telephone import MemoryLine, Telephone
from tests.core.phone.providers.telnyx import TelnyxSide
from tests.core.phone.providers.twilio import TwilioSide
from tests.core.phone.providers.vonage import VonageSide

__all__ = [
    "CALLED",
    "CALLER",
    "SIDES",
    "Clear",
    "ExotelSide",
    "GenesysSide",
    "Keys",
    "Mark",
    "MemoryLine",
    "PlivoSide",
    "Said",
    "Side",
    "Telephone",
    "TelnyxSide",
    "TwilioSide",
    "VonageSide",
]

SIDES: list[type[Side]] = [
    TwilioSide,
    TelnyxSide,
    PlivoSide,
    ExotelSide,
    VonageSide,
    GenesysSide,
]
