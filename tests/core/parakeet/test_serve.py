"""What the recognition server's command line asks for."""

import argparse

import pytest

from agent.errors import SettingsError
from agent.parakeet.serve import add_options, settings_of


def options(*given):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(["--engine", "fake", "--no-guards", *given])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_on_this_machine_it_needs_no_key(host):
    assert settings_of(options("--host", host), {}).keys == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "asr.example", ""])
def test_it_serves_no_network_without_a_key_unless_told_to(host):
    with pytest.raises(SettingsError, match=r"DUPLEX_ASR_KEYS.*--open"):
        settings_of(options("--host", host), {})
    with_keys = settings_of(options("--host", host), {"DUPLEX_ASR_KEYS": "one,two"})
    assert with_keys.keys == ("one", "two")
    assert settings_of(options("--host", host, "--open"), {}).keys == ()
