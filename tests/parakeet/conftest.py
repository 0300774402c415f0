"""Servers shared by the tests of this folder."""

import pytest

from tests.parakeet.server import AsrServer


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """With the speech guards, as users run it."""
    server = AsrServer("--set", "faults=true", folder=tmp_path_factory.mktemp("asr"))
    yield server.wait_ready()
    server.stop()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Without guards: any sound is decoded, so that texts can be told in advance."""
    server = AsrServer(
        "--no-guards",
        *("--set", "faults=true", "--set", "fixed_s=0.005", "--set", "max_batch=8"),
        folder=tmp_path_factory.mktemp("asr"),
    )
    yield server.wait_ready()
    server.stop()
