"""SIP over TCP and TLS, with telephones that others wrote and with ourselves."""

import asyncio
import contextlib

import numpy as np
import pytest
import soundfile

from agent.errors import RetryError, SettingsError
from agent.server.telephone import presented
from agent.settings import PhoneSettings, SipSettings
from agent.transports.sip.agent import CallRefusedError, UserAgent
from tests import certificates
from tests.sip.exchange import Taken, exchange, finished, within
from tests.sip.peers import Baresip, Linphone, sipp
from tests.sip.scenarios import bye, invited, pause, scenario
from tests.sip.test_transfer import tones


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return certificates.certificate(tmp_path_factory.mktemp("tls"))


def secured(path):
    """Settings of a user agent with TLS."""
    settings = SipSettings.model_validate(
        {"certificate": path, "authority": path, "tls_port": 0, "tcp": True}
    )
    made = presented(settings, PhoneSettings())
    return {
        "tcp": True,
        "certificate": made.certificate,
        "trust": made.trust,
        "tls_port": made.tls_port,
    }


def loudest(pcm, hertz):
    """Loudness of a tone in the quarter of a second in which it is loudest."""
    quarters = pcm[: len(pcm) // 2000 * 2000].astype(float).reshape(-1, 2000)
    return max(tones(quarter, hertz)[0] for quarter in quarters)


@contextlib.asynccontextmanager
async def stopping(peer):
    try:
        yield peer
    finally:
        await asyncio.to_thread(peer.stop)


async def test_sipp_calls_over_tcp(tmp_path):
    async with exchange(tcp=True) as ours:
        steps = scenario(invited(), pause(0.5), bye(2))
        run = sipp(steps, ours.port, tmp_path, *"-t t1 -m 5 -l 5 -r 20".split())
        taken = [await ours.next() for _ in range(5)]
        await finished(run)
        await asyncio.gather(*(within(one.over.wait()) for one in taken))
        assert {one.call.peer.protocol for one in taken} == {"TCP"}


async def test_we_hang_up_over_tcp_and_baresip_over_tls(tmp_path, certificate):
    async with exchange(**secured(certificate)) as ours:
        peer = await asyncio.to_thread(Baresip, tmp_path / "b", None, tls=certificate)
        async with stopping(peer):
            peer.command("dial", f"sip:duplex@127.0.0.1:{ours.port};transport=tcp")
            taken = await ours.next()
            await within(taken.talking.wait())
            await taken.hum(0.3)
            await taken.call.hang_up()
            await asyncio.to_thread(peer.event, "CALL_CLOSED")
            peer.command("dial", f"sip:duplex@127.0.0.1:{ours.agent.tls_port};transport=tls")
            secure = await ours.next()
            await within(secure.talking.wait())
            await secure.hum(0.3)
            assert secure.call.peer.protocol == "TLS" and secure.audio
            peer.command("hangup")
            await within(secure.over.wait())


async def test_we_call_over_tls_and_believe_only_our_authority(certificate):
    async with exchange(**secured(certificate)) as other, exchange(**secured(certificate)) as ours:
        uri = f"sip:anna@127.0.0.1:{other.agent.tls_port};transport=tls"
        taken = Taken(await within(ours.agent.invite(uri)))
        far = await other.next()
        await within(far.talking.wait())
        await taken.hum(0.2)
        await far.call.hang_up()
        await within(taken.over.wait())
        stranger = await UserAgent.open("127.0.0.1", 0, lambda call: None)
        try:
            with pytest.raises(RetryError, match=r"sip\.authority"):
                await within(stranger.invite(uri))
        finally:
            await stranger.close()


async def test_linphone_calls_over_tcp_and_is_held_and_let_go(tmp_path):
    async with (
        exchange(tcp=True) as ours,
        stopping(await asyncio.to_thread(Linphone, tmp_path / "l")) as peer,
    ):
        peer.say(f"call sip:duplex@127.0.0.1:{ours.port};transport=tcp")
        taken = await ours.next()
        await within(taken.talking.wait())
        assert taken.call.peer.protocol == "TCP"
        await asyncio.to_thread(peer.until, "Media streams established")
        await taken.hum(0.3)
        await within(taken.call.hold())
        await within(taken.call.resume())
        await taken.call.hang_up()
        await asyncio.to_thread(peer.until, "ended")


async def test_a_connection_that_talks_nonsense_is_closed():
    async with exchange(tcp=True) as ours:
        reader, writer = await asyncio.open_connection("127.0.0.1", ours.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await within(reader.read()) == b""
        writer.close()


def test_a_certificate_that_cannot_be_read_says_which(tmp_path):
    missing = SipSettings.model_validate({"certificate": tmp_path / "none.pem"})
    with pytest.raises(SettingsError, match=r"sip\.certificate"):
        presented(missing, PhoneSettings())


@pytest.mark.parametrize("they_call", [True, False], ids=["baresip calls", "we call"])
async def test_audio_is_encrypted_with_baresip(tmp_path, they_call):
    account = "audio_codecs=PCMU;mediaenc=srtp-mand"
    async with exchange(encrypts=not they_call) as ours:
        peer = await asyncio.to_thread(
            Baresip, tmp_path / "b", None, auto_answer=True, modules="srtp", account=account
        )
        async with stopping(peer):
            if they_call:
                peer.command("dial", f"sip:duplex@127.0.0.1:{ours.port}")
                taken = await ours.next()
                await within(taken.talking.wait())
            else:
                uri = f"sip:tester@127.0.0.1:{peer.port}"
                taken = Taken(await within(ours.agent.invite(uri)))
            await taken.hum(1.0, 600.0)
            assert taken.call.agreement.crypto and taken.call.audio.media._srtp
            await within(taken.call.press("1"))
            await asyncio.to_thread(peer.event, "CALL_DTMF_START")
            # The peer hums at 300 Hz: decrypted, it is a tone and no noise.
            assert loudest(np.concatenate(taken.audio), 300) > 5000
            await taken.call.hang_up()
            await asyncio.to_thread(peer.event, "CALL_CLOSED")
        recorded, _ = soundfile.read(peer.recording(), dtype="int16")
        assert loudest(recorded, 600) > 3000


async def test_who_must_encrypt_takes_no_plain_call():
    async with exchange(encrypts=True) as ours, exchange() as other:
        with pytest.raises(CallRefusedError, match="488"):
            await within(other.agent.invite(f"sip:x@127.0.0.1:{ours.port}"))
        taken = Taken(await within(ours.agent.invite(f"sip:x@127.0.0.1:{other.port}")))
        assert taken.call.agreement.crypto, "who can decrypt does so when it is asked to"
        await taken.call.hold()
        await taken.call.resume()
        assert taken.call.agreement.crypto
        await taken.call.hang_up()
