"""Callers who do what they should not, and what an operator reads of it."""

import asyncio
import contextlib
import socket

import numpy as np
import pytest
from loguru import logger

from agent.errors import SettingsError
from agent.server.telephone import telephone
from agent.transports.sip import media
from agent.transports.sip.g711 import PCMU
from tests.sip.exchange import exchange, finished, within
from tests.sip.household import sessions
from tests.sip.peers import Ear, sipp
from tests.sip.scenarios import (
    answer_request,
    awaits,
    bye,
    description,
    invited,
    pause,
    request,
    scenario,
)

PORT = "[rtpstream_audio_port]"


@contextlib.contextmanager
def reading(level="WARNING"):
    """What is logged meanwhile, line by line."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(line.rstrip()), level=level, format="{message}")
    try:
        yield lines
    finally:
        logger.remove(sink)


@contextlib.asynccontextmanager
async def household(**sections):
    ours = sessions(sip={"enabled": True, "port": 0}, **sections)
    async with telephone(ours) as server:
        yield ours, server
        await ours.drain()


async def over(ours):
    async with asyncio.timeout(20):
        while ours.active:  # noqa: ASYNC110 - has no event
            await asyncio.sleep(0.05)


def call_of_one(*steps):
    return scenario(*steps), ("-m", "1")


async def test_a_quiet_call_leaves_no_warning(tmp_path):
    ear = Ear()
    run, once = call_of_one(invited(str(ear.port)), pause(0.5), bye(2))
    with reading() as log:
        async with household() as (ours, server):
            await finished(sipp(run, server.address[1], tmp_path, *once))
            await over(ours)
    assert log == []


async def test_a_telephone_without_our_codecs_is_named_in_the_log(tmp_path):
    g729 = description(PORT).replace("RTP/AVP 0 101", "RTP/AVP 18 101").replace("0 PCMU", "18 G729")
    begin = request("INVITE", 1, body=g729, tag=False)
    run, once = call_of_one(begin, awaits(488, "none of .*PCMU", where="msg"), request("ACK", 1))
    with reading() as log:
        async with exchange() as ours:
            await finished(sipp(run, ours.port, tmp_path, *once))
    (line,) = log
    assert line.startswith("refused a call from 127.0.0.1: none of") and "PCMU" in line


async def test_one_too_many_is_named_in_the_log(tmp_path):
    begin = request("INVITE", 1, body=description(PORT), tag=False)
    run, once = call_of_one(begin, awaits(486), request("ACK", 1))
    with reading() as log:
        async with household(server={"max_sessions": 1}) as (ours, server), exchange() as caller:
            port = server.address[1]
            first = await within(caller.agent.invite(f"sip:duplex@127.0.0.1:{port}"))
            await finished(sipp(run, port, tmp_path, *once))
            await first.hang_up()
            await over(ours)
    assert [line for line in log if line.startswith("refused a call from 127.0.0.1")]


async def test_audio_from_a_wrong_source_is_named_in_the_log(tmp_path):
    # Behind a translator that gives audio another address than signalling.
    ear = Ear()
    run, once = call_of_one(invited(str(ear.port)), pause(2.5), bye(2))
    with reading() as log, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        async with exchange() as ours:
            calling = sipp(run, ours.port, tmp_path, *once)
            taken = await ours.next()
            await within(taken.talking.wait())
            loud = PCMU.encode((8000 * (np.arange(160) % 2)).astype(np.int16))
            port = taken.call.audio.media.port
            for number in range(20):
                header = b"\x80\x00" + number.to_bytes(2, "big") + (160 * number).to_bytes(4, "big")
                stranger.sendto(header + b"abcd" + loud, ("127.0.0.1", port))
            await finished(calling)
            await within(taken.over.wait())
            await asyncio.sleep(0.1)
    assert not sum(len(pcm) for pcm in taken.audio if pcm.any())
    (line,) = log
    assert "no audio came from 127.0.0.1; 20 packets from 127.0.0.2 were not taken" in line


async def test_who_changes_the_call_forty_times_still_talks(tmp_path):
    ear = Ear()
    port = str(ear.port)
    steps = [invited(port)]
    for number in range(2, 43):
        held = description(port, direction="sendonly" if number % 2 else "sendrecv")
        steps += [request("INVITE", number, body=held), awaits(200), request("ACK", number)]
    run, once = call_of_one(*steps, pause(0.3), bye(43))
    with reading() as log:
        async with exchange() as ours:
            calling = sipp(run, ours.port, tmp_path, *once)
            taken = await ours.next()
            await within(taken.talking.wait())
            await finished(calling)
            await within(taken.over.wait())
    assert log == [] and not taken.call.call.is_held_by_peer


async def test_who_hangs_up_before_acknowledging_is_not_sent_our_200_again(tmp_path):
    begin = request("INVITE", 1, body=description(PORT), tag=False)
    # sipp fails on what it does not wait for: a repeated 200 comes within half a second.
    run, once = call_of_one(begin, awaits(200), bye(2), pause(3.0))
    async with household() as (ours, server):
        await finished(sipp(run, server.address[1], tmp_path, *once, "-default_behaviors", "none"))
        assert not ours.active


@pytest.mark.parametrize(
    ("section", "remedy"),
    [
        ({"host": "127.0.0.1"}, "set DUPLEX_SIP__PORT to a free UDP port"),
        ({"host": "192.0.2.7"}, "set DUPLEX_SIP__HOST to an address of this machine"),
    ],
)
async def test_a_port_that_cannot_be_had_is_told_with_its_remedy(section, remedy):
    async with exchange() as taken:
        wanted = {"enabled": True, "port": taken.port, **section}
        with pytest.raises(SettingsError, match=remedy):
            async with telephone(sessions(sip=wanted)):
                pass


async def test_a_telephone_that_vanishes_is_hung_up_on_and_its_place_is_free(monkeypatch, tmp_path):
    # Its BYE is lost, or its battery is empty: only the missing packets tell.
    monkeypatch.setattr(media, "DEAD_AFTER_S", 1.0)
    ear = Ear()
    run, once = call_of_one(invited(str(ear.port)), answer_request("BYE"))
    with reading() as log:
        async with household(server={"max_sessions": 1}) as (ours, server):
            await finished(sipp(run, server.address[1], tmp_path, *once))
            await over(ours)
    assert [line for line in log if "nothing heard from the peer for long" in line]
