import socket

import pytest

from agent.errors import SettingsError
from agent.listener import listening_on


def test_it_takes_connections_until_it_is_closed():
    with listening_on("127.0.0.1", 0, 1, "") as listener:
        address = listener.getsockname()
        assert listener.proto == socket.IPPROTO_TCP
        socket.create_connection(address, 5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 5)


def test_an_address_that_is_taken_names_the_remedy():
    with listening_on("127.0.0.1", 0, 1, "") as listener:
        port = listener.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}: .*; try another"):
            listening_on("127.0.0.1", port, 1, "try another")
