"""Packets late, swapped, doubled and lost between two of our own ends."""

import asyncio
import random

import numpy as np
import pytest

from agent.transports.jitter import AudioPacket
from agent.transports.sip import rtp
from agent.transports.sip.g711 import PCMU
from agent.transports.sip.media import RtpSession
from agent.transports.sip.sdp import Agreement, Direction

PEER = ("127.0.0.1", 40000)
AGREED = Agreement(PEER, "PCMU", 0, 101, Direction.BOTH)
PACKETS = 500


def tone(i):
    t = np.arange(i * 160, (i + 1) * 160)
    return PCMU.encode((8000 * np.sin(2 * np.pi * 200 * t / 8000)).astype(np.int16))


def impaired(seed, *, loss=0.0, swap=0.0, double=0.0):
    """Packets of a tone in the order in which a bad network delivers them."""
    chance = random.Random(seed)
    order = [i for i in range(PACKETS) if i == 0 or chance.random() >= loss]
    for i in range(1, len(order) - 2, 2):
        if chance.random() < swap:
            order[i], order[i + 1] = order[i + 1], order[i]
    order = [i for i in order for _ in range(2 if chance.random() < double else 1)]
    return [rtp.build(AudioPacket(7, i, i * 160, 0, tone(i))) for i in order]


async def received(datagrams):
    session = await RtpSession.open("127.0.0.1", (0, 0))
    heard = []
    session.on_audio = heard.append
    session.agree(AGREED, "127.0.0.1")
    try:
        for datagram in datagrams:
            session.datagram_received(datagram, PEER)
        return session, np.concatenate(heard)
    finally:
        await session.close()


@pytest.mark.parametrize("seed", range(3))
async def test_swapped_and_doubled_packets_are_heard_as_if_nothing_was(seed):
    session, heard = await received(impaired(seed, swap=0.2, double=0.1))
    assert session.received.lost == 0
    expected = PCMU.decode(b"".join(tone(i) for i in range(PACKETS)))
    np.testing.assert_array_equal(heard[: len(expected)], expected[: len(heard)])


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.1])
async def test_the_clock_keeps_the_callers_time_whatever_is_lost(loss):
    _, heard = await received(impaired(1, loss=loss, swap=0.02))
    # What is missing at the very end is not known to be missing.
    assert (PACKETS - 5) * 160 <= len(heard) <= PACKETS * 160


async def test_strangers_are_not_heard():
    session = await RtpSession.open("127.0.0.1", (0, 0))
    heard = []
    session.on_audio = heard.append
    session.agree(AGREED, "127.0.0.1")
    for datagram in impaired(1)[:20]:
        session.datagram_received(datagram, ("127.0.0.9", 40000))
    assert not heard and session.foreign == 20
    await session.close()


async def test_a_peer_that_falls_silent_is_heard_as_silence():
    session = await RtpSession.open("127.0.0.1", (0, 0))
    enough = asyncio.Event()
    heard = []

    def on_audio(pcm):
        heard.append(pcm)
        if sum(map(len, heard)) > 8000:
            enough.set()

    session.on_audio = on_audio
    session.agree(AGREED, "127.0.0.1")
    await asyncio.wait_for(enough.wait(), 10)
    assert not np.concatenate(heard).any()
    await session.close()


async def test_ports_of_a_firewall_are_kept():
    session = await RtpSession.open("127.0.0.1", (41000, 41099))
    assert 41000 <= session.port <= 41099 and session.port % 2 == 0
    await session.close()
