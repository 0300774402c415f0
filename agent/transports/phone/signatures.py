"""Whether a request comes from whom it says. Pure; every doubt is a no.

All are checked against the address the provider was given, not the one a proxy in between made of
it: a difference of scheme, port or path is the commonest reason for a refused call.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Pairs = Iterable[tuple[str, str]]

TELNYX_TOLERANCE_S = 300.0
"""How old a signed request may be."""

VONAGE_TOLERANCE_S = 300.0

GENESYS_TOLERANCE_S = 10.0
"""As Genesys' own reference server has it."""

_SKEW_S = 3.0


def twilio(token: str, url: str, form: Pairs, signature: str) -> bool:
    """`X-Twilio-Signature` of a webhook, or with no form of a WebSocket's upgrade.

    https://www.twilio.com/docs/usage/security#validating-requests
    """
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    return _same(_hmac(token, signed.encode(), hashlib.sha1), signature)


def plivo(token: str, url: str, form: Pairs, nonce: str, signatures: str) -> bool:
    """`X-Plivo-Signature-V3` of a POST webhook; the header may hold several.

    https://www.plivo.com/docs/voice/concepts/signature-validation
    """
    parts = urlsplit(url)
    query = "&".join(f"{name}={value}" for name, value in sorted(parse_qsl(parts.query, True)))
    params = "".join(name + value for name, value in sorted(form))
    base = f"{parts.scheme}://{parts.netloc}{parts.path}"
    if query or params:
        base += f"?{query}"
    if query and params:
        base += "."
    expected = _hmac(token, f"{base}{params}.{nonce}".encode(), hashlib.sha256)
    return bool(nonce) and any(_same(expected, one) for one in signatures.split(","))


def telnyx(public_key: str, body: bytes, timestamp: str, signature: str, now_s: float) -> bool:
    """Ed25519 over ``timestamp|body``.

    https://developers.telnyx.com/docs/voice/programmable-voice/receiving-webhooks

    Raises:
        ImportError: The package cryptography is not installed.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not _is_recent(timestamp, now_s, TELNYX_TOLERANCE_S):
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        sent = base64.b64decode(signature, validate=True)
        key.verify(sent, timestamp.encode() + b"|" + body)
    except (InvalidSignature, ValueError):
        return False
    return True


def vonage(secret: str, authorization: str, body: bytes, now_s: float) -> bool:
    """A JWT signed with HS256, whose ``payload_hash`` is the body's.

    https://developer.vonage.com/en/getting-started/concepts/webhooks
    """
    scheme, _, token = authorization.partition(" ")
    claims = _jwt_claims(secret, token) if scheme.lower() == "bearer" else None
    if claims is None or not _is_recent(claims.get("iat"), now_s, VONAGE_TOLERANCE_S):
        return False
    digest = claims.get("payload_hash")
    return isinstance(digest, str) and _same(hashlib.sha256(body).hexdigest(), digest)


def basic(user: str, password: str, authorization: str) -> bool:
    """HTTP basic authentication, as Exotel takes it from an address."""
    scheme, _, given = authorization.partition(" ")
    expected = base64.b64encode(f"{user}:{password}".encode()).decode()
    return scheme.lower() == "basic" and _same(expected, given.strip())


_GENESYS_SIGNED = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)

_SIGNATURE_INPUT = re.compile(
    r"(?P<label>[a-z][a-z0-9_.*-]*)=(?P<params>\((?P<covered>[^()]*)\)(?P<rest>(?:;[^,]*)?))"
)
_PARAMETER = re.compile(r';([a-z]+)=(?:"([^"\\]*)"|(\d+))')


def genesys(
    api_key: str, secret: str, target: str, headers: Mapping[str, str], authority: str, now_s: float
) -> bool:
    """An HTTP message signature over the upgrade of a WebSocket, and the API key.

    Follows draft-ietf-httpbis-message-signatures as far as AudioHook uses it.

    Args:
        api_key: As set in Genesys.
        secret: The client secret, base64.
        target: Path and query of the request.
        headers: Of the request, names in lower case.
        authority: Host of the public address.
        now_s: Seconds since 1970.
    """
    found = _SIGNATURE_INPUT.fullmatch(headers.get("signature-input", "").strip())
    if found is None or not _same(api_key, headers.get("x-api-key", "")):
        return False
    covered = re.findall(r'"([a-z@-]+)"', found["covered"])
    parameters = {name: text or digits for name, text, digits in _PARAMETER.findall(found["rest"])}
    if not set(_GENESYS_SIGNED) <= set(covered) or not _genesys_parameters(
        parameters, api_key, now_s
    ):
        return False
    derived = {"@request-target": target, "@authority": authority}
    lines = [f'"{name}": {derived.get(name, headers.get(name, ""))}' for name in covered]
    lines.append(f'"@signature-params": {found["params"]}')
    try:
        key = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return False
    expected = _hmac(key, "\n".join(lines).encode(), hashlib.sha256)
    return _same(f"{found['label']}=:{expected}:", headers.get("signature", "").strip())


def _genesys_parameters(parameters: Mapping[str, str], api_key: str, now_s: float) -> bool:
    created, expires = parameters.get("created", ""), parameters.get("expires", "")
    return (
        parameters.get("alg") == "hmac-sha256"
        and parameters.get("keyid") == api_key
        and len(parameters.get("nonce", "")) >= 22
        and _is_recent(created, now_s, GENESYS_TOLERANCE_S)
        and expires.isdigit()
        and int(expires) >= now_s
    )


def _jwt_claims(secret: str, token: str) -> dict[str, Any] | None:
    head, _, rest = token.partition(".")
    payload, _, signature = rest.partition(".")
    mac = hmac.new(secret.encode(), f"{head}.{payload}".encode(), hashlib.sha256).digest()
    if not _same(base64.urlsafe_b64encode(mac).rstrip(b"=").decode(), signature):
        return None
    header, claims = _jwt_part(head), _jwt_part(payload)
    if header is None or header.get("alg") != "HS256":
        return None
    return claims


def _jwt_part(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_recent(stamp: object, now_s: float, tolerance_s: float) -> bool:
    text = str(stamp) if isinstance(stamp, int) and not isinstance(stamp, bool) else stamp
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 12:
        return False
    return -_SKEW_S <= now_s - int(text) <= tolerance_s


def _hmac(key: str | bytes, message: bytes, digest: Any) -> str:
    raw = key.encode() if isinstance(key, str) else key
    return base64.b64encode(hmac.new(raw, message, digest).digest()).decode()


def _same(one: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one.encode(), other.encode(errors="surrogateescape"))
