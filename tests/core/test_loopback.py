import pytest

from agent.loopback import is_loopback


@pytest.mark.parametrize("host", ["127.1.2.3", "::1", "[::1]", "LOCALHOST", "a.localhost"])
def test_names_of_this_machine(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "::", "", "localhost.example"])
def test_names_of_others(host):
    assert not is_loopback(host)
