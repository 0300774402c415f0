from agent.transports.sip import digest
from tests.core.sip.limits import cases
from tests.core.sip.mangling import mangled_text

# RFC 2617 3.5, with the client nonce given there.
RFC_2617 = (
    'Digest realm="testrealm@host.com", qop="auth,auth-int", '
    'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
# RFC 7616 3.9.1.
RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


def proof(challenge, **given):
    return digest.answer(digest.parse(challenge), method="GET", **given)


def test_the_example_of_rfc_2617():
    written = proof(
        RFC_2617,
        user="Mufasa",
        password="Circle Of Life",
        uri="/dir/index.html",
        cnonce="0a4f113b",
    )
    assert 'response="6629fae49393a05397450978507c4ef1"' in written
    assert 'opaque="5ccc069c403ebaf9f0171e9517f40e41"' in written


def test_the_example_of_rfc_7616():
    written = proof(
        RFC_7616,
        user="Mufasa",
        password="Circle of Life",
        uri="/dir/index.html",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" in written


def test_the_stronger_challenge_is_answered():
    assert digest.best([RFC_2617, RFC_7616, "Basic x"]).algorithm == "sha-256"
    assert digest.best(["Basic x", 'Digest realm="x"', 'Digest nonce="a", algorithm=X']) is None


@cases(mangled_text(RFC_2617, RFC_7616))
def test_any_header_is_a_challenge_or_none(header):
    challenge = digest.parse(header)
    if challenge is not None:
        digest.answer(challenge, user="a", password="b", method="BYE", uri="sip:c", cnonce="d")
