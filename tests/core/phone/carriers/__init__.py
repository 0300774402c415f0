"""Providers' HTTP interfaces on loopback, played from their references: what they do not know they
refuse, as they would. No provider was called.
"""

from tests.core.phone.carriers.carrier import TOKEN, Carrier
from tests.core.phone.carriers.plivo import Plivo
from tests.core.phone.carriers.telnyx import Telnyx
from tests.core.phone.carriers.twilio import Twilio
from tests.core.phone.carriers.vonage import Vonage, new_key

__all__ = ["CARRIERS", "TOKEN", "Carrier", "Plivo", "Telnyx", "Twilio", "Vonage", "new_key"]

CARRIERS: list[type[Carrier]] = [Twilio, Telnyx, Plivo, Vonage]
