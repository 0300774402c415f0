"""Conformance: each provider's stream carries a conversation through the whole pipeline.

The provider is played from its documentation, on virtual time; `test_phone_server.py` has the same
over real sockets, with real models.
"""

import asyncio
import json
import os
import random
from itertools import pairwise

import numpy as np
import pytest
from pytest import approx

from agent.eval.impairment import Impairment
from agent.llm.prompt import INTERRUPTED_NOTE
from agent.transports.phone.call import CallState
from tests.core.phone.calls import PhoneCall
from tests.core.phone.providers import (
    SIDES,
    Clear,
    GenesysSide,
    Keys,
    Mark,
    PlivoSide,
    Said,
    TelnyxSide,
    TwilioSide,
)

WORD_S = 0.4
KEYS = "0123456789*#"
TONES = ((697, 770, 852, 941), (1209, 1336, 1477))
LINE = "Saturn is the sixth planet from the sun and it has rings."

providers = pytest.mark.parametrize("side", SIDES, ids=lambda side: side.name)


@providers
def test_a_question_is_answered(side):
    call = PhoneCall(side())
    call.caller_says("what is the capital of France?", start_s=0.5, end_s=2.0)
    call.agent_says("Paris is the capital of France.")

    outcome = call.run(lasting_s=6.5)

    assert outcome.history == [
        {"role": "user", "content": "what is the capital of France?"},
        {"role": "assistant", "content": "Paris is the capital of France."},
    ]
    ((begins, ends),) = outcome.agent_speaks_at()
    assert 2.0 < begins < 3.2
    assert ends - begins == approx(6 * WORD_S, abs=0.03)
    assert outcome.transport.connection.malformed == 0

    # What the provider got: whole packets, as fast as they sound, never more ahead than its lead.
    stream, arrivals = outcome.transport.connection.stream, outcome.telephone.arrivals
    sizes = {size for _, size in arrivals}
    sample_bytes = 1 if outcome.transport.connection.started.encoding == "mulaw" else 2
    assert sizes == {round(stream.packet_s * side.rate) * sample_bytes}
    ahead = round(stream.lead_s / stream.packet_s)
    first = arrivals[0][0]
    # Behind the answer comes the silence with which the call ends.
    for number, (at, _) in enumerate(arrivals[: round(6 * WORD_S / stream.packet_s)]):
        if number >= ahead:
            due = first + (number - ahead + 1) * stream.packet_s
            assert at == approx(due, abs=0.0205 if stream.packet_s > 0.02 else 0.0105)
    if side.has_marks:
        assert len(outcome.telephone.of(Mark)) >= round(6 * WORD_S / 0.2)


@providers
def test_an_interrupted_answer_is_remembered_as_far_as_it_was_heard(side):
    call = PhoneCall(side(), network_s=0.08)
    call.caller_says("tell me about Saturn.", start_s=0.5, end_s=2.0)
    call.agent_says(LINE)
    call.caller_says("no, the car.", start_s=6.0, end_s=6.8)
    call.agent_says("Ah, the car.")

    outcome = call.run(lasting_s=11.0)

    assert len(outcome.telephone.of(Clear)) >= 1
    first, second = outcome.agent_speaks_at()
    # Silenced within 0.2 s of the first sound, and what the provider and the way to the ear held.
    assert first[1] - 6.0 <= 0.2 + outcome.transport.connection.stream.lead_s + 0.08
    heard = next(m["content"] for m in outcome.history if m["role"] == "assistant").split()
    assert heard and LINE.startswith(" ".join(heard))
    assert abs(len(heard) - (first[1] - first[0]) / WORD_S) <= 1
    assert {"role": "system", "content": INTERRUPTED_NOTE} in outcome.history
    assert second[0] > 6.8
    assert [m["content"] for m in outcome.history][-2:] == ["no, the car.", "Ah, the car."]


@pytest.mark.parametrize("network_s", [0.0, 0.05, 0.3])
def test_the_farewell_is_heard_to_its_end(network_s):
    count = int(os.environ.get("DUPLEX_PHONE_FAREWELLS", "4"))
    chance = random.Random(5)
    for number in range(count):
        side = SIDES[number % len(SIDES)]
        words = chance.randint(1, 8)
        line = " ".join(["goodbye"] * words)
        call = PhoneCall(side(), network_s=min(network_s, 0.1 if not side.has_marks else 1.0))
        call.greeting = line
        call.at(0.0, lambda call: call.hang_up())

        outcome = call.run(lasting_s=0.1, greet=True)

        ((begins, ends),) = outcome.agent_speaks_at()
        assert ends - begins == approx(words * WORD_S, abs=0.02)
        assert outcome.closed_at is not None and outcome.closed_at >= ends - 0.001
        assert outcome.transport.call.state is CallState.ENDED


def test_a_caller_who_hangs_up_ends_the_conversation():
    call = PhoneCall(TwilioSide())
    call.caller_says("tell me about Saturn.", start_s=0.5, end_s=2.0)
    call.agent_says(LINE)
    call.sends(3.5, TwilioSide().end()[0])

    outcome = call.run(lasting_s=4.0)

    assert outcome.transport.call.state is CallState.ENDED
    assert outcome.transport.call.over.is_set()


@providers
def test_every_key_arrives(side):
    provider, entries = side(), []
    call = PhoneCall(provider)

    async def ask(call):
        entries.append(await call.collect_digits(12, finish="", timeout_s=3.0))

    call.at(0.3, ask)
    for number, key in enumerate(KEYS):
        call.sends(0.5 + number * 0.1, provider.key(key))
    call.run(lasting_s=2.5)
    assert entries[0].digits == KEYS


@providers
def test_every_key_is_pressed(side):
    call = PhoneCall(side())
    call.at(0.2, lambda call: call.send_dtmf(KEYS))

    # A key and its pause take up to 0.8 s by tones.
    outcome = call.run(lasting_s=11.0)

    by_message = "".join(keys.digits for keys in outcome.telephone.of(Keys))
    assert (by_message or sounded(outcome.track, side.rate)) == KEYS


def sounded(track, rate):
    """Keys by their tones (ITU-T Q.23), each stretch of one key once."""
    size, found = rate // 50, [""]
    for at in range(0, len(track) - size, size):
        spectrum = np.abs(np.fft.rfft(track[at : at + size] * np.hanning(size), 8 * size))
        if np.abs(track[at : at + size]).max() < 1000:
            found.append("")
            continue
        low, high = (
            min(tones, key=lambda hz: -spectrum[round(hz * 8 * size / rate)]) for tones in TONES
        )
        found.append("123456789*0#"[TONES[0].index(low) * 3 + TONES[1].index(high)])
    return "".join(after for before, after in pairwise(found) if after != before)


def test_keys_are_collected_and_seen_by_nobody_else():
    entries = []
    side = TwilioSide()
    call = PhoneCall(side)

    async def ask(call):
        entries.append(await call.collect_digits(16, timeout_s=3.0))

    call.at(0.3, ask)
    for number, digit in enumerate("4111111111111111"):
        call.sends(0.5 + number * 0.1, side.key(digit))

    outcome = call.run(lasting_s=3.0)

    assert entries[0].digits == "4111111111111111"
    assert "4111" not in repr(entries[0]) and outcome.history == []


def test_plivo_presses_keys_by_message_and_twilio_by_sound():
    for side, pressed in ((PlivoSide(), [Keys("12#")]), (TwilioSide(), [])):
        call = PhoneCall(side)
        call.at(0.2, lambda call: call.send_dtmf("12#"))

        outcome = call.run(lasting_s=2.0)

        assert outcome.telephone.of(Keys) == pressed
        assert (outcome.agent_speaks_at() == []) == bool(pressed)


def test_genesys_is_told_where_the_call_goes():
    call = PhoneCall(GenesysSide(), transfer_to=frozenset({"+4930111"}))

    async def hand_over(call):
        await call.transfer("+4930111")
        await call.hang_up()

    call.at(0.3, hand_over)

    outcome = call.run(lasting_s=1.0)

    said = [event.message for event in outcome.telephone.of(Said)]
    assert [message["type"] for message in said] == ["opened", "disconnect", "closed"]
    variables = said[1]["parameters"]["outputVariables"]
    assert variables == {"action": "transfer", "transfer_to": "+4930111"}


def test_a_stream_out_of_order_is_put_in_order():
    def shuffle(packets):
        """Swap every tenth packet with the one behind it, and double every fifteenth."""
        packets = list(packets)
        for i in range(5, len(packets) - 1, 10):
            packets[i], packets[i + 1] = packets[i + 1], packets[i]
        return packets

    call = PhoneCall(TelnyxSide(), disturb=shuffle)
    call.caller_says("what is the capital of France?", start_s=0.5, end_s=2.0)
    call.agent_says("Paris.")

    outcome = call.run(lasting_s=4.0)

    assert [m["content"] for m in outcome.history] == ["what is the capital of France?", "Paris."]
    inbound = outcome.transport.connection.inbound
    assert inbound.stats.lost == 0 and inbound.stats.longest_hold >= 1


def test_a_bad_network_is_borne():
    """A tenth of the packets lost, 60 ms of jitter, some doubled."""
    network = Impairment(loss=0.1, jitter_s=0.06, double=0.03, seed=3)
    call = PhoneCall(
        TelnyxSide(),
        disturb=lambda packets: [packet for _, _, packet in network.arrivals(packets)],
    )
    call.caller_says("what is the capital of France?", start_s=0.5, end_s=2.0)
    call.agent_says("Paris.")

    outcome = call.run(lasting_s=5.0)

    assert outcome.history[-1]["content"] == "Paris."
    inbound = outcome.transport.connection.inbound
    assert inbound.stats.lost > 5 and inbound.stats.late + inbound.stats.duplicate > 0


@providers
def test_nonsense_is_counted_and_survived(side):
    nonsense = [
        "",
        "{",
        "null",
        "[]",
        "1",
        "[" * 100_000,
        "x" * 70_000,
        '{"event": "media"}',
        '{"event": "media", "media": null}',
        '{"event": "media", "media": {"payload": 1}}',
        '{"event": "media", "media": {"payload": "!!!"}}',
        '{"event": "dtmf", "dtmf": {"digit": {}}}',
        '{"event": "start", "start": []}',
        '{"type": "open", "parameters": {"media": [1]}}',
        '{"type": "ping", "parameters": 1, "seq": "x"}',
    ]
    call = PhoneCall(side())
    for number, data in enumerate(nonsense):
        call.sends(0.1 + number * 0.02, data)
    call.caller_says("are you there?", start_s=0.5, end_s=1.5)
    call.agent_says("Yes.")

    outcome = call.run(lasting_s=4.0)

    assert [m["content"] for m in outcome.history] == ["are you there?", "Yes."]
    assert outcome.transport.connection.malformed >= 7


def test_a_caller_whose_packets_stop_is_taken_as_silent():
    def stall(packets):
        return packets[:100] + [json.dumps({"event": "later"})] * (len(packets) - 100)

    call = PhoneCall(TwilioSide(), disturb=stall)
    call.caller_says("what is the capital of France?", start_s=0.5, end_s=2.0)
    call.agent_says("Paris.")

    outcome = call.run(lasting_s=5.0)

    assert [m["content"] for m in outcome.history] == ["what is the capital of France?", "Paris."]


async def test_a_peer_that_never_starts_is_let_go():
    from agent.transports.phone.opening import NeverStartedError, opened
    from agent.transports.phone.providers.twilio import TwilioStream

    class Silent:
        def __init__(self, messages):
            self._messages = iter(messages)

        async def receive(self):
            return next(self._messages)

        async def send(self, data):
            return True

        async def close(self):
            pass

    for messages in ([None], ["{"] * 16, [json.dumps({"event": "media"})] * 16):
        with pytest.raises(NeverStartedError):
            async with asyncio.timeout(5):
                await opened(Silent(messages), TwilioStream())
