"""Telling a registrar where calls for us go (RFC 3261 section 10)."""

from agent.errors import RetryError
from agent.transports.sip.addresses import Hop, parse_uri
from agent.transports.sip.dialog import Dialog
from agent.transports.sip.message import Response
from agent.transports.sip.requests import Requests


class RefusedError(RetryError):
    """The registrar does not want us: who asks it often is locked out by many."""


async def register(
    requests: Requests, registrar: str, expires_s: int, *, to: Hop, sent_by: Hop, contact: str
) -> int:
    """Register, or end it with an `expires_s` of 0.

    Args:
        requests: Of the user agent.
        registrar: Such as sip:pbx.example.
        expires_s: How long it shall hold.
        to: Where the registrar is.
        sent_by: Our address, as it reaches us.
        contact: Where calls for us go.

    Returns:
        How long it holds, in seconds, as the registrar says.

    Raises:
        RetryError: It did not answer.
        RefusedError: It refused.
    """
    host, user = parse_uri(registrar).host, parse_uri(contact).user
    ours = f"sip:{user}@{f'[{host}]' if ':' in host else host}"
    dialog = Dialog.calling(ours, ours, contact)
    dialog.target = registrar

    async def ask() -> Response | None:
        request = dialog.request("REGISTER", sent_by)
        request.headers.add("Expires", str(expires_s))
        return await requests.ask(request, to, dialog)

    response = await ask()
    # Too short for the registrar (RFC 3261 10.2.8), which says what is not.
    if response and response.status == 423 and (least_s := _least(response)):
        expires_s = max(expires_s, least_s)
        response = await ask()
    if response is None:
        raise RetryError(f"{registrar} does not answer; check sip.registrar and the network")
    if response.status >= 300:
        raise RefusedError(
            f"{registrar} refused to register {user}: {response.status} "
            f"{response.reason}; check sip.user and sip.password"
        )
    return granted(response, contact, expires_s)


def granted(response: Response, contact: str, asked_s: int) -> int:
    """Seconds a registration holds: said beside our own contact, or for all. Pure."""
    for value in response.headers.all("Contact"):
        if contact in value:
            for parameter in value.rpartition(">")[2].split(";"):
                name, _, seconds = parameter.partition("=")
                if name.strip().lower() == "expires":
                    return _seconds(seconds, asked_s)
    return _seconds(response.headers.get("Expires") or "", asked_s)


def _least(response: Response) -> int:
    """The shortest registration that is taken; 0 if it is not said or makes no sense."""
    text = (response.headers.get("Min-Expires") or "").strip()
    return int(text[:9]) if text.isascii() and text.isdecimal() else 0


def _seconds(text: str, most: int) -> int:
    text = text.strip()
    return min(most, int(text[:9])) if text.isascii() and text.isdecimal() else most
