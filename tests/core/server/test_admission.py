import pytest
from starlette.requests import HTTPConnection

from agent.errors import SettingsError
from agent.server.admission import (
    Admission,
    AtCapacityError,
    RefusedError,
    require_keys,
)
from agent.server.pressure import Worked
from agent.server.rates import Rates
from agent.settings import ServerSettings

KEY = "k" * 24
OTHER = "another-key-of-24-signs."


class Clock:
    def __init__(self):
        self.s = 0.0

    def __call__(self):
        return self.s


def asking(address="192.0.2.1", query="", **headers):
    named = {"host": "127.0.0.1:7860"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return HTTPConnection(
        {
            "type": "websocket",
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
            "query_string": query.encode(),
            "client": (address, 5),
            "path": "/",
        }
    )


def admission(clock=None, **settings):
    return Admission(ServerSettings(**settings), now=clock or Clock())


def bearer(key):
    return {"authorization": f"Bearer {key}"}


def refused(gate, connection):
    with pytest.raises(RefusedError) as refusal:
        gate.enter(connection)
    return refusal.value


def test_without_keys_a_program_on_this_machine_may_talk():
    with admission().enter(asking()):
        pass


@pytest.mark.parametrize(
    "brought",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {OTHER}"},
        {"sec_websocket_protocol": f"realtime, openai-insecure-api-key.{KEY}"},
    ],
)
def test_a_key_lets_in_however_it_is_brought(brought):
    admission(keys=f"{KEY}, {OTHER}").enter(asking(**brought))


@pytest.mark.parametrize(
    "connection",
    [
        asking(),
        asking(authorization="Bearer "),
        asking(authorization=f"Bearer {KEY}x"),
        asking(authorization=f"Basic {KEY}"),
        asking(query=f"key={KEY}"),
        # In an address it would end in logs.
        asking(query=f"token={KEY}"),
        asking(query="token=\u00e9"),
        asking(sec_websocket_protocol=KEY),
    ],
)
def test_nothing_else_does(connection):
    assert refused(admission(keys=KEY), connection).status == 401


def test_a_token_opens_one_conversation_for_a_while():
    clock = Clock()
    gate = admission(clock, keys=KEY, token_s=60)
    token = gate.issue()
    gate.enter(asking(query=f"token={token}"))
    assert refused(gate, asking(query=f"token={token}")).status == 401

    token = gate.issue()
    clock.s = 61
    assert refused(gate, asking(query=f"token={token}")).status == 401


def test_a_token_is_not_used_up_while_all_lines_are_busy():
    gate = admission(keys=KEY, max_sessions=1)
    place, token = gate.take(), gate.issue()
    assert refused(gate, asking(**bearer(token))).status == 503
    place.release()
    gate.enter(asking(**bearer(token)))


@pytest.mark.parametrize(
    ("origin", "host", "may"),
    [
        ("http://127.0.0.1:7860", "127.0.0.1:7860", True),
        ("http://localhost:7860", "localhost:7860", True),
        ("https://shop.example", "127.0.0.1:7860", True),
        ("https://[::1]", "[::1]:443", True),
        ("http://elsewhere.example", "127.0.0.1:7860", False),
        ("https://shop.example.evil", "127.0.0.1:7860", False),
        ("null", "127.0.0.1:7860", False),
        ("http://[", "127.0.0.1:7860", False),
        # DNS rebinding: a stranger's name that points here.
        ("http://evil.example:7860", "evil.example:7860", False),
    ],
)
def test_only_our_own_page_and_those_named_may_talk(origin, host, may):
    gate = admission(origins="https://shop.example")
    if may:
        gate.enter(asking(origin=origin, host=host))
    else:
        assert refused(gate, asking(origin=origin, host=host)).status == 403


def test_with_a_key_the_server_may_have_any_name():
    admission(keys=KEY).enter(
        asking(origin="https://voice.example", host="voice.example:443", **bearer(KEY))
    )


def test_all_places_and_those_of_one_address():
    gate = admission(max_sessions=3, max_per_address=2)
    places = [gate.enter(asking("a")) for _ in range(2)]
    assert "max_per_address" in str(refused(gate, asking("a")))
    places.append(gate.enter(asking("b")))
    refusal = refused(gate, asking("c"))
    assert refusal.status == 503
    # Drawn, so that who was turned away together does not come back together.
    assert 5 <= refusal.retry_after_s <= 15
    assert refused(gate, asking("c")).retry_after_s != refusal.retry_after_s
    for place in places:
        place.release()
        place.release()
    assert [gate.enter(asking("a")) for _ in range(2)]


def test_open_to_the_network_one_address_cannot_have_all():
    gate = admission(host="0.0.0.0", keys=KEY, max_sessions=3)
    for _ in range(2):
        gate.enter(asking("a", **bearer(KEY)))
    refused(gate, asking("a", **bearer(KEY)))
    gate.enter(asking("b", **bearer(KEY)))


def test_a_telephones_provider_counts_against_all_places_only():
    gate = admission(max_sessions=2, max_per_address=1)
    gate.take()
    gate.take()
    with pytest.raises(AtCapacityError, match="busy"):
        gate.take()


def test_who_tries_too_often_is_told_when_to_come_back():
    clock = Clock()
    gate = admission(clock, keys=KEY, starts_per_minute=2)
    for _ in range(2):
        assert refused(gate, asking(**bearer("wrong"))).status == 401
    refusal = refused(gate, asking(**bearer(KEY)))
    assert (refusal.status, refusal.retry_after_s) == (429, 30)
    clock.s = 30
    gate.enter(asking(**bearer(KEY)))


def test_a_server_that_shuts_down_takes_nobody():
    gate = admission()
    gate.close()
    assert refused(gate, asking()).status == 503


def test_who_cannot_be_reached_from_outside_needs_no_key():
    for host in ("127.0.0.1", "::1", "localhost"):
        require_keys(ServerSettings(host=host))
    require_keys(ServerSettings(host="0.0.0.0", keys=KEY))
    for host in ("0.0.0.0", "::", "192.0.2.1", "voice.example", ""):
        with pytest.raises(SettingsError, match="DUPLEX_SERVER__KEYS"):
            require_keys(ServerSettings(host=host))


@pytest.mark.parametrize("wrong", [{"keys": "short"}, {"certificate": "a.pem"}])
def test_settings_that_would_not_protect_are_refused(wrong):
    with pytest.raises(ValueError, match=r"16 characters|both"):
        ServerSettings(**wrong)


def test_a_bucket_refills_with_time_and_is_forgotten_with_many_others():
    rates = Rates(per_s=1.0, burst=2.0)
    assert [rates.wait_s("a", 0.0) for _ in range(3)] == [0.0, 0.0, 1.0]
    assert rates.wait_s("b", 0.0) == 0.0
    assert rates.wait_s("a", 1.0) == 0.0
    assert rates.wait_s("a", 1.5) == 0.5
    for i in range(5000):
        rates.wait_s(f"x{i}", 2.0)
    assert len(rates._buckets) == 4096


def test_the_machine_itself_says_how_many():
    clock = Clock()
    gate = Admission(ServerSettings(max_sessions="auto"), now=clock, work=lambda: Worked(0.0, 0.0))
    places = [gate.enter(asking()) for _ in range(2)]
    assert refused(gate, asking()).status == 503 and gate.limit == 2
    # They speak, nothing is late, and after a while it is known what they cost.
    for _ in range(400):
        clock.s += 0.02
        gate.packet_left(0.001)
    places.append(gate.enter(asking()))
    for _ in range(200):
        clock.s += 0.02
        gate.packet_left(0.05)
    assert refused(gate, asking()).status == 503
    places.pop().release()
    assert gate.limit == 2
