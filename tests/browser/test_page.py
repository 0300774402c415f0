"""The page's own behaviour, against scripted events."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import OpenPage
from .fake_server import FakeServer, wait_until


def said(role: str, text: str, turn: int, final: bool = True, **more: Any) -> dict[str, Any]:
    line = {"type": "transcript", "role": role, "text": text, "final": final, "turn": turn}
    return line | more


def floor(user: str, agent: str, at_s: float = 1.0) -> dict[str, Any]:
    return {"type": "floor", "user": user, "agent": agent, "at_s": at_s}


def tone(sample_rate: int, seconds: float) -> bytes:
    count = int(sample_rate * seconds)
    wave = (round(12000 * math.sin(2 * math.pi * 440 * i / sample_rate)) for i in range(count))
    return struct.pack(f"<{count}h", *wave)


def test_user_partial_gives_way_to_the_final(talking: Page, server: FakeServer) -> None:
    line = talking.locator(".line.user")
    server.say(said("user", "what is", 1, final=False))
    expect(line).to_have_class("line user partial")
    expect(line).to_have_attribute("aria-live", "off")
    assert line.locator(".words").evaluate("e => getComputedStyle(e).fontStyle") == "italic"

    server.say(said("user", "what is the tallest", 1, final=False))
    expect(line).to_have_count(1)
    expect(line.locator(".words")).to_have_text("what is the tallest")

    server.say(said("user", "What is the tallest mountain?", 1))
    expect(line.locator(".words")).to_have_text("What is the tallest mountain?")
    expect(line).to_have_class("line user")
    # Nothing shields the final from the polite log around it: this is what is announced.
    assert line.get_attribute("aria-live") is None
    log = talking.get_by_role("log")
    expect(log).to_have_attribute("aria-live", "polite")
    expect(log).to_contain_text("What is the tallest mountain?")


def test_a_correction_replaces_the_final(talking: Page, server: FakeServer) -> None:
    server.say(said("user", "call an", 1), said("user", "Call Anne.", 1))
    expect(talking.locator(".line.user .words")).to_have_text("Call Anne.")


def test_the_newest_words_stay_in_view_unless_somebody_reads_back(
    talking: Page, server: FakeServer
) -> None:
    for turn in range(12):
        server.say(said("user", f"Sentence {turn}.", turn))
    expect(talking.get_by_text("Sentence 11.")).to_be_in_viewport()
    talking.get_by_role("button", name="Push to talk").click()
    expect(talking.get_by_text("Sentence 11.")).to_be_in_viewport()

    talking.locator("#transcript").hover()
    talking.mouse.wheel(0, -2000)
    expect(talking.get_by_text("Sentence 0.")).to_be_in_viewport()
    server.say(said("user", "Sentence 12.", 12))
    expect(talking.get_by_text("Sentence 12.")).to_be_attached()
    expect(talking.get_by_text("Sentence 0.")).to_be_in_viewport()


def test_agent_words_are_cut_where_interrupted(talking: Page, server: FakeServer) -> None:
    server.say(said("assistant", "Saturn is the sixth", 1, final=False))
    server.say(said("user", "no", 2, final=False))
    server.say(said("assistant", "Saturn is", 1, interrupted=True))
    server.say(said("user", "No, the car.", 2))

    lines = talking.locator(".line")
    expect(lines).to_have_count(2)
    expect(lines.nth(0).locator(".words > span").first).to_have_text("Saturn is")
    expect(lines.nth(0).locator(".cut")).to_have_text("interrupted")
    expect(lines.nth(1).locator(".cut")).to_have_count(0)


@pytest.mark.parametrize(
    ("user", "agent", "words"),
    [
        ("silent", "silent", "Listening"),
        ("speaking", "silent", "You are speaking"),
        ("silent", "thinking", "Agent is thinking"),
        ("silent", "speaking", "Agent is speaking"),
        ("speaking", "speaking", "Both speaking"),
        ("speaking", "paused", "Paused, listening to you"),
    ],
)
def test_the_floor_in_words(
    talking: Page, server: FakeServer, user: str, agent: str, words: str
) -> None:
    server.say(floor(user, agent))
    expect(talking.locator("#state-text")).to_have_text(words)
    expect(talking.locator("#lanes")).to_have_attribute(
        "aria-label", f"You: {user}. Agent: {agent}."
    )


def test_lanes_are_drawn(talking: Page, server: FakeServer) -> None:
    count = """() => {
      const canvas = document.getElementById('lanes');
      const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      const seen = new Set();
      for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] === 255) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
      }
      return ['18,96,125', '156,68,22'].filter((colour) => seen.has(colour)).length;
    }"""
    assert talking.evaluate(count) == 0
    server.say(
        {"type": "posterior", "at_s": 0.0, "hop_s": 0.032, "p": [0.1, 0.9, 0.95, 0.9, 0.2] * 6},
        floor("speaking", "silent", 0.1),
        floor("silent", "speaking", 0.9),
        {"type": "decision", "kind": "COMMIT", "at_s": 0.8, "reason": "question mark"},
    )
    wait_until(lambda: talking.evaluate(count) == 2, "both voices' colours")
    expect(talking.locator("#decisions li")).to_have_text("0.8 scommitquestion mark")


def test_latency_by_stage_and_median(talking: Page, server: FakeServer) -> None:
    for turn, total in ((1, 0.9), (2, 0.5), (3, 0.7)):
        stages = {"decided_s": 0.3, "recognised_s": 0.1, "first_token_s": None}
        server.say({"type": "turn", "turn": turn, "stages": stages | {"voice_to_voice_s": total}})

    expect(talking.locator(".headline")).to_have_text("0.70 smedian 0.70 s over 3 turns")
    newest = talking.locator(".turns tbody tr").first
    assert newest.locator("td").all_inner_texts() == ["0.10", "0.30", "–", "–", "0.70"]


def test_typed_input_is_shown_once(talking: Page, server: FakeServer) -> None:
    field = talking.get_by_label("Type a message")
    field.fill("How are you?")
    talking.get_by_role("button", name="Send").click()

    assert server.wait_for("text") == {"type": "text", "text": "How are you?"}
    expect(field).to_have_value("")
    server.say(said("user", "How are you?", 1))
    expect(talking.locator(".line.user")).to_have_count(1)


def test_mute_silences_the_microphone(talking: Page, server: FakeServer) -> None:
    mute = talking.get_by_role("button", name="Mute")
    wait_until(lambda: any(server.audio), "sound from the microphone")

    talking.keyboard.press("m")

    assert server.wait_for("mute") == {"type": "mute", "muted": True}
    expect(mute).to_have_attribute("aria-pressed", "true")
    expect(talking.locator("#state-text")).to_have_text("Microphone muted")
    # Packets go on, so the server's clock does; after those on their way they are silent.
    start = len(server.audio) + server.sample_rate // 2 * 2
    wait_until(lambda: len(server.audio) > start + server.sample_rate * 4, "two seconds of sound")
    assert not any(server.audio[start : start + server.sample_rate * 4])

    mute.click()
    assert server.wait_for("mute", 2) == {"type": "mute", "muted": False}
    resumed = len(server.audio)
    wait_until(lambda: any(server.audio[resumed:]), "sound after the mute")


def test_keys_belong_to_the_text_while_typing(talking: Page, server: FakeServer) -> None:
    field = talking.get_by_label("Type a message")
    field.focus()
    talking.keyboard.type("mm mm")
    expect(field).to_have_value("mm mm")
    assert server.of_type("mute") == []


def test_push_to_talk_with_the_space_bar(talking: Page, server: FakeServer) -> None:
    talking.get_by_role("button", name="Push to talk").click()
    assert server.wait_for("push_to_talk") == {"type": "push_to_talk", "down": False}
    expect(talking.locator("#state-text")).to_have_text("Hold to talk")
    start = len(server.audio) + server.sample_rate // 2 * 2
    wait_until(lambda: len(server.audio) > start + server.sample_rate * 4, "two seconds of sound")
    assert not any(server.audio[start : start + server.sample_rate * 4])

    talking.keyboard.down("Space")
    assert server.wait_for("push_to_talk", 2) == {"type": "push_to_talk", "down": True}
    expect(talking.locator("#hold-label")).to_have_text("Listening: let go when done")
    held = len(server.audio)
    wait_until(lambda: any(server.audio[held:]), "sound while the key is down")

    talking.keyboard.up("Space")
    assert server.wait_for("push_to_talk", 3) == {"type": "push_to_talk", "down": False}
    # Away from the button the key works as well.
    talking.locator("#conversation").focus()
    talking.keyboard.down("Space")
    assert server.wait_for("push_to_talk", 4)["down"] is True
    talking.keyboard.up("Space")


def test_push_to_talk_with_a_finger(talking: Page, server: FakeServer) -> None:
    talking.get_by_role("button", name="Push to talk").click()
    talking.get_by_role("button", name="Hold to talk").hover()
    talking.mouse.down()
    assert server.wait_for("push_to_talk", 2)["down"] is True
    talking.mouse.up()
    assert server.wait_for("push_to_talk", 3)["down"] is False


def test_interrupt_by_key_and_by_button(talking: Page, server: FakeServer) -> None:
    talking.keyboard.press("Escape")
    server.wait_for("interrupt")
    talking.get_by_role("button", name="Interrupt").click()
    server.wait_for("interrupt", 2)


def test_played_samples_are_reported_and_clear_drops_the_rest(
    talking: Page, server: FakeServer
) -> None:
    wait_until(lambda: server.sample_rate > 0, "the connection")
    rate = server.sample_rate
    server.play(tone(rate, 0.5))
    wait_until(
        lambda: any(m["samples"] == rate // 2 for m in server.of_type("played")), "all of 0.5 s"
    )

    server.play(tone(rate, 20))
    wait_until(
        lambda: any(m["samples"] > rate // 2 + rate // 10 for m in server.of_type("played")),
        "the second sound to begin",
    )
    server.say({"type": "clear"})
    reports = len(server.of_type("played"))
    wait_until(
        lambda: any(m["cleared"] for m in server.of_type("played")[reports:]),
        "the report of what was cleared",
    )
    server.play(tone(rate, 0.25))
    before = server.of_type("played")[-1]["samples"]
    assert before < rate * 15, "the 20 s were not dropped"
    wait_until(
        lambda: server.of_type("played")[-1]["samples"] == before + rate // 4,
        "the sound after the clear, in full",
    )


def test_reconnect_keeps_the_transcript(talking: Page, server: FakeServer) -> None:
    server.say(said("user", "Remember the number seven.", 1), said("assistant", "I will.", 1))
    expect(talking.locator(".line")).to_have_count(2)
    server.status_code = 500
    server.hang_up()

    notice = talking.get_by_role("alert")
    expect(notice).to_contain_text("Connection lost. Your conversation is kept.")
    expect(notice).to_contain_text("attempt 2")
    expect(talking.locator("#state-text")).to_have_text("Reconnecting…")

    server.status_code = 200
    notice.get_by_role("button", name="Try now").click()
    talking.wait_for_selector("body[data-phase=live]")
    expect(notice).to_be_hidden()
    # Turn numbers begin again with the connection, and must not overwrite what was said.
    server.say(said("user", "Which number?", 1))
    expect(talking.locator(".line")).to_have_count(3)
    expect(talking.locator(".line").first).to_contain_text("Remember the number seven.")


TROUBLES = """
window.troubles = [];
const seen = () => {
  for (const alert of document.querySelectorAll("[role=alert]")) troubles.push(alert.textContent);
};
const all = { childList: true, subtree: true, characterData: true };
new MutationObserver(seen).observe(document.body, all);
"""
"""Keeps every alert: one that goes with the next connection can be gone before anybody looks."""


def test_a_server_that_falls_silent_is_taken_as_gone(talking: Page, server: FakeServer) -> None:
    talking.evaluate(TROUBLES)
    server.say({"type": "posterior", "at_s": 1.0, "hop_s": 0.032, "p": [0.0] * 6})
    # The connection stays open and nothing comes any more, as over a network that was cut.
    wait_until(lambda: server.connections == 2, "another connection", limit_s=60)
    assert "The server is silent." in talking.evaluate("troubles.join()")


def test_muted_stays_muted_after_a_reconnect(talking: Page, server: FakeServer) -> None:
    talking.keyboard.press("m")
    server.wait_for("mute")
    server.hang_up()
    talking.wait_for_selector("body[data-phase=reconnecting]")
    talking.wait_for_selector("body[data-phase=live]")
    assert server.wait_for("mute", 2) == {"type": "mute", "muted": True}


def test_server_down(open_page: OpenPage, server: FakeServer) -> None:
    page = open_page()
    expect(page.get_by_text("Nothing leaves this machine")).to_be_visible()
    server.stop()
    page.get_by_role("button", name="Start talking").click()
    expect(page.get_by_role("alert")).to_contain_text("The agent is not running.")


def test_server_full(open_page: OpenPage, server: FakeServer) -> None:
    server.status["sessions"] = {"active": 4, "limit": 4}
    page = open_page()
    page.get_by_role("button", name="Start talking").click()
    notice = page.get_by_role("alert")
    expect(notice).to_contain_text("The agent is busy. All 4 places are taken.")

    server.status["sessions"] = {"active": 3, "limit": 4}
    notice.get_by_role("button", name="Try again").click()
    page.wait_for_selector("body[data-phase=live]")


def test_error_of_the_server_shows_its_fix(talking: Page, server: FakeServer) -> None:
    server.say({"type": "error", "message": "The voice failed.", "fix": "Run duplex doctor."})
    notice = talking.get_by_role("alert")
    expect(notice).to_contain_text("The voice failed.")
    expect(notice).to_contain_text("Run duplex doctor.")
    notice.get_by_role("button", name="Dismiss").click()
    expect(notice).to_be_hidden()


@pytest.mark.parametrize("offline", [True, False])
def test_the_badge_is_true(open_page: OpenPage, server: FakeServer, offline: bool) -> None:
    server.status["offline"] = offline
    page = open_page()
    expect(page.locator("#facts dt").first).to_be_attached()
    assert page.locator("#offline-badge").is_visible() == offline


def test_ending_and_starting_again_keeps_the_words(talking: Page, server: FakeServer) -> None:
    server.say(said("user", "One.", 1))
    expect(talking.locator(".line")).to_have_count(1)
    talking.get_by_role("button", name="End", exact=True).click()
    expect(talking.locator("#state-text")).to_have_text("Not connected")
    talking.get_by_role("button", name="Start again").click()
    talking.wait_for_selector("body[data-phase=live]")
    expect(talking.locator(".line")).to_have_count(1)


def test_webrtc_falls_back_when_it_cannot_connect(open_page: OpenPage, server: FakeServer) -> None:
    server.status["webrtc"] = True
    page = open_page()
    page.get_by_role("button", name="Start talking").click()
    page.wait_for_selector("body[data-phase=live]")
    expect(page.locator("#transport-badge")).to_have_text("WebSocket")
    assert server.offers == 1


def test_without_a_network_the_socket_is_taken(open_page: OpenPage, server: FakeServer) -> None:
    # A Chromium that has only the loopback neither finds a candidate nor says that it found none.
    silence = "Object.defineProperty(RTCPeerConnection.prototype, 'onicecandidate', {set() {}});"
    server.status["webrtc"] = True
    page = open_page(init_script=silence)
    page.get_by_role("button", name="Start talking").click()
    page.wait_for_selector("body[data-phase=live]")
    expect(page.locator("#transport-badge")).to_have_text("WebSocket")
    assert server.offers == 0


def test_forced_webrtc_says_why_not(open_page: OpenPage) -> None:
    page = open_page("?transport=webrtc")
    page.get_by_role("button", name="Start talking").click()
    expect(page.get_by_role("alert")).to_contain_text("The server refused the call (501).")


def test_every_control_is_reached_by_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the conversation")).to_be_focused()
    for name in ("Settings", "Start talking"):
        page.keyboard.press("Tab")
        focused = page.get_by_role("button", name=name)
        expect(focused).to_be_focused()
        assert focused.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-phase=live]")
    expect(page.locator("#conversation")).to_be_focused()

    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    wanted = {"copy-button", "transcript", "mute-button", "ptt-button", "interrupt-button"}
    assert wanted | {"end-button", "typed-input", "send-button", "decisions"} <= reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_sideways_scrolling_at_360(open_page: OpenPage, server: FakeServer, scheme: str) -> None:
    page = open_page(width=360, height=740, color_scheme=scheme)
    fits = "document.documentElement.scrollWidth <= 360"
    assert page.evaluate(fits)
    page.get_by_role("button", name="Start talking").click()
    page.wait_for_selector("body[data-phase=live]")
    server.say(
        said("user", "Donaudampfschifffahrtsgesellschaft" * 3, 1),
        said("assistant", "Yes.", 1, interrupted=True),
        {"type": "turn", "turn": 100, "stages": {"voice_to_voice_s": 12.345, "decided_s": 1.5}},
        {"type": "decision", "kind": "BACKCHANNEL", "at_s": 3599.9, "reason": "m" * 80},
        {"type": "error", "message": "x" * 60, "fix": "y" * 60},
    )
    page.get_by_role("button", name="Push to talk").click()
    expect(page.locator("#notice")).to_be_visible()
    assert page.evaluate(fits)
    outside = page.evaluate(
        """[...document.querySelectorAll('button, input, canvas, .line')]
          .filter((e) => e.getBoundingClientRect().right > 360.5).map((e) => e.id || e.className)"""
    )
    assert outside == []
    page.click("#settings-button")
    assert page.evaluate(fits)


def test_reduced_motion_stops_the_animation(open_page: OpenPage, server: FakeServer) -> None:
    page = open_page(reduced_motion="reduce")
    page.get_by_role("button", name="Start talking").click()
    page.wait_for_selector("body[data-phase=live]")
    server.say(floor("silent", "thinking"))
    expect(page.locator("#state")).to_have_attribute("data-state", "thinking")
    style = "getComputedStyle(document.querySelector('#state .dot')).animationName"
    assert page.evaluate(style) == "none"


def test_the_policy_is_in_force(open_page: OpenPage, browser: Browser) -> None:
    """The watcher behind every test is worth something only if the browser does block."""
    context = browser.new_context()
    page = context.new_page()
    blocked: list[str] = []
    page.on("console", lambda line: blocked.append(line.text))
    page.goto(open_page().url)
    page.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.2/x'}))")
    wait_until(lambda: page.evaluate("1") == 1 and bool(blocked), "the policy's complaint")
    context.close()
    assert "Content Security Policy" in blocked[0]
