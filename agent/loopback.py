"""Which addresses only this machine reaches. Pure."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
