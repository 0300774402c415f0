"""Our user agent with a listener in the pipeline's place: takes calls, keeps what it hears."""

import asyncio
import contextlib
from dataclasses import dataclass, field

import numpy as np

from agent.transports.sip.agent import UserAgent
from agent.transports.sip.call import SipCall
from agent.transports.sip.presented import UserAgentSettings

KEYS = "0123456789*#"

_LIMIT_S = 12.0


@dataclass
class Taken:
    """A call and what became of it."""

    call: SipCall
    keys: str = ""
    audio: list[np.ndarray] = field(default_factory=list)
    talking: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self):
        self.call.connect(
            on_audio=self.audio.append,
            on_key=self.on_key,
            on_talking=self.talking.set,
            on_over=self.over.set,
        )

    def on_key(self, key):
        self.keys += key

    async def hum(self, seconds: float, frequency: float = 440.0):
        """Speak a tone."""
        rate = self.call.sample_rate
        t = np.arange(round(rate * seconds))
        pcm = (8000 * np.sin(2 * np.pi * frequency * t / rate)).astype(np.int16)
        for i in range(0, len(pcm), rate // 50):
            if not await self.call.write(pcm[i : i + rate // 50].tobytes()):
                return


class Exchange:
    """A user agent on a free port."""

    def __init__(self, *, takes: bool = True, status: tuple[int, str] | None = None) -> None:
        self.calls: asyncio.Queue[Taken] = asyncio.Queue()
        self.agent: UserAgent
        self._takes, self._status = takes, status

    @property
    def port(self) -> int:
        return self.agent.address[1]

    async def next(self) -> Taken:
        return await asyncio.wait_for(self.calls.get(), _LIMIT_S)

    def on_call(self, call: SipCall) -> None:
        taken = Taken(call)
        self.calls.put_nowait(taken)
        if self._status:
            call.reject(*self._status)
        elif self._takes:
            self.agent.spawn(call.answer())


@contextlib.asynccontextmanager
async def exchange(*, takes=True, status=None, opus=False, **settings):
    """An `Exchange`, closed at the end; nothing may be left of it then. G.711 unless it is asked
    for Opus: most tests count its packets.
    """
    ours = Exchange(takes=takes, status=status)
    presented = UserAgentSettings(opus=opus, **settings)
    ours.agent = await UserAgent.open("127.0.0.1", 0, ours.on_call, presented)
    try:
        yield ours
    finally:
        await ours.agent.close()
        assert not ours.agent.calls


async def within(awaitable, limit_s: float = _LIMIT_S):
    return await asyncio.wait_for(awaitable, limit_s)


async def finished(peer) -> None:
    """Wait for a sipp run without standing in the user agent's way."""
    from tests.sip.peers import require_success

    await asyncio.to_thread(require_success, peer)


async def press_every_key(taken, peer):
    """Every key from us to baresip, and from baresip to us."""
    await within(taken.call.press(KEYS))
    heard = ""
    while len(heard) < len(KEYS):
        heard += (await asyncio.to_thread(peer.event, "CALL_DTMF_START"))["param"]
    assert heard == KEYS
    for key in KEYS:
        await asyncio.to_thread(peer.press, key)
    await asyncio.sleep(0.3)
    assert taken.keys == KEYS
