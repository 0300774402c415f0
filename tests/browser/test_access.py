"""The page of a server that is open to the network: nothing without the key, all with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.live import LiveServer

KEY = "the-key-to-the-server"


@pytest.fixture(scope="module")
def guarded() -> Iterator[LiveServer]:
    command = ("-m", "benchmarks.instant")
    live = LiveServer(*command, DUPLEX_SERVER__KEYS=KEY, DUPLEX_SERVER__HOST="0.0.0.0")
    live.wait_ready()
    live.address = live.address.replace("0.0.0.0", "127.0.0.1")
    yield live
    live.stop()


@pytest.mark.parametrize("transport", ["ws", "webrtc"])
def test_the_key_in_the_address_opens_the_conversation(
    browser: Browser, guarded: LiveServer, transport: str
) -> None:
    page = browser.new_page()
    page.goto(f"{guarded.url}?transport={transport}")
    expect(page.get_by_role("alert")).to_contain_text("This agent wants a key.")

    page.goto(f"{guarded.url}?transport={transport}#key={KEY}")
    page.reload()
    expect(page.get_by_role("alert")).to_be_hidden()
    # Whoever looks at the screen, or into the history, must not read it.
    assert KEY not in page.url
    page.get_by_role("button", name="Start talking").click()
    page.wait_for_selector("body[data-phase=live]")
    page.get_by_label("Message").fill("Hello?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log")).to_contain_text("Hello.")
    page.close()
