"""Keys of encrypted audio in a session description (RFC 4568). Pure.

They can be read by who can read the signalling: without TLS they protect against nobody on the way.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass

SUITE = "AES_CM_128_HMAC_SHA1_80"
"""The one that every implementation must have."""

KEY_BYTES = 30
"""A master key of 128 bits and a salt of 112."""


@dataclass(frozen=True, slots=True)
class Crypto:
    """How one side encrypts what it sends.

    Attributes:
        tag: Names the offer among others; repeated in the answer.
        key: Master key and salt. Never shown.
    """

    tag: str
    key: bytes

    def __repr__(self) -> str:
        return f"Crypto({self.tag!r})"


@dataclass(frozen=True, slots=True)
class Security:
    """What we do about encryption.

    Attributes:
        can: Whether we are able to.
        must: Whether a call without it is no call.
        key: Ours, for one call.
    """

    can: bool = False
    must: bool = False
    key: bytes = b""


def new_key() -> bytes:
    """A key for one call."""
    return secrets.token_bytes(KEY_BYTES)


def parse(value: str) -> Crypto | None:
    """Read what follows ``a=crypto:``.

    Returns:
        None if it is another suite, or makes no sense.
    """
    words = value.split()
    if len(words) < 3 or words[1].upper() != SUITE or not words[0].isascii():
        return None
    # Of several keys or a long lifetime we know nothing; one key for the whole call is usual.
    method, _, rest = words[2].partition(":")
    try:
        key = base64.b64decode(rest.partition("|")[0], validate=True)
    except (binascii.Error, ValueError):
        return None
    if method.lower() != "inline" or len(key) != KEY_BYTES or len(words[0]) > 9:
        return None
    return Crypto(words[0], key)


def write(tag: str, key: bytes) -> str:
    """Write an attribute with a key of ours."""
    return f"a=crypto:{tag} {SUITE} inline:{base64.b64encode(key).decode()}"
