"""Recognisers with their real weights, each loaded once for all tests."""

from functools import cache

import pytest

from agent.asr.moonshine import Moonshine
from agent.models import store


@cache
def load(name: str) -> Moonshine:
    if not store.is_present(name):
        pytest.skip(f"{name} is not on this machine; run: duplex models fetch {name}")
    return Moonshine(store.locate(name))
