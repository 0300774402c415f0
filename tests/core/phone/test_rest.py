"""Requests to a provider's interface, as a web server receives them."""

import base64
import json
from pathlib import Path

import pytest

from agent.errors import SettingsError
from agent.settings import PhoneSettings
from agent.transports.phone import rest as requests
from agent.transports.phone.call import CallFacts, Direction
from agent.transports.phone.rest import TransferError
from tests.core.phone.carriers import CARRIERS, Carrier, Vonage, new_key

TO = "+49555"
SIP = "sip:desk@pbx.example"


@pytest.fixture(scope="session")
def vonage_key(tmp_path_factory) -> str:
    pytest.importorskip("cryptography")
    return new_key(tmp_path_factory.mktemp("vonage") / "private.key")


@pytest.fixture(params=CARRIERS, ids=lambda carrier: carrier.side.name)
def carrier(request) -> Carrier:
    if request.param is Vonage:
        return Vonage(private_key=request.getfixturevalue("vonage_key"))
    return request.param()


def rest(carrier: Carrier, **instead):
    section = {"public_key": "x"} if carrier.side.name == "telnyx" else {}
    made = {
        "public_url": "https://voice.example",
        carrier.side.name: {**section, **carrier.settings(), **instead},
    }
    settings = PhoneSettings.model_validate(made)
    return requests.rest(settings, carrier.side.name, carrier.keep)


def facts(call_id, direction=Direction.INBOUND):
    return CallFacts(call_id, "x", "+491", "+492", direction)


async def test_a_call_is_connected_elsewhere_and_ended(carrier):
    async with carrier:
        ours = rest(carrier)
        for call_id, to in (("a/1", TO), ("a/2", SIP)):
            carrier.begin(call_id)
            await ours.transfer(facts(call_id), to)
            assert carrier.dialled(carrier.calls[call_id]).lstrip("+") == to.lstrip("+")
            await ours.hang_up(call_id)
            assert carrier.calls[call_id].state == carrier.over
        # Over already: no fault.
        await ours.hang_up("a/1")
        await ours.hang_up("nobody")
    assert all("a%2F1" in asked.path for asked in carrier.asked[:2]), "an id is no path"


async def test_somebody_is_called_and_looked_at(carrier):
    async with carrier:
        ours = rest(carrier)
        assert ours.can_call
        call_id = await ours.call(TO, "+492", "https://voice.example/called/1")
        (call,) = carrier.calls.values()
        assert call.id == call_id and call.url == "https://voice.example/called/1"
        assert (call.to.lstrip("+"), call.ours.lstrip("+")) == ("49555", "492")
        assert await ours.status(call_id) == "ringing"
        for state in (carrier.talking, carrier.unanswered, carrier.over):
            call.state = state
            assert await ours.status(call_id) == state
        assert await ours.status("nobody") == ""


async def test_two_calls_meet_in_a_room(carrier):
    async with carrier:
        ours = rest(carrier)
        for call_id in ("a", "b"):
            carrier.begin(call_id)
            await ours.meet(call_id, "duplex1234")
        assert {carrier.room(call) for call in carrier.calls.values()} == {"duplex1234"}
    assert not carrier.refused


async def test_a_refusal_leaves_the_call_and_says_so(carrier):
    async with carrier:
        carrier.begin("a")
        ours = rest(carrier)
        carrier.refusal = 422
        with pytest.raises(TransferError, match="transfer"):
            await ours.transfer(facts("a"), TO)
        with pytest.raises(TransferError, match="put the call through"):
            await ours.meet("a", "room")
        with pytest.raises(TransferError, match="did not call"):
            await ours.call(TO, "+492", "https://voice.example/called/1")
        assert await ours.status("a") == ""
        await ours.hang_up("a")
    assert carrier.calls["a"].document is None


async def test_an_unreachable_provider_is_no_crash(carrier):
    async with carrier:
        ours = rest(carrier, api_url="http://127.0.0.1:9")
        await ours.hang_up("a")
        with pytest.raises(TransferError):
            await ours.transfer(facts("a"), TO)


async def test_the_number_shown_is_ours_whoever_called(vonage_key):
    async with Vonage(private_key=vonage_key) as vonage:
        ours = rest(vonage)
        for call_id, direction in (("a", Direction.INBOUND), ("b", Direction.OUTBOUND)):
            vonage.begin(call_id)
            await ours.transfer(facts(call_id, direction), TO)
        shown = [vonage.calls[name].document[0]["from"] for name in "ab"]
    assert shown == ["492", "491"]


async def test_vonage_is_asked_by_the_application_itself(vonage_key):
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    async with Vonage(private_key=vonage_key) as vonage:
        await rest(vonage).hang_up("a")
    signed, _, proof = vonage.asked[0].headers["authorization"].split()[1].rpartition(".")
    padded = [part + "=" * (-len(part) % 4) for part in (*signed.split("."), proof)]
    head, claims, signature = map(base64.urlsafe_b64decode, padded)
    # Raises if it was not this key.
    public = load_pem_private_key(Path(vonage_key).read_bytes(), None).public_key()
    public.verify(signature, signed.encode(), PKCS1v15(), SHA256())
    assert json.loads(head)["alg"] == "RS256"
    claims = json.loads(claims)
    assert claims["application_id"] == "app-1" and claims["exp"] == claims["iat"] + 60


def test_a_key_of_vonages_that_is_none_is_told_at_the_start(tmp_path):
    pytest.importorskip("cryptography")
    (tmp_path / "wrong.key").write_text("no key")
    for name in ("missing.key", "wrong.key"):
        vonage = Vonage(private_key=str(tmp_path / name))
        vonage.url = "http://127.0.0.1:9"
        with pytest.raises(SettingsError, match="private_key"):
            rest(vonage)


def test_without_credentials_there_is_nothing_to_ask_with():
    sections = {
        "twilio": {"auth_token": "secret"},
        "telnyx": {"public_key": "x", "api_key": "KEY"},
        "plivo": {"auth_token": "secret"},
        "vonage": {"signature_secret": "secret"},
    }
    bare = PhoneSettings.model_validate({"public_url": "https://voice.example", **sections})
    assert not any(requests.rest(bare, name, str) for name in (*sections, "exotel", "genesys"))


def test_telnyx_calls_nobody_without_its_application():
    section = {"public_key": "x", "api_key": "KEY", "account_sid": "acc-1"}
    made = {"public_url": "https://voice.example", "telnyx": section}
    telnyx = requests.rest(PhoneSettings.model_validate(made), "telnyx", str)
    assert telnyx is not None and not telnyx.can_call


def test_a_provider_needs_a_public_address():
    with pytest.raises(ValueError, match="public_url"):
        PhoneSettings.model_validate({"twilio": {"auth_token": "secret"}})
