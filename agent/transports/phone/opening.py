"""The first messages of a stream, until it has begun."""

import asyncio

from loguru import logger

from agent.transports.phone.line import Line
from agent.transports.phone.providers.stream import MediaStream
from agent.transports.phone.wire import (
    MalformedError,
    Started,
)

_LONGEST_START_S = 5.0
_MOST_BEFORE_START = 16


class NeverStartedError(Exception):
    """The peer said nothing that begins a stream."""


async def opened(line: Line, stream: MediaStream) -> Started:
    """Wait for the start of a stream.

    Raises:
        NeverStartedError: It did not come in five seconds or sixteen messages.
    """
    try:
        async with asyncio.timeout(_LONGEST_START_S):
            for _ in range(_MOST_BEFORE_START):
                data = await line.receive()
                if data is None:
                    raise NeverStartedError("the peer left")
                try:
                    event = stream.read(data)
                except MalformedError as error:
                    logger.warning("{}: {}", stream.name, error)
                    continue
                answer = await stream.reply(data)
                if answer:
                    await line.send(answer)
                if isinstance(event, Started):
                    return event
    except TimeoutError:
        pass
    raise NeverStartedError("no start within the time and messages allowed")
