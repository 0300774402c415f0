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


@pytest.mark.parametrize(
    "wrong",
    [
        ("--port", "65536"),
        ("--port", "-1"),
        ("--deadline", "0"),
        ("--hang", "nan"),
        ("--grace", "inf"),
        ("--live-wait", "-1"),
        ("--file-wait", "long"),
        ("--max-sessions", "0"),
    ],
)
def test_a_number_that_cannot_be_is_told_before_anything_starts(wrong, capsys):
    with pytest.raises(SystemExit):
        options(*wrong)
    assert f"argument {wrong[0]}" in capsys.readouterr().err


def test_who_waits_for_nothing_may_say_so():
    given = settings_of(options("--grace", "0", "--live-wait", "0"), {})
    assert (given.grace_s, given.service.queue.live_wait_s) == (0, 0)
