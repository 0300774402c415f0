"""A socket that comes back while something is being sent on the one that was lost."""

import asyncio

from starlette.websockets import WebSocketState

from agent.transports.rejoin import RejoinableSocket


class Socket:
    """A connection whose network may take nothing without saying so."""

    def __init__(self):
        self.application_state = WebSocketState.CONNECTED
        self.open, self.sent = asyncio.Event(), []
        self.open.set()

    async def receive(self):
        await asyncio.Event().wait()

    async def send_bytes(self, data):
        await self.open.wait()
        self.sent.append(data)

    async def close(self, code, reason):
        self.application_state = WebSocketState.DISCONNECTED


async def test_who_comes_back_on_another_network_does_not_wait_for_the_first():
    lost, found = Socket(), Socket()
    line = RejoinableSocket(lost, rejoin_s=30.0)
    receiving = asyncio.create_task(line.receive())
    await line.send_bytes(b"heard")
    lost.open.clear()
    stuck = asyncio.create_task(line.send_bytes(b"lost"))
    other = asyncio.create_task(line.send_bytes(b"lost as well"))
    await asyncio.sleep(0)
    assert line.join(found)
    await asyncio.wait_for(asyncio.gather(stuck, other), 5)
    await line.send_bytes(b"goes on")
    assert (lost.sent, found.sent) == ([b"heard"], [b"goes on"])
    receiving.cancel()
    await line.close()


async def test_who_sends_may_be_cancelled():
    lost = Socket()
    line = RejoinableSocket(lost, rejoin_s=30.0)
    lost.open.clear()
    stuck = asyncio.create_task(line.send_bytes(b"x"))
    await asyncio.sleep(0)
    stuck.cancel()
    await asyncio.wait([stuck], timeout=5)
    assert stuck.cancelled()
