"""A real Chromium, the page in it, and whatever the page must never do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from .fake_server import FakeServer

FLAGS = [
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    # The audio service's sandbox may not read the recording that plays the microphone.
    "--disable-features=AudioServiceOutOfProcess,AudioServiceSandbox,MediaRouter,Translate",
]
# A limit only turns a hang into a failure. Playwright's own 5 s are not much beside other models.
expect.set_options(timeout=30_000)

FAKE_MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def find_chromium() -> str:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if found:
        return found
    reason = "no Chromium: install the package 'chromium', or name the binary in $CHROMIUM"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


# Scoped to this folder: Playwright's own event loop must be gone before other asyncio tests run.
@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    find_chromium()
    with sync_playwright() as driver:
        yield driver


Launcher = Callable[..., Browser]


@pytest.fixture(scope="package")
def launch(playwright: Playwright) -> Iterator[Launcher]:
    """Start a browser with further flags; all are closed at the end."""
    browsers: list[Browser] = []

    def start(*flags: str) -> Browser:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=[*FLAGS, *sandbox, *flags]
        )
        browsers.append(browser)
        return browser

    yield start
    for browser in browsers:
        browser.close()


@pytest.fixture(scope="package")
def browser(launch: Launcher) -> Browser:
    """With a microphone that beeps and may always be used."""
    return launch(*FAKE_MICROPHONE)


@pytest.fixture(scope="package")
def bare_browser(launch: Launcher) -> Browser:
    """Without any microphone, and without anyone to answer permission questions."""
    return launch()


@pytest.fixture(scope="package")
def strict_browser(launch: Launcher) -> Browser:
    """With a microphone, but every question for permission is left without a yes."""
    return launch(FAKE_MICROPHONE[0])


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    fake.start()
    yield fake
    fake.stop()


class Watcher:
    """Collects what a page must never do: reach another origin, break its policy, throw."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.complaints: list[str] = []
        self._host = urlsplit(origin).netloc
        context.on("request", lambda request: self._address(request.url))
        context.on("page", self._watch)

    def _watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("websocket", lambda peer: self._address(peer.url))
        page.on("console", lambda line: self._line(line.type, line.text))

    def _address(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != self._host:
            self.complaints.append(f"off-origin request: {url}")

    def _line(self, kind: str, text: str) -> None:
        # A refused or failed connection is logged by the browser itself, and tests provoke it.
        if kind == "error" and "Failed to load" not in text and "WebSocket connection" not in text:
            self.complaints.append(f"console: {text}")


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, server: FakeServer) -> Iterator[OpenPage]:
    """Open the page; at the end it must have kept to its origin, its policy and its manners."""
    watchers: list[Watcher] = []
    contexts: list[BrowserContext] = []

    def start(
        path: str = "",
        *,
        with_browser: Browser | None = None,
        init_script: str = "",
        width: int = 1280,
        height: int = 800,
        **options: str,
    ) -> Page:
        context = (with_browser or browser).new_context(
            viewport={"width": width, "height": height}, **options
        )
        contexts.append(context)
        watchers.append(Watcher(context, server.url))
        if init_script:
            context.add_init_script(init_script)
        page = context.new_page()
        page.goto(server.url + path)
        return page

    yield start
    for context in contexts:
        context.close()
    assert [complaint for watcher in watchers for complaint in watcher.complaints] == []


@pytest.fixture
def talking(open_page: OpenPage, server: FakeServer) -> Page:
    """A page in a conversation over WebSocket."""
    page = open_page()
    page.get_by_role("button", name="Start talking").click()
    page.wait_for_selector("body[data-phase=live]")
    return page
