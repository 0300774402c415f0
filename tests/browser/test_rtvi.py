"""Pipecat's own client SDK in a real Chromium holds a spoken conversation with an agent."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from agent.audio.resample import resample
from tests.live import LiveServer
from tests.speech import understood
from tests.wiring.scripted_model import ScriptedModel
from tests.wiring.shop import (
    ASKS,
    INTERRUPTS,
    LONG,
    SHORT,
    answer,
    heard_of_long,
    prepare,
    said,
)

from .conftest import FAKE_MICROPHONE, Launcher
from .fake_server import wait_until

pytestmark = [pytest.mark.model, pytest.mark.slow]

BUNDLE = Path(__file__).parents[1] / "rtvi" / "build" / "page.js"
"""Made by `make test` from the packages that tests/rtvi/package-lock.json pins."""

PATIENCE_S = 60


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    model = ScriptedModel(answer)
    yield model
    model.stop()


@pytest.fixture(scope="module")
def shop(model: ScriptedModel) -> Iterator[LiveServer]:
    server = LiveServer("tests/wiring/realtime_agent.py", model.url)
    server.wait_ready()
    yield server
    server.stop()


@pytest.fixture
def page(launch: Launcher, shop: LiveServer) -> Iterator[Page]:
    assert BUNDLE.is_file(), "run: make rtvi-client"
    options = {"permissions": ["microphone"], "bypass_csp": True}
    context = launch(*FAKE_MICROPHONE).new_context(**options)
    page = context.new_page()
    # Any document of the server's own origin, where an application would be served from.
    page.goto(f"{shop.url}healthz")
    page.add_script_tag(path=BUNDLE)
    yield page
    context.close()


def told(page: Page, name: str) -> list[Any]:
    events: list[Any] = page.evaluate("rtvi.told")
    return [data for kind, data in events if kind == name]


def wait_for(page: Page, name: str, count: int = 1) -> None:
    wait_until(lambda: len(told(page, name)) >= count, f"{count} times {name}", limit_s=PATIENCE_S)


def speak(page: Page, text: str) -> None:
    pcm = base64.b64encode(said(text, 24_000).tobytes()).decode()
    page.evaluate("(pcm) => rtvi.speak(pcm)", pcm)


def heard(page: Page) -> str:
    pcm = np.frombuffer(base64.b64decode(page.evaluate("rtvi.take()")), np.int16)
    return understood(resample(pcm, 24_000, 16_000)).lower()


def test_pipecats_client_talks_calls_and_interrupts(page: Page, model: ScriptedModel) -> None:
    prepare(24_000)
    ready = page.evaluate("rtvi.connect()")
    assert ready["about"]["library"].startswith("duplex-voice")
    wait_for(page, "bot")
    assert "this is the shop" in heard(page)

    speak(page, ASKS)
    wait_for(page, "result")
    asked = [text["text"] for text in told(page, "user") if text["final"]]
    assert "friday" in asked[0].lower() and len(told(page, "call")) == 1
    enough = 2 * 24_000
    wait_until(
        lambda: page.evaluate("rtvi.heardSamples()") > enough, "two seconds", limit_s=PATIENCE_S
    )
    speak(page, INTERRUPTS)
    wait_for(page, "bot", 3)

    greeting, cut, last = [text["text"] for text in told(page, "bot")]
    assert greeting == "Hello, this is the shop."
    assert LONG.startswith(cut) and cut != LONG and last == SHORT
    assert heard_of_long(model.asked[-1]) == cut
    assert "closed" in heard(page)
    assert told(page, "error") == told(page, "message-error") == []
    # What RTVI has no word for is asked for in ours.
    assert page.evaluate("rtvi.ask('mute', {muted: true})") == {"taken": True}
    page.evaluate("rtvi.disconnect()")
