"""Signatures made by the providers' own libraries, and the same with something changed.

Vectors: twilio 9.13.0, plivo 4.63.0, PyNaCl 1.6.2 and PyJWT 2.15.1 from PyPI; Genesys' from the
tests of its AudioHook reference implementation.
"""

import pytest

from agent.transports.phone import signatures
from agent.transports.phone.webhooks import Request

NOW = 1_700_000_000.0

TWILIO_URL = "https://voice.example/phone/twilio/answer"
TWILIO_FORM = (
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675310"),
    ("Digits", "1234"),
    ("From", "+14158675310"),
    ("To", "+18005551212"),
)
TWILIO_SIGNATURE = "JfvR6Hr7iVVhcqBuj0sSWNjkLo0="
TWILIO_STREAM = "wss://voice.example/phone/twilio/stream/abc"
TWILIO_STREAM_SIGNATURE = "gAGeh2XN4haZMZXs1STW+aN/9qg="

PLIVO_URL = "https://voice.example/phone/plivo/answer"
PLIVO_FORM = (
    ("CallUUID", "97ceeb52-58b6-11e1-86da-77300b68f8bb"),
    ("From", "14158675310"),
    ("To", "18005551212"),
    ("Event", "StartApp"),
)
PLIVO_NONCE = "05429567804466091622"
PLIVO_SIGNATURE = "5Eq6R4s0idlHq8iVMt5NjbMOp7n6asqehyGUvGwaCmQ="
PLIVO_QUERY_SIGNATURE = "SXu9Qw7pxP8bw5KC3MbYgK3ljlD5yJSUo6mRcdoBErQ="

TELNYX_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
TELNYX_BODY = b"CallSid=v3%3Aabc&From=%2B1&To=%2B2"
TELNYX_SIGNATURE = (
    "hfc18gz2qv4jlWGRiCbVQQqXZcDoA4vSk1D1GWO90aYad8rTDiiWYri+2x5wLlALcNxYGqQnMS/GWUHXby+9Aw=="
)

VONAGE_SECRET = "not a real secret, only for tests"
VONAGE_BODY = (
    b'{"from":"442079460000","to":"447700900000","uuid":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab"}'
)
VONAGE_TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3MDAwMDAwMDAsImp0aSI6IngiLCJpc3MiOiJWb25hZ2Ui"
    "LCJwYXlsb2FkX2hhc2giOiI5ZTk0MWVjYjc1MWQ3YTBmNmMwN2Y3M2VkOTQ4M2YxZTQ4Yzk4NDdlOTk1NjhiZmI4ZGE3Z"
    "WQwOGZkNDQ4MWZlIiwiYXBpX2tleSI6ImExIn0.wh38AcyqIOleEncbm8F6vf64NW8pS2C944Qroi9bb4U"
)

GENESYS_KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"
GENESYS_SECRET = "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU="
GENESYS_NOW = 1641013202.0
GENESYS_HEADERS = {
    "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
    "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "x-api-key": GENESYS_KEY,
    "signature": "sig1=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:",
    "signature-input": (
        'sig1=("@request-target" "@authority" "audiohook-organization-id" "audiohook-session-id" '
        '"audiohook-correlation-id" "x-api-key");keyid="SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh";'
        'nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256";created=1641013200;expires=3282026430'
    ),
}


def flipped(text):
    """The text with each character in turn replaced by another."""
    for i, char in enumerate(text):
        yield text[:i] + ("A" if char != "A" else "B") + text[i + 1 :]


def test_twilios_own_signature_fits():
    assert signatures.twilio("12345", TWILIO_URL, TWILIO_FORM, TWILIO_SIGNATURE)
    assert signatures.twilio("12345", TWILIO_STREAM, (), TWILIO_STREAM_SIGNATURE)


def test_twilio_refuses_every_change():
    for bad in flipped(TWILIO_SIGNATURE):
        assert not signatures.twilio("12345", TWILIO_URL, TWILIO_FORM, bad)
    for url in (TWILIO_URL.replace("https", "http"), TWILIO_URL + "/", "wss" + TWILIO_URL[5:]):
        assert not signatures.twilio("12345", url, TWILIO_FORM, TWILIO_SIGNATURE)
    for form in (TWILIO_FORM[1:], (*TWILIO_FORM, ("x", "y"))):
        assert not signatures.twilio("12345", TWILIO_URL, form, TWILIO_SIGNATURE)
    assert not signatures.twilio("12346", TWILIO_URL, TWILIO_FORM, TWILIO_SIGNATURE)
    assert not signatures.twilio("12345", TWILIO_URL, TWILIO_FORM, "")


def test_plivos_own_signature_fits():
    for url, signature in (
        (PLIVO_URL, PLIVO_SIGNATURE),
        (PLIVO_URL + "?x=1&a=b", PLIVO_QUERY_SIGNATURE),
        (PLIVO_URL, "other," + PLIVO_SIGNATURE),
    ):
        assert signatures.plivo("secret", url, PLIVO_FORM, PLIVO_NONCE, signature)


def test_plivo_refuses_every_change():
    for bad in flipped(PLIVO_SIGNATURE):
        assert not signatures.plivo("secret", PLIVO_URL, PLIVO_FORM, PLIVO_NONCE, bad)
    for nonce in flipped(PLIVO_NONCE):
        assert not signatures.plivo("secret", PLIVO_URL, PLIVO_FORM, nonce, PLIVO_SIGNATURE)
    assert not signatures.plivo("secret", PLIVO_URL, PLIVO_FORM, "", PLIVO_SIGNATURE)
    assert not signatures.plivo("other", PLIVO_URL, PLIVO_FORM, PLIVO_NONCE, PLIVO_SIGNATURE)


def telnyx(body=TELNYX_BODY, timestamp="1700000000", signature=TELNYX_SIGNATURE, now_s=NOW):
    return signatures.telnyx(TELNYX_KEY, body, timestamp, signature, now_s)


def test_telnyx_own_signature_fits_for_five_minutes():
    assert telnyx() and telnyx(now_s=NOW + 299)
    assert not telnyx(now_s=NOW + 301) and not telnyx(now_s=NOW - 60)


def test_telnyx_refuses_every_change():
    for bad in flipped(TELNYX_SIGNATURE.rstrip("=")):
        assert not telnyx(signature=bad + "==")
    for bad in ("", "!", "AAAA"):
        assert not telnyx(signature=bad)
    for stamp in ("", "x", "-1", "1700000001", "1" * 40, "١٧٠٠٠٠٠٠٠٠"):
        assert not telnyx(timestamp=stamp)
    assert not telnyx(body=TELNYX_BODY + b" ")
    assert not signatures.telnyx("no key", TELNYX_BODY, "1700000000", TELNYX_SIGNATURE, NOW)


def vonage(token=VONAGE_TOKEN, body=VONAGE_BODY, now_s=NOW, secret=VONAGE_SECRET):
    return signatures.vonage(secret, f"Bearer {token}", body, now_s)


def test_vonages_own_token_fits_for_five_minutes():
    assert vonage() and vonage(now_s=NOW + 299)
    assert not vonage(now_s=NOW + 301) and not vonage(now_s=NOW - 60)


def test_vonage_refuses_every_change():
    # The last character holds two bits of padding, so only what is before it must count.
    for bad in flipped(VONAGE_TOKEN):
        assert not vonage(token=bad)
    assert not vonage(body=VONAGE_BODY + b" ") and not vonage(secret="other")
    unsigned = "eyJhbGciOiJub25lIn0." + VONAGE_TOKEN.split(".")[1] + "."
    assert not vonage(token=unsigned)
    for bad in ("", ".", "..", "a.b.c", "é.é.é"):
        assert not vonage(token=bad)
    assert not signatures.vonage(VONAGE_SECRET, VONAGE_TOKEN, VONAGE_BODY, NOW)


def genesys(now_s=GENESYS_NOW, target="/api/v1/voicebiometrics/ws", authority=None, **changes):
    headers = {**GENESYS_HEADERS, **{name.replace("_", "-"): v for name, v in changes.items()}}
    return signatures.genesys(
        GENESYS_KEY, GENESYS_SECRET, target, headers, authority or "audiohook.example.com", now_s
    )


def test_genesys_own_signature_fits_for_ten_seconds():
    assert genesys() and genesys(now_s=1641013209.0)
    assert not genesys(now_s=1641013211.0) and not genesys(now_s=1641013190.0)


def test_genesys_refuses_every_change():
    for bad in flipped(GENESYS_HEADERS["signature"]):
        assert not genesys(signature=bad)
    for bad in flipped(GENESYS_HEADERS["signature-input"]):
        assert not genesys(signature_input=bad)
    for name in ("audiohook_session_id", "audiohook_organization_id", "x_api_key"):
        assert not genesys(**{name: "other"})
    assert not genesys(target="/other") and not genesys(authority="other.example")
    assert not genesys(signature="") and not genesys(signature_input="")


def test_genesys_must_sign_the_whole_request():
    partial = GENESYS_HEADERS["signature-input"].replace('"audiohook-session-id" ', "")
    assert not genesys(signature_input=partial)


def test_a_password_fits_or_not():
    assert signatures.basic("user", "pass", "Basic dXNlcjpwYXNz")
    for bad in ("", "Basic", "Basic dXNlcjpwYXNy", "Bearer dXNlcjpwYXNz", "dXNlcjpwYXNz"):
        assert not signatures.basic("user", "pass", bad)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"a", b"&&", b"=" * 1000])
def test_a_body_that_is_no_form_has_no_fields_worth_reading(body):
    request = Request("https://x.example/a", "x.example", "/a", "", {}, body)
    assert isinstance(request.form(), list)
