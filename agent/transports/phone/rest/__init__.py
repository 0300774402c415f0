"""Requests to providers about a call under way."""

from collections.abc import Callable

from agent.settings import PhoneSettings
from agent.transports.phone.documents import Answer
from agent.transports.phone.rest.base import RING_S, Rest, TransferError
from agent.transports.phone.rest.plivo import PlivoRest
from agent.transports.phone.rest.twiml import TelnyxRest, TwilioRest
from agent.transports.phone.rest.vonage import VonageRest

__all__ = ["RING_S", "Rest", "TransferError", "rest"]


def rest(settings: PhoneSettings, provider: str, at: Callable[[Answer], str]) -> Rest | None:
    """The provider's requests; None where it has none or its credentials are not set.

    Args:
        settings: With the credentials.
        provider: Its name.
        at: Makes an address, good once, at which a provider is given a document.

    Raises:
        SettingsError: A key cannot be used.
    """
    twilio, telnyx, plivo, vonage = (
        settings.twilio,
        settings.telnyx,
        settings.plivo,
        settings.vonage,
    )
    if provider == "twilio" and twilio and twilio.account_sid:
        return TwilioRest(twilio, twilio.account_sid)
    if provider == "telnyx" and telnyx and telnyx.api_key and telnyx.account_sid:
        return TelnyxRest(telnyx, telnyx.account_sid, telnyx.api_key)
    if provider == "plivo" and plivo and plivo.auth_id:
        return PlivoRest(plivo, plivo.auth_id, at)
    if provider == "vonage" and vonage and vonage.application_id and vonage.private_key:
        return VonageRest(vonage, vonage.application_id, vonage.private_key)
    return None
