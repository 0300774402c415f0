"""A page that loses its server for some seconds goes on with the same conversation."""

from __future__ import annotations

import os
import re
import signal
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.live import LiveServer

from .fake_server import wait_until

# The page gives a silent server up after 5 s, and tries for a minute.
PATIENCE_MS = 40_000


@pytest.fixture
def server() -> Iterator[LiveServer]:
    live = LiveServer("-m", "benchmarks.instant")
    live.wait_ready()
    yield live
    live.stop()


def metric(server: LiveServer, name: str) -> float:
    with urllib.request.urlopen(server.url + "metrics", timeout=10) as response:
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", response.read().decode(), re.M)
    return sum(map(float, found))


def ask(page: Page, text: str) -> None:
    """Type, until one more answer has been heard."""
    answers = page.locator(".line.user + .line.assistant:not(.partial)")
    before = answers.count()
    page.get_by_label("Message").fill(text)
    page.keyboard.press("Enter")
    expect(answers).to_have_count(before + 1, timeout=PATIENCE_MS)
    expect(answers.last).to_contain_text("Hello.")


@pytest.mark.parametrize("transport", ["ws", "webrtc"])
def test_the_conversation_is_still_there(
    browser: Browser, server: LiveServer, transport: str
) -> None:
    page = browser.new_page()
    page.goto(f"{server.url}?transport={transport}")
    page.get_by_role("button", name="Start talking").click()
    page.wait_for_selector("body[data-phase=live]")
    ask(page, "Hello?")

    os.kill(server.pid, signal.SIGSTOP)
    try:
        page.wait_for_selector("body[data-phase=reconnecting]", timeout=PATIENCE_MS)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    page.wait_for_selector("body[data-phase=live]", timeout=PATIENCE_MS)
    expect(page.get_by_role("log")).to_contain_text("Connected again")
    ask(page, "Still there?")
    assert metric(server, "duplex_sessions_total") == 1
    assert metric(server, "duplex_reconnects_total") >= 1

    page.get_by_role("button", name="End", exact=True).click()
    page.wait_for_selector("body[data-phase=ended]")
    # Who ends it is not waited for.
    wait_until(lambda: server.status()["sessions"]["active"] == 0, "the conversation to end")
    page.close()


BREAKABLE = """
const Peer = window.RTCPeerConnection;
const peers = [];
window.RTCPeerConnection = class extends Peer {
  constructor(...options) {
    if (window.isBlocked) throw new Error("no path");
    super(...options);
    peers.push(this);
  }
};
window.block = () => {
  window.isBlocked = true;
  for (const peer of peers) peer.close();
};
"""


def test_a_page_that_finds_no_direct_path_any_more_goes_on_over_a_socket(
    browser: Browser, server: LiveServer
) -> None:
    page = browser.new_page()
    page.add_init_script(BREAKABLE)
    page.goto(server.url)
    page.get_by_role("button", name="Start talking").click()
    page.wait_for_selector("body[data-phase=live]")
    ask(page, "Hello?")
    assert metric(server, 'duplex_sessions_total{channel="webrtc"}') == 1

    # As on another network: what was there is gone, and nothing of the kind is found again.
    page.evaluate("block()")
    page.wait_for_selector("body[data-phase=reconnecting]", timeout=PATIENCE_MS)
    page.wait_for_selector("body[data-phase=live]", timeout=PATIENCE_MS)
    expect(page.get_by_role("log")).to_contain_text("Connected again")
    ask(page, "Still there?")
    assert metric(server, "duplex_sessions_total") == 1
    assert metric(server, "duplex_reconnects_total") == 1

    page.get_by_role("button", name="End", exact=True).click()
    wait_until(lambda: server.status()["sessions"]["active"] == 0, "the conversation to end")
    page.close()
