"""The main job, on everything real: browser, page, server, models.

A voice speaks into Chromium's microphone, the agent answers through Chromium's loudspeaker, and
what comes out of it is recorded and understood by ear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from .conftest import FAKE_MICROPHONE, Launcher, Watcher
from .fake_server import wait_until
from .live import LiveServer
from .speech import RECORDED_RATE, WINDOW, audible, recording, speak, transcribe, write_microphone

pytestmark = [pytest.mark.model, pytest.mark.slow]

RECORDER = (Path(__file__).parent / "recorder.js").read_text()
QUESTION = "What is the capital of France?"
LONG_REQUEST = "Please tell me a long story about a river."
INTERRUPTION = "No, stop it please. I would rather hear about the weather in the mountains."

# The first words of a turn wait for models on a machine that may be busy; nothing is asserted
# about how long.
PATIENCE_MS = 60_000
SIMILAR = 0.75
"""Of the words shown and the words understood: two speech models stand between them."""


@pytest.fixture(scope="module")
def live_server() -> Iterator[LiveServer]:
    server = LiveServer()
    server.wait_ready()
    yield server
    server.stop()


Converse = Callable[..., Page]


@pytest.fixture
def converse(launch: Launcher, live_server: LiveServer) -> Iterator[Converse]:
    """Open the page on the real server and press the button."""
    contexts: list[BrowserContext] = []
    watchers: list[Watcher] = []

    def start(transport: str, *, microphone: Path | None = None) -> Page:
        if transport == "webrtc" and not live_server.status()["webrtc"]:
            pytest.skip("the server has no WebRTC: pip install duplex-voice[webrtc]")
        files = [f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else []
        context = launch(*FAKE_MICROPHONE, *files).new_context(permissions=["microphone"])
        contexts.append(context)
        watchers.append(Watcher(context, live_server.url))
        scripted = f"window.scriptedMicrophone = {'false' if microphone else 'true'};"
        context.add_init_script(scripted + RECORDER)
        page = context.new_page()
        page.goto(f"{live_server.url}?transport={transport}")
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
    return SequenceMatcher(None, words(shown), words(understood)).ratio()


def shown_by_agent(page: Page) -> str:
    return " ".join(page.locator(".line.assistant .words > span:first-child").all_inner_texts())


def wait_for_greeting(page: Page) -> None:
    expect(page.locator(".line.assistant:not(.partial)")).to_have_count(1, timeout=PATIENCE_MS)


@pytest.mark.parametrize("transport", ["webrtc", "ws"])
def test_a_question_is_heard_and_answered(
    converse: Converse, tmp_path: Path, transport: str
) -> None:
    # The recording begins when the device opens: the greeting is over before the question.
    wav = write_microphone(tmp_path / "question.wav", QUESTION, lead_s=8, tail_s=60)
    page = converse(transport, microphone=wav)
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
def test_speaking_over_the_answer_stops_it(converse: Converse, transport: str) -> None:
    page = converse(transport)
    wait_for_greeting(page)
    speak(page, LONG_REQUEST)
    story = page.locator(".line.user:not(.partial) + .line.assistant")
    expect(story).to_be_visible(timeout=PATIENCE_MS)
    wait_until(lambda: heard_for(page) > 1.0, "a second of the story", limit_s=60)

    began = page.evaluate("recorder.length('microphone')")
    lasting = speak(page, INTERRUPTION)
    expect(page.locator(".line.assistant .cut")).to_be_visible(timeout=PATIENCE_MS)
    ended = began + lasting
    wait_until(lambda: page.evaluate("recorder.length('agent')") > ended, "the user to finish")

    heard = audible(recording(page, "agent"))
    over = heard[began // WINDOW : ended // WINDOW]
    stopped = int(np.flatnonzero(over)[-1]) + 1 if over.any() else 0
    print(f"silent {stopped * WINDOW / RECORDED_RATE:.2f} s after the user began")
    assert heard[: began // WINDOW].any(), "the story was never heard"
    assert stopped < len(over) // 2, "the agent went on while it was spoken over"
    assert transcribe(recording(page, "microphone")[began:ended])
    cut = page.locator(".line.assistant", has=page.locator(".cut")).locator(".words > span").first
    # What is shown of the cut story is what was heard of it.
    listened = transcribe(recording(page, "agent")[:ended])
    assert similarity(cut.inner_text(), listened.split("?")[-1]) > 0 and words(cut.inner_text())


def heard_for(page: Page) -> float:
    """Seconds of the agent's voice in the last two seconds of the recording."""
    return float(audible(recording(page, "agent")[-2 * RECORDED_RATE :]).sum()) / 50


def test_typing_is_answered_by_voice(converse: Converse) -> None:
    page = converse("ws")
    wait_for_greeting(page)
    page.get_by_label("Type a message").fill("Say hello to Anna.")
    page.keyboard.press("Enter")

    answer = page.locator(".line.user + .line.assistant:not(.partial)")
    expect(answer).to_be_visible(timeout=PATIENCE_MS)
    shown, understood = shown_by_agent(page), transcribe(recording(page, "agent"))
    assert similarity(shown, understood) >= SIMILAR, (shown, understood)


def test_the_interrupt_key_silences_the_agent(converse: Converse) -> None:
    page = converse("ws")
    wait_for_greeting(page)
    page.get_by_label("Type a message").fill(LONG_REQUEST)
    page.keyboard.press("Enter")
    wait_until(lambda: heard_for(page) > 1.0, "a second of the story", limit_s=60)

    page.keyboard.press("Escape")
    expect(page.locator(".line.assistant .cut")).to_be_visible(timeout=PATIENCE_MS)
    shown_at = page.evaluate("recorder.length('agent')")
    wait_until(
        lambda: page.evaluate("recorder.length('agent')") > shown_at + 3 * RECORDED_RATE,
        "three more seconds of recording",
    )
    after = audible(recording(page, "agent")[shown_at + RECORDED_RATE // 2 :])
    assert not after.any()
