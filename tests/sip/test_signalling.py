"""Real telephones on loopback against our user agent: every way a call can go."""

import asyncio
import contextlib
import re

import numpy as np
import pytest

from agent.errors import RetryError
from agent.transports.sip.agent import CallRefusedError, UserAgent
from agent.transports.sip.presented import UserAgentSettings
from tests.sip.exchange import KEYS, Taken, exchange, finished, press_every_key, within
from tests.sip.peers import Baresip, Ear, Linphone, free_port, require, sipp
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


@contextlib.asynccontextmanager
async def running(make, *arguments, **options):
    peer = await asyncio.to_thread(make, *arguments, **options)
    try:
        yield peer
    finally:
        await asyncio.to_thread(peer.stop)


def loudness(packets):
    from agent.transports.sip.g711 import PCMU

    pcm = PCMU.decode(b"".join(p.payload for p in packets if p.payload_type == 0))
    return float(np.abs(pcm.astype(np.int32)).max()) if len(pcm) else 0.0


async def test_five_calls_at_once_from_sipp(tmp_path):
    async with exchange() as ours:
        run = sipp(
            scenario(invited(), pause(1.0), bye(2)), ours.port, tmp_path, *"-m 5 -l 5 -r 50".split()
        )
        taken = [await ours.next() for _ in range(5)]
        await asyncio.gather(*(within(call.talking.wait()) for call in taken))
        assert len(ours.agent.calls) == 5
        await finished(run)
        await asyncio.gather(*(within(call.over.wait()) for call in taken))
        assert len({call.call.call.facts.id for call in taken}) == 5


async def test_hold_silences_us_and_resume_goes_on_where_we_were(tmp_path):
    ear = Ear()
    port = str(ear.port)
    steps = [
        invited(port),
        pause(0.4),
        request("INVITE", 2, body=description(port, direction="sendonly")),
        awaits(200, "recvonly"),
        request("ACK", 2),
        pause(0.6),
        request("INVITE", 3, body=description(port)),
        awaits(200, "sendrecv"),
        request("ACK", 3),
        pause(0.4),
        bye(4),
    ]
    async with exchange() as ours:
        run = sipp(scenario(*steps), ours.port, tmp_path, "-m", "1")
        taken = await ours.next()
        await within(taken.talking.wait())
        humming = asyncio.create_task(taken.hum(30))
        await finished(run)
        await within(humming)
    ear.pcm()
    gaps = np.diff(ear.arrivals)
    assert gaps.max() > 0.4, "we spoke while on hold"
    before, after = ear.packets[: int(np.argmax(gaps)) + 1], ear.packets[int(np.argmax(gaps)) + 1 :]
    assert loudness(before) > 4000 and loudness(after) > 4000
    # The peer's clock went on meanwhile, and so does ours.
    assert after[0].timestamp - before[-1].timestamp >= 0.4 * 8000


async def test_a_hold_of_before_rfc_3264_is_understood(tmp_path):
    held = description("[rtpstream_audio_port]", host="0.0.0.0")
    steps = [invited(), request("INVITE", 2, body=held), awaits(200), request("ACK", 2), bye(3)]
    async with exchange() as ours:
        run = sipp(scenario(*steps), ours.port, tmp_path, "-m", "1")
        taken = await ours.next()
        await finished(run)
        assert taken.call.call.is_held_by_peer


async def test_a_caller_who_gives_up_is_let_go(tmp_path):
    steps = [
        request("INVITE", 1, body=description("[rtpstream_audio_port]"), tag=False),
        '<recv response="180"/>\n',
        # The same transaction, so the same branch as the INVITE.
        request("CANCEL", 1, tag=False).replace("[branch]", "[branch-2]"),
        '<recv response="200"/>\n',
        '<recv response="487"/>\n',
        request("ACK", 1).replace("[branch]", "[branch-5]"),
    ]
    async with exchange(takes=False) as ours:
        run = sipp(scenario(*steps), ours.port, tmp_path, "-m", "1")
        taken = await ours.next()
        await within(taken.over.wait())
        await finished(run)
        assert not taken.talking.is_set()


async def test_busy(tmp_path):
    begin = request("INVITE", 1, body=description("[rtpstream_audio_port]"), tag=False)
    steps = [begin, awaits(486), request("ACK", 1)]
    async with exchange(status=(486, "Busy Here")) as ours:
        await finished(sipp(scenario(*steps), ours.port, tmp_path, "-m", "1"))


async def test_we_hang_up(tmp_path):
    async with exchange() as ours:
        run = sipp(scenario(invited(), answer_request("BYE")), ours.port, tmp_path, "-m", "1")
        taken = await ours.next()
        await within(taken.talking.wait())
        await taken.call.hang_up()
        await finished(run)


async def test_who_offers_nothing_gets_our_offer(tmp_path):
    steps = [
        request("INVITE", 1, tag=False),
        awaits(200, "m=audio [1-9]"),
        request("ACK", 1, body=description("[rtpstream_audio_port]")),
        pause(0.3),
        bye(2),
    ]
    async with exchange() as ours:
        run = sipp(scenario(*steps), ours.port, tmp_path, "-m", "1")
        taken = await ours.next()
        await within(taken.talking.wait())
        assert taken.call.agreement.codec == "PCMU"
        await finished(run)


async def test_video_is_refused_and_audio_taken(tmp_path):
    both = (
        description("[rtpstream_audio_port]") + "m=video 40000 RTP/AVP 96\na=rtpmap:96 VP8/90000\n"
    )
    steps = [
        request("INVITE", 1, body=both, tag=False),
        awaits(200, "m=video 0 "),
        request("ACK", 1),
        bye(2),
    ]
    async with exchange() as ours:
        await finished(sipp(scenario(*steps), ours.port, tmp_path, "-m", "1"))


async def test_encrypted_audio_alone_is_not_acceptable(tmp_path):
    secret = description("40000").replace("RTP/AVP", "RTP/SAVP")
    steps = [request("INVITE", 1, body=secret, tag=False), awaits(488), request("ACK", 1)]
    async with exchange() as ours:
        await finished(sipp(scenario(*steps), ours.port, tmp_path, "-m", "1"))


async def test_a_caller_may_not_send_us_elsewhere(tmp_path):
    refer = request("REFER", 2, more="Refer-To: <sip:+4990012345@127.0.0.1>\n")
    async with exchange() as ours:
        steps = scenario(invited(), refer, awaits(603), bye(3))
        await finished(sipp(steps, ours.port, tmp_path, "-m", "1"))


async def test_keys_by_info(tmp_path):
    info = request(
        "INFO", 2, more="Content-Type: application/dtmf-relay\n", body="Signal=7\nDuration=160\n"
    )
    info = info.replace("Content-Type: application/sdp\n", "")
    async with exchange() as ours:
        run = sipp(scenario(invited(), info, awaits(200), bye(3)), ours.port, tmp_path, "-m", "1")
        taken = await ours.next()
        await finished(run)
        assert taken.keys == "7"


def registrars(status, more=""):
    return f"""<send><![CDATA[
SIP/2.0 {status}
[last_Via:]
[last_From:]
[last_To:];tag=registrar
[last_Call-ID:]
[last_CSeq:]
{more}Content-Length: 0

]]></send>
"""


@contextlib.asynccontextmanager
async def registrar(tmp_path, *steps):
    """sipp in a registrar's place; it must see everything that it waits for."""
    port = free_port()
    run = sipp(scenario(*steps), free_port(), tmp_path, "-p", str(port), "-m", "1")
    await asyncio.sleep(0.5)
    yield f"sip:127.0.0.1:{port}"
    await finished(run)


async def test_a_registrar_that_wants_proof(tmp_path):
    challenge = 'WWW-Authenticate: Digest realm="desk", nonce="4b1f", algorithm=MD5, qop="auth"\n'
    steps = [
        '<recv request="REGISTER"/>\n',
        registrars("401 Unauthorized", challenge),
        '<recv request="REGISTER"><action>'
        '<verifyauth assign_to="proven" username="anna" password="se:cret"/>'
        '</action></recv>\n<nop hide="true" test="proven" next="1"/>\n',
        registrars("403 Forbidden"),
        '<nop hide="true" next="2"/>\n<label id="1"/>\n',
        registrars("200 OK", "Expires: 90\n"),
        '<label id="2"/>\n',
    ]
    async with (
        registrar(tmp_path, *steps) as uri,
        exchange(user="anna", password="se:cret") as ours,
    ):
        assert await within(ours.agent.register(uri, 600)) == 90


async def test_a_registrar_that_wants_longer_registrations_is_given_them(tmp_path):
    steps = [
        '<recv request="REGISTER"/>\n',
        registrars("423 Interval Too Brief", "Min-Expires: 3600\n"),
        '<recv request="REGISTER"><action><ereg regexp="3600" search_in="hdr" header="Expires:" '
        'check_it="true" assign_to="1"/><log message="[$1]"/></action></recv>\n',
        registrars("200 OK", "Expires: 3600\n"),
    ]
    async with registrar(tmp_path, *steps) as uri, exchange() as ours:
        assert await within(ours.agent.register(uri, 600)) == 3600


@pytest.mark.parametrize("says", ["", "Min-Expires: 0\n", "Min-Expires: soon\n"])
async def test_a_registrar_that_says_only_that_it_is_too_short_has_refused(tmp_path, says):
    steps = ['<recv request="REGISTER"/>\n', registrars("423 Interval Too Brief", says)]
    async with registrar(tmp_path, *steps) as uri, exchange() as ours:
        with pytest.raises(RetryError, match="423"):
            await within(ours.agent.register(uri, 600))


async def test_baresip_and_we_press_every_key(tmp_path):
    async with exchange() as ours, running(Baresip, tmp_path / "b", None) as peer:
        peer.command("dial", f"sip:duplex@127.0.0.1:{ours.port}")
        taken = await ours.next()
        await within(taken.talking.wait())
        await press_every_key(taken, peer)
        peer.command("hangup")
        await within(taken.over.wait())


async def test_linphone_and_we_press_every_key(tmp_path):
    async with exchange() as ours, running(Linphone, tmp_path / "l") as peer:
        peer.say(f"call sip:duplex@127.0.0.1:{ours.port}")
        taken = await ours.next()
        await within(taken.talking.wait())
        await asyncio.to_thread(peer.until, "Media streams established")
        await within(taken.call.press(KEYS))
        peer.say(KEYS)
        async with asyncio.timeout(20):
            while len(taken.keys) < len(KEYS):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        assert taken.keys == KEYS
        await taken.call.hang_up()
        await asyncio.to_thread(peer.until, "ended")
    assert "".join(re.findall(r"Receiving tone (.)", "".join(peer.lines))) == KEYS


async def test_we_call_hold_resume_and_hang_up(tmp_path):
    async with exchange() as ours, running(Baresip, tmp_path / "b", None, auto_answer=True) as peer:
        taken = Taken(await within(ours.agent.invite(f"sip:tester@127.0.0.1:{peer.port}")))
        await taken.hum(0.3)
        assert sum(map(len, taken.audio)), "nothing heard"
        await taken.call.hold()
        assert not taken.call.agreement.may_receive
        await taken.call.resume()
        assert taken.call.agreement.may_send and taken.call.agreement.may_receive
        await taken.call.hang_up()
        await asyncio.to_thread(peer.event, "CALL_CLOSED")


async def test_a_call_is_handed_over(tmp_path):
    async with (
        exchange() as ours,
        exchange() as desk,
        running(Baresip, tmp_path / "b", None, auto_answer=True) as peer,
    ):
        taken = Taken(await within(ours.agent.invite(f"sip:tester@127.0.0.1:{peer.port}")))
        handing_over = asyncio.create_task(taken.call.transfer(f"sip:desk@127.0.0.1:{desk.port}"))
        at_desk = await desk.next()
        await within(at_desk.talking.wait())
        await within(handing_over)
        assert taken.over.is_set() and not at_desk.over.is_set()


async def test_nobody_there_and_refused():
    async with exchange() as ours, exchange(status=(486, "Busy Here")) as other:
        with pytest.raises(CallRefusedError, match="486"):
            await within(ours.agent.invite(f"sip:x@127.0.0.1:{other.port}"))
        assert not ours.agent.calls


async def test_a_call_of_ours_that_is_given_up_stops_ringing():
    async with exchange() as ours, exchange(takes=False) as other:
        calling = asyncio.create_task(ours.agent.invite(f"sip:x@127.0.0.1:{other.port}"))
        ringing = await other.next()
        await asyncio.sleep(0.05)
        calling.cancel()
        await within(ringing.over.wait())
        with pytest.raises(asyncio.CancelledError):
            await calling


async def test_strangers_are_not_answered():
    class Silence(asyncio.DatagramProtocol):
        def __init__(self):
            self.heard = []

        def datagram_received(self, data, addr):
            self.heard.append(data)

    settings = UserAgentSettings(accept_from=("192.168.0.0/16",))
    agent = await UserAgent.open("127.0.0.1", 0, lambda call: None, settings)
    loop = asyncio.get_running_loop()
    transport, stranger = await loop.create_datagram_endpoint(Silence, remote_addr=agent.address)
    try:
        transport.sendto(b"OPTIONS sip:x SIP/2.0\r\n\r\n")
        async with asyncio.timeout(5):
            while not agent.foreign:  # noqa: ASYNC110 - has no event
                await asyncio.sleep(0.01)
        assert not stranger.heard and not agent.malformed
    finally:
        transport.close()
        await agent.close()


def test_the_peers_are_installed():
    for program in ("sipp", "baresip", "linphonec"):
        assert require(program)
