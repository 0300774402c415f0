import pytest

from agent.transports.sip.addresses import Hop
from agent.transports.sip.dialog import response_to
from agent.transports.sip.message import MalformedError, Request, parse
from agent.transports.sip.transactions import GIVE_UP_S, GivenUp, TransactionLayer
from tests.core.sip.limits import cases
from tests.core.sip.mangling import CHANCES

EVENTS = ["INVITE", "ACK", "BYE", "CANCEL", "ask INVITE", "ask BYE", "200", "486", "180", "tick"]
SOURCE = Hop("10.0.0.9", 6000)


def request(method="INVITE", branch="z9hG4bK1", cseq_method=None, rport=""):
    text = (
        f"{method} sip:bot@host SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 10.0.0.1:5070;branch={branch}{rport}\r\n"
        f"From: <sip:j@10.0.0.1>;tag=a\r\nTo: <sip:bot@host>\r\nCall-ID: 1\r\n"
        f"CSeq: 7 {cseq_method or method}\r\n\r\n"
    )
    message = parse(text.encode())
    assert isinstance(message, Request)
    return message


def sent(layer):
    taken, layer.outgoing = layer.outgoing, []
    return [(data.split(b"\r\n")[0].decode(), to) for data, to in taken]


def test_a_repeated_request_is_seen_once_and_answered_twice():
    layer = TransactionLayer()
    asked = layer.receive_request(request("BYE"), SOURCE, 0.0)
    layer.respond(asked.key, response_to(asked.request, 200, "OK"), 0.0)
    assert layer.receive_request(request("BYE"), SOURCE, 0.4) is None
    # Without rport the answer goes to the port that the Via names (RFC 3261 18.2.2).
    assert sent(layer) == [("SIP/2.0 200 OK", Hop("10.0.0.9", 5070))] * 2


def test_with_rport_the_answer_goes_where_the_request_came_from():
    layer = TransactionLayer()
    asked = layer.receive_request(request("BYE", rport=";rport"), SOURCE, 0.0)
    response = response_to(asked.request, 200, "OK")
    layer.respond(asked.key, response, 0.0)
    assert sent(layer) == [("SIP/2.0 200 OK", SOURCE)]
    assert ";received=10.0.0.9" in response.headers.all("Via")[0]
    assert ";rport=6000" in response.headers.all("Via")[0]


def test_a_refusal_is_repeated_until_acknowledged():
    layer = TransactionLayer()
    asked = layer.receive_request(request(), SOURCE, 0.0)
    layer.respond(asked.key, response_to(asked.request, 486, "Busy Here"), 0.0)
    for now in (0.5, 1.0, 1.5):
        assert layer.tick(now) == []
    assert len(sent(layer)) == 3  # at 0, 0.5 and 1.5 s
    assert layer.receive_request(request("ACK"), SOURCE, 1.6) is None
    layer.tick(10.0)
    assert sent(layer) == [] and layer.tick(GIVE_UP_S + 1) == []


def test_a_200_that_nobody_acknowledges_is_given_up():
    layer = TransactionLayer()
    asked = layer.receive_request(request(), SOURCE, 0.0)
    layer.respond(asked.key, response_to(asked.request, 200, "OK"), 0.0)
    lost = [event for now in range(1, 40) for event in layer.tick(float(now))]
    assert lost == [GivenUp(asked.key)]
    assert 8 <= len(sent(layer)) <= 12


def test_the_ack_of_a_200_is_a_request_of_its_own():
    layer = TransactionLayer()
    asked = layer.receive_request(request(), SOURCE, 0.0)
    layer.respond(asked.key, response_to(asked.request, 200, "OK"), 0.0)
    ack = layer.receive_request(request("ACK", branch="z9hG4bK2"), SOURCE, 0.1)
    assert ack is not None
    layer.settle(asked.key)
    sent(layer)
    assert [layer.tick(now / 2) for now in range(1, 80)] == [[]] * 79
    assert sent(layer) == []


def test_our_request_is_repeated_until_answered_and_then_given_up():
    layer = TransactionLayer()
    key = layer.request(request("BYE"), SOURCE, 0.0)
    lost = [event for tenth in range(330) for event in layer.tick(tenth / 10)]
    assert lost == [GivenUp(key)]
    assert len(sent(layer)) == 11  # RFC 3261 17.1.2.2: 0, 0.5, 1.5, 3.5, then every 4 s


def test_a_failure_is_acknowledged_each_time_and_told_once():
    layer = TransactionLayer()
    invite = request()
    layer.request(invite, SOURCE, 0.0)
    failure = response_to(invite, 486, "Busy Here", tag="b")
    answers = [layer.receive_response(failure, 0.1) for _ in range(3)]
    assert [answer is not None for answer in answers] == [True, False, False]
    assert [line for line, _ in sent(layer)].count("ACK sip:bot@host SIP/2.0") == 3


def test_a_request_that_contradicts_itself():
    with pytest.raises(MalformedError):
        TransactionLayer().receive_request(request("BYE", cseq_method="INFO"), SOURCE, 0.0)


@cases(CHANCES)
def test_any_order_of_events_is_survived(chance):
    layer, now = TransactionLayer(), 0.0
    lost, answered, asked_by_us = [], [], []
    for what in chance.choices(EVENTS, k=chance.randrange(24)):
        branch = chance.randrange(3)
        now += chance.choice([0.0, chance.uniform(0.0, 5.0), chance.uniform(0.0, 50.0)])
        if what == "tick":
            lost += layer.tick(now)
        elif what.startswith("ask"):
            ours = request(what.removeprefix("ask "), branch=f"ours{len(asked_by_us)}")
            asked_by_us.append((layer.request(ours, SOURCE, now), ours))
        elif what.isdigit():
            # To a request of ours if there is one, or to none.
            known = [ours for _, ours in asked_by_us] + [request(branch=f"z{branch}")]
            response = response_to(chance.choice(known), int(what), "x")
            if event := layer.receive_response(response, now):
                answered.append((event.key, event.response.status))
        else:
            asked = layer.receive_request(request(what, branch=f"z{branch}"), SOURCE, now)
            if asked and what != "ACK" and chance.randrange(4):
                layer.respond(asked.key, response_to(asked.request, 200, "OK"), now)
    while layer._servers or layer._clients:
        now += GIVE_UP_S
        lost += layer.tick(now)
    finals = [key for key, status in answered if status >= 200]
    given_up = [event.key for event in lost]
    for key, _ in asked_by_us:
        assert finals.count(key) + given_up.count(key) == 1, "answered twice, or never"
    assert {key for key, _ in answered} <= {key for key, _ in asked_by_us}
