"""Bodies that are too long end where they become so."""

import pytest
from starlette.requests import Request

from agent.parakeet.errors import TooLongError
from agent.parakeet.refusals import bounded

MIB = 1 << 20


def request(parts, headers=()):
    """A request whose body comes in `parts`, and a list of how much of it was taken."""
    taken = []

    async def receive():
        part = parts[len(taken)]
        taken.append(part)
        return {"type": "http.request", "body": part, "more_body": len(taken) < len(parts)}

    scope = {"type": "http", "method": "POST", "headers": list(headers)}
    return Request(scope, receive), taken


async def test_what_fits_is_read_as_it_is():
    asked, _ = request([b"a" * MIB, b"b", b""])
    assert await bounded(asked, 2 * MIB).body() == b"a" * MIB + b"b"


async def test_reading_ends_at_the_first_byte_too_many():
    asked, taken = request([b"a" * MIB] * 10)
    with pytest.raises(TooLongError, match="at most 2 MiB"):
        await bounded(asked, 2 * MIB).body()
    assert len(taken) == 3


def test_what_says_that_it_is_too_long_is_not_read():
    asked, taken = request([b"a"], [(b"content-length", str(2 * MIB + 1).encode())])
    with pytest.raises(TooLongError):
        bounded(asked, 2 * MIB)
    assert not taken
