"""The native protocol against a real server: offsets, resume, bad input, slots."""

import asyncio
import struct
import zlib

import numpy as np

from agent.parakeet.fake import transcript_of
from tests.parakeet.client import NativeClient
from tests.parakeet.server import tone


async def test_an_utterance_has_partials_and_one_final(plain):
    pcm = tone(2.6, seed=20)
    client = await NativeClient.open(plain.ws_url, language="en")
    assert client.welcome["resumed"] is False
    assert client.welcome["partials"] is True
    await client.audio(1, pcm)
    final = await client.final(1, pcm)
    expected = transcript_of(pcm)
    assert final["text"] == expected.text
    assert final["samples"] == len(pcm)
    assert final["crc32"] == zlib.crc32(pcm.tobytes())
    assert [word["start_sample"] for word in final["words"]] == [
        word.start_sample for word in expected.words
    ]
    partials = client.kinds("partial")
    assert [partial["revision"] for partial in partials] == list(range(1, len(partials) + 1))
    assert all(expected.text.startswith(partial["text"]) for partial in partials)
    assert client.kinds("ack")[-1]["sample"] == len(pcm)
    await client.close()


async def test_a_model_that_hears_the_end_tells_it(plain):
    pcm = np.concatenate([tone(1, seed=21), np.zeros(16_000, np.int16)])
    client = await NativeClient.open(plain.ws_url)
    await client.audio(1, pcm)
    endpoint = await client.until("endpoint")
    assert endpoint["kind"] == "eou"
    assert 16_000 < endpoint["sample"] <= len(pcm)
    # Nothing else happens: the utterance goes on.
    more = np.concatenate([pcm, tone(1, seed=22)])
    await client.audio(1, more[len(pcm) :], start=len(pcm))
    assert (await client.final(1, more))["text"] == transcript_of(more).text
    await client.close()


async def test_a_gap_is_refused_and_filled(plain):
    pcm = tone(2, seed=23)
    client = await NativeClient.open(plain.ws_url, partials=False)
    await client.audio(1, pcm[:8000])
    await client.audio(1, pcm[16_000:], start=16_000, step=16_000)
    refused = await client.until("error")
    assert (refused["code"], refused["fatal"], refused["expected_sample"]) == ("gap", False, 8000)
    await client.say(type="finalize", utterance=1, samples=len(pcm))
    assert (await client.until("error"))["code"] == "gap"
    # From before the gap: what the server has is skipped.
    await client.audio(1, pcm[4000:], start=4000)
    assert (await client.final(1, pcm))["text"] == transcript_of(pcm).text
    await client.close()


async def test_a_broken_connection_goes_on_where_it_was(plain):
    pcm = tone(3, seed=24)
    first = await NativeClient.open(plain.ws_url)
    await first.audio(1, pcm[:24_000])
    acked = (await first.until("ack"))["sample"]
    first.drop()

    second = await NativeClient.open(plain.ws_url, token=first.welcome["token"])
    assert second.welcome["resumed"] is True
    (standing,) = second.welcome["utterances"]
    assert (standing["utterance"], standing["state"]) == (1, "open")
    assert acked <= standing["sample"] <= 24_000
    await second.audio(1, pcm[standing["sample"] :], start=standing["sample"])
    final = await second.final(1, pcm)
    assert final["crc32"] == zlib.crc32(pcm.tobytes())
    assert final["text"] == transcript_of(pcm).text
    await second.close()


async def test_a_final_that_was_not_received_is_sent_again(plain):
    pcm = tone(1, seed=25)
    first = await NativeClient.open(plain.ws_url)
    await first.audio(1, pcm)
    await first.say(type="finalize", utterance=1, samples=len(pcm))
    answer = await first.until("final")
    first.drop()

    second = await NativeClient.open(plain.ws_url, token=first.welcome["token"])
    assert second.welcome["utterances"][0]["state"] == "final"
    assert await second.until("final") == answer
    await second.say(type="received", utterance=1)
    second.drop()

    third = await NativeClient.open(plain.ws_url, token=first.welcome["token"])
    assert third.welcome["utterances"] == []
    await third.close()


async def test_the_newer_connection_wins(plain):
    first = await NativeClient.open(plain.ws_url)
    second = await NativeClient.open(plain.ws_url, token=first.welcome["token"])
    assert await first.closed() == 4409
    await second.say(type="ping", id=5)
    assert (await second.until("pong"))["id"] == 5
    await second.close()


async def test_an_unknown_token_begins_anew(plain):
    client = await NativeClient.open(plain.ws_url, token="lost with its server")
    assert client.welcome["resumed"] is False
    await client.say(type="finalize", utterance=3, samples=100)
    assert (await client.until("error"))["code"] == "unknown_utterance"
    await client.close()


async def test_nonsense_is_counted_and_survived(plain):
    client = await NativeClient.open(plain.ws_url)
    before = plain.metric('parakeet_bad_messages_total{route="stream"}')
    nonsense = ("{", "[1]", '{"type": 5}', '{"type": "finalize"}', b"", b"abc", bytes(17))
    for message in nonsense:
        await client.raw(message)
        assert (await client.until("error"))["code"] == "bad_message"
    assert plain.metric('parakeet_bad_messages_total{route="stream"}') == before + len(nonsense)
    await client.say(type="something", of="a later version")
    pcm = tone(0.5, seed=26)
    await client.audio(9, pcm)
    assert (await client.final(9, pcm))["text"] == transcript_of(pcm).text
    await client.close()


async def test_too_much_nonsense_ends_the_connection(plain):
    client = await NativeClient.open(plain.ws_url)
    for _ in range(100):
        await client.raw(struct.pack("<I", 1))
    assert await client.closed() == 1008


async def test_an_utterance_without_end_is_refused(plain):
    client = await NativeClient.open(plain.ws_url, partials=False)
    await client.audio(1, tone(61, seed=27), step=160_000)
    refused = await client.until("error")
    assert (refused["code"], refused["fatal"], refused["retryable"]) == ("too_long", True, False)
    pcm = tone(1, seed=28)
    await client.audio(2, pcm)
    assert (await client.final(2, pcm))["text"] == transcript_of(pcm).text
    await client.close()


async def test_many_streams_hear_what_each_hears_alone(plain):
    clips = [tone(1 + number / 8, seed=30 + number) for number in range(16)]

    async def one(pcm):
        client = await NativeClient.open(plain.ws_url)
        await client.audio(1, pcm, step=2560)
        await client.until("partial")
        final = await client.final(1, pcm)
        partials = client.kinds("partial")
        await client.close()
        return final["text"], [partial["text"] for partial in partials]

    answers = await asyncio.gather(*map(one, clips))
    for pcm, (text, partials) in zip(clips, answers, strict=True):
        expected = transcript_of(pcm).text
        assert text == expected
        assert partials
        assert all(expected.startswith(partial) for partial in partials)


async def test_slots_are_free_after_a_thousand_aborted_utterances(plain):
    plain.wait_metric("parakeet_streams_active", 0)
    free = plain.metric("parakeet_slots_free")
    assert free == 16
    client = await NativeClient.open(plain.ws_url)
    chunk = tone(0.3, seed=60)
    for number in range(1, 901):
        await client.audio(number, chunk, step=4800)
        await client.say(type="abort", utterance=number)
    await client.say(type="ping")
    await client.until("pong")
    await client.close()
    # And those whose client just goes.
    gone = [await NativeClient.open(plain.ws_url) for _ in range(10)]
    for client in gone:
        for number in range(1, 11):
            await client.audio(number, chunk)
            if number < 10:
                await client.say(type="abort", utterance=number)
        client.drop()
    client = await NativeClient.open(plain.ws_url)
    pcm = tone(1, seed=61)
    await client.audio(1, pcm)
    assert (await client.final(1, pcm))["text"] == transcript_of(pcm).text
    await client.close()
    assert plain.metric("parakeet_slots_free") >= free - 10


async def test_without_a_slot_there_is_a_final_all_the_same(plain):
    client = await NativeClient.open(plain.ws_url)
    clips = {number: tone(0.6, seed=70 + number) for number in range(1, 21)}
    for number, pcm in clips.items():
        await client.audio(number, pcm)
    for number, pcm in clips.items():
        assert (await client.final(number, pcm))["text"] == transcript_of(pcm).text
    await client.close()
