"""The main job, on everything real: browser, page, server, models.

A voice speaks into Chromium's microphone, the agent answers through Chromium's loudspeaker, and
what comes out of it is recorded and understood by ear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.live import LiveServer

from .conftest import FAKE_MICROPHONE, Launcher, Watcher
from .fake_server import wait_until
from .speech import (
    RECORDED_RATE,
    audible,
    first_sound,
    last_sound,
    recording,
    speak,
    transcribe,
    write_microphone,
)

pytestmark = [pytest.mark.model, pytest.mark.slow]

RECORDER = (Path(__file__).parent / "recorder.js").read_text()
QUESTION = "What is the capital of France?"
INTERRUPTION = "No, stop it please. I would rather hear about the weather in the mountains."
LONG_GREETING = (
    "Hello, and thank you for calling the museum. We are open from nine in the morning until six "
    "in the evening, on every day but Monday. The new exhibition shows ships and harbours of the "
    "north, with two hundred paintings from all over Europe. Children may come in for free, and "
    "students pay half. The garden is open as well, as long as the weather is fine."
)
"""Spoken for half a minute, whatever a language model might say: time enough to cut in."""

# The first words of a turn wait for models on a machine that may be busy; nothing is asserted
# about how long.
PATIENCE_MS = 60_000
SIMILAR = 0.75
"""Of the words shown and the words understood: two speech models stand between them."""


def run_server() -> Iterator[LiveServer]:
    server = LiveServer()
    server.wait_ready()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def live_server() -> Iterator[LiveServer]:
    yield from run_server()


@pytest.fixture(scope="module")
def talkative_server() -> Iterator[LiveServer]:
    """A server whose agent begins with `LONG_GREETING`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUPLEX_AGENT__GREETING", LONG_GREETING)
        yield from run_server()


Converse = Callable[..., Page]


@pytest.fixture
def converse(launch: Launcher) -> Iterator[Converse]:
    """Open the page of a real server and press the button."""
    contexts: list[BrowserContext] = []
    watchers: list[Watcher] = []

    def start(server: LiveServer, transport: str, *, microphone: Path | None = None) -> Page:
        if transport == "webrtc" and not server.status()["webrtc"]:
            pytest.skip("the server has no WebRTC: pip install duplex-voice[webrtc]")
        files = [f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else []
        context = launch(*FAKE_MICROPHONE, *files).new_context(permissions=["microphone"])
        contexts.append(context)
        watchers.append(Watcher(context, server.url))
        scripted = f"window.scriptedMicrophone = {'false' if microphone else 'true'};"
        context.add_init_script(scripted + RECORDER)
        page = context.new_page()
        page.goto(f"{server.url}?transport={transport}")
        page.get_by_role("button", name="Start talking").click()
        page.wait_for_selector("body[data-phase=live]")
        return page

    yield start
    for context in contexts:
        context.close()
    assert [complaint for watcher in watchers for complaint in watcher.complaints] == []


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def similarity(shown: str, understood: str) -> float:
    """Of two texts, word by word, from 0 to 1."""
    return SequenceMatcher(None, words(shown), words(understood)).ratio()


def shown_by_agent(page: Page) -> str:
    return " ".join(page.locator(".line.assistant .words > span:first-child").all_inner_texts())


def wait_for_greeting(page: Page) -> None:
    expect(page.locator(".line.assistant:not(.partial)")).to_have_count(1, timeout=PATIENCE_MS)


def wait_for_voice(page: Page) -> None:
    """Until more than a second of the last two was the agent's voice."""
    voiced = "recorder.voiced('agent', 2) > 0.5"
    wait_until(lambda: page.evaluate(voiced), "a second of the agent's voice", limit_s=60)


def recorded(page: Page) -> int:
    """Samples recorded so far; both voices are on one clock."""
    length: int = page.evaluate("recorder.length('agent')")
    return length


@pytest.mark.parametrize("transport", ["webrtc", "ws"])
def test_a_question_is_heard_and_answered(
    converse: Converse, live_server: LiveServer, tmp_path: Path, transport: str
) -> None:
    # The recording begins when the device opens: the greeting is over before the question.
    wav = write_microphone(tmp_path / "question.wav", QUESTION, lead_s=8, tail_s=60)
    page = converse(live_server, transport, microphone=wav)
    badge = {"webrtc": "WebRTC", "ws": "WebSocket"}[transport]
    expect(page.locator("#transport-badge")).to_have_text(badge)

    question = page.locator(".line.user:not(.partial)").first
    expect(question).to_contain_text("capital of France", timeout=PATIENCE_MS, ignore_case=True)
    answer = page.locator(".line.user:not(.partial) + .line.assistant:not(.partial)")
    expect(answer).to_be_visible(timeout=PATIENCE_MS)

    understood = transcribe(recording(page, "agent"))
    shown = shown_by_agent(page)
    print(f"shown:      {shown}\nunderstood: {understood}")
    assert words(answer.inner_text()), "an answer of no words"
    assert similarity(shown, understood) >= SIMILAR, (shown, understood)
    voice = page.locator(".turns tbody tr").first.locator("td").last
    assert float(voice.inner_text()) > 0


@pytest.mark.parametrize("transport", ["webrtc", "ws"])
def test_speaking_over_the_agent_stops_it(
    converse: Converse, talkative_server: LiveServer, transport: str
) -> None:
    page = converse(talkative_server, transport)
    # Enough to tell what was understood from what was not: two sentences.
    wait_until(lambda: len(words(shown_by_agent(page))) >= 15, "two sentences", limit_s=60)

    began = recorded(page)
    speak(page, INTERRUPTION)
    cut = page.locator(".line.assistant", has=page.locator(".cut"))
    expect(cut).to_be_visible(timeout=PATIENCE_MS)
    shown = cut.locator(".words > span").first.inner_text()
    # What is still on its way through the browser, and then nothing, although 20 s were left.
    quiet_from = recorded(page) + RECORDED_RATE // 2
    quiet_until = quiet_from + RECORDED_RATE // 2
    wait_until(lambda: recorded(page) > quiet_until, "a second more of recording")

    voice = recording(page, "agent")
    assert not audible(voice[quiet_from:quiet_until]).any()
    understood = transcribe(voice[:quiet_from])
    begun = first_sound(recording(page, "microphone")[began:])
    stopped = last_sound(voice[began:quiet_from])
    print(f"{transport}: silent {(stopped - begun) / RECORDED_RATE:.2f} s after the first sound")
    print(f"shown:      {shown}\nunderstood: {understood}")
    # The line ends where the voice ended: what was not heard is not shown.
    assert len(words(shown)) < len(words(LONG_GREETING)) // 2
    assert similarity(shown, understood) >= SIMILAR, (shown, understood)


def test_typing_is_answered_by_voice(converse: Converse, live_server: LiveServer) -> None:
    page = converse(live_server, "ws")
    wait_for_greeting(page)
    page.get_by_label("Type a message").fill("Say hello to Anna.")
    page.keyboard.press("Enter")

    answer = page.locator(".line.user + .line.assistant:not(.partial)")
    expect(answer).to_be_visible(timeout=PATIENCE_MS)
    shown, understood = shown_by_agent(page), transcribe(recording(page, "agent"))
    assert similarity(shown, understood) >= SIMILAR, (shown, understood)


def test_the_interrupt_key_silences_the_agent(
    converse: Converse, talkative_server: LiveServer
) -> None:
    page = converse(talkative_server, "ws")
    wait_for_voice(page)

    page.keyboard.press("Escape")
    expect(page.locator(".line.assistant .cut")).to_be_visible(timeout=PATIENCE_MS)
    # What is still on its way through the browser, and then nothing for three seconds.
    quiet_from = recorded(page) + RECORDED_RATE // 2
    quiet_until = quiet_from + 3 * RECORDED_RATE
    wait_until(lambda: recorded(page) > quiet_until, "three more seconds of recording")
    assert not audible(recording(page, "agent")[quiet_from:quiet_until]).any()
