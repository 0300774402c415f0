"""Answers to a registrar's or proxy's challenge (RFC 8760, RFC 2617). Pure.

MD5 is what most exchanges still ask for; it is answered because they ask, and the better of several
challenges is taken.
"""

import hashlib
import re
from dataclasses import dataclass

_PARAMETER = re.compile(r'([a-zA-Z-]{1,32})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_HASHES = {"sha-512-256": "sha512_256", "sha-256": "sha256", "md5": "md5", "": "md5"}
_BEST_FIRST = tuple(_HASHES)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a peer wants to have proved.

    Attributes:
        realm: Whose password.
        nonce: To be mixed in.
        algorithm: Lower case; empty means MD5.
        opaque: To be given back; None if there was none.
        has_qop: Whether `auth` quality of protection is offered.
    """

    realm: str
    nonce: str
    algorithm: str
    opaque: str | None
    has_qop: bool


def parse(header: str) -> Challenge | None:
    """Read a WWW-Authenticate or Proxy-Authenticate header; None if we cannot answer it."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    found = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}
    algorithm = found.get("algorithm", "").lower()
    qops = [word.strip().lower() for word in found.get("qop", "").split(",") if word.strip()]
    if "nonce" not in found or algorithm not in _HASHES or (qops and "auth" not in qops):
        return None
    return Challenge(
        found.get("realm", ""), found["nonce"], algorithm, found.get("opaque"), bool(qops)
    )


def best(headers: list[str]) -> Challenge | None:
    """The strongest of several challenges that we can answer."""
    known = [challenge for challenge in map(parse, headers) if challenge]
    return min(known, key=lambda c: _BEST_FIRST.index(c.algorithm), default=None)


def answer(
    challenge: Challenge, *, user: str, password: str, method: str, uri: str, cnonce: str
) -> str:
    """Write the Authorization header.

    Args:
        challenge: Of the peer.
        user: Name the peer knows us by.
        password: Shared with the peer.
        method: Of the request.
        uri: Of the request.
        cnonce: Ours, unguessable.
    """
    first = _hash(challenge, f"{user}:{challenge.realm}:{password}")
    second = _hash(challenge, f"{method}:{uri}")
    fields = {
        "username": _quoted(user),
        "realm": _quoted(challenge.realm),
        "nonce": _quoted(challenge.nonce),
        "uri": _quoted(uri),
    }
    if challenge.has_qop:
        proof = _hash(challenge, f"{first}:{challenge.nonce}:00000001:{cnonce}:auth:{second}")
        fields |= {"qop": "auth", "nc": "00000001", "cnonce": _quoted(cnonce)}
    else:
        proof = _hash(challenge, f"{first}:{challenge.nonce}:{second}")
    fields["response"] = _quoted(proof)
    if challenge.algorithm:
        fields["algorithm"] = challenge.algorithm.upper()
    if challenge.opaque is not None:
        fields["opaque"] = _quoted(challenge.opaque)
    return "Digest " + ", ".join(f"{name}={value}" for name, value in fields.items())


def _hash(challenge: Challenge, text: str) -> str:
    return hashlib.new(_HASHES[challenge.algorithm], text.encode()).hexdigest()


def _quoted(text: str) -> str:
    return f'"{text}"'
