"""Certificates for this machine, made anew for each test that needs one."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import pytest


def certificate(folder: Path) -> Path:
    """Write one and its key into a file of `folder`; it is its own authority, valid for a day."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "duplex")])
    here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(here), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    kind, open_ = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = folder / "duplex.pem"
    path.write_bytes(key.private_bytes(pem, kind, open_) + made.public_bytes(pem))
    return path
