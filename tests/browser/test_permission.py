"""Each state of the microphone has its own words and a way on."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import OpenPage
from .fake_server import FakeServer, wait_until

START = "Start talking"


def press_start(page: Page) -> None:
    page.get_by_role("button", name=START).click()


def failing_with(name: str) -> str:
    """A microphone that cannot be opened, which no launch flag can provoke for this reason."""
    return (
        "if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia = () => "
        f"Promise.reject(new DOMException('by the test', '{name}'));"
    )


def test_denied_says_where_to_allow_it(open_page: OpenPage, strict_browser: Browser) -> None:
    page = open_page(with_browser=strict_browser)
    press_start(page)

    notice = page.get_by_role("alert")
    expect(notice).to_contain_text("The microphone is blocked for this page.")
    expect(notice).to_contain_text("site settings beside the address")
    expect(notice.get_by_role("button", name="Try again")).to_be_visible()
    expect(notice.get_by_role("button", name="Type instead")).to_be_visible()


def test_granting_after_a_refusal_starts_the_conversation(
    open_page: OpenPage, strict_browser: Browser
) -> None:
    page = open_page(with_browser=strict_browser)
    press_start(page)
    retry = page.get_by_role("alert").get_by_role("button", name="Try again")
    expect(retry).to_be_visible()

    page.context.grant_permissions(["microphone"])
    retry.click()

    page.wait_for_selector("body[data-phase=live]")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_no_device_says_so_and_offers_typing(
    open_page: OpenPage, bare_browser: Browser, server: FakeServer
) -> None:
    page = open_page(with_browser=bare_browser)
    page.context.grant_permissions(["microphone"])
    press_start(page)
    expect(page.get_by_role("alert")).to_contain_text("No microphone was found.")

    page.get_by_role("alert").get_by_role("button", name="Type instead").click()
    page.wait_for_selector("body[data-phase=live]")
    page.get_by_label("Type a message").fill("hello there")
    page.keyboard.press("Enter")

    assert server.wait_for("text") == {"type": "text", "text": "hello there"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("NotReadableError", "The microphone is in use."),
        ("AbortError", "The microphone is in use."),
        ("NotAllowedError", "The microphone is blocked for this page."),
        ("NotFoundError", "No microphone was found."),
    ],
)
def test_each_failure_has_its_words(open_page: OpenPage, error: str, words: str) -> None:
    page = open_page(init_script=failing_with(error))
    press_start(page)
    expect(page.get_by_role("alert")).to_contain_text(words)


def test_insecure_address_names_the_cure(open_page: OpenPage) -> None:
    # Chromium takes 127.0.0.1 as secure, so the test takes the mark away.
    script = "Object.defineProperty(window, 'isSecureContext', {value: false});"
    page = open_page(init_script=script)

    expect(page.locator("#permission")).to_contain_text("This address is not secure")
    press_start(page)
    expect(page.get_by_role("alert")).to_contain_text("http://127.0.0.1")


def test_before_and_while_asking(open_page: OpenPage, strict_browser: Browser) -> None:
    # A question that nobody answers: the real one is answered by the headless browser at once.
    script = (
        "if (navigator.mediaDevices)"
        " navigator.mediaDevices.getUserMedia = () => new Promise(() => {});"
    )
    page = open_page(with_browser=strict_browser, init_script=script)
    permission = page.locator("#permission")

    answer = "navigator.permissions.query({name: 'microphone'}).then((p) => p.state)"
    assert page.evaluate(answer) == "prompt"
    expect(permission).to_contain_text("Microphone not asked for yet.")
    press_start(page)
    expect(permission).to_contain_text("Waiting for your permission.")


def test_granted(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator("#permission")).to_contain_text("Microphone allowed.")


def test_chosen_microphone_is_remembered(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("button", name=START).click()
    page.wait_for_selector("body[data-phase=live]")
    page.click("#settings-button")
    select = page.get_by_label("Microphone", exact=True)
    chosen = page.locator("#microphone-select option").nth(1).get_attribute("value")
    select.select_option(chosen)

    page.reload()
    page.click("#settings-button")

    expect(select).to_have_value(chosen or "")


def test_microphone_can_be_tried_before_the_conversation(open_page: OpenPage) -> None:
    page = open_page()
    page.click("#settings-button")
    page.get_by_role("button", name="Test microphone").click()
    # The fake device beeps once a second.
    level = "Number(document.getElementById('meter-test').getAttribute('aria-valuenow'))"
    wait_until(lambda: page.evaluate(level) > 20, "the level to follow the beep")
    page.get_by_role("button", name="Stop the test").click()
    expect(page.locator("#meter-test")).to_have_attribute("aria-valuenow", "0")
