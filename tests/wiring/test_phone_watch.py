"""Calls as the server holds them: silence, length, keys, and machines that answer. Virtual time."""

import asyncio

import numpy as np

from agent.agent import Agent
from agent.audio.chunk import Int16Array
from agent.eval.scripted import unused_executor
from agent.flow import End, Flow
from agent.server.sessions import Sessions
from agent.session import Models
from agent.settings import Settings
from agent.transports.phone.call import CallFacts, Direction
from agent.transports.phone.opening import opened
from agent.transports.phone.transport import PhoneTransport
from agent.turns.policy import FusedPolicy
from tests.core.phone.calls import STREAMS
from tests.core.phone.providers import MemoryLine, Telephone, TwilioSide
from tests.scenarios.fakes import (
    FixedProsody,
    LoudnessPosterior,
    ScriptedLanguage,
    ScriptedRecogniser,
    SteadyVoice,
)
from tests.virtually import virtually

RATE = 8_000
GREETING = "Hello and welcome."


def held(
    heard: Int16Array,
    *,
    keys=(),
    direction=Direction.INBOUND,
    lines=(),
    acts=(),
    agent=None,
    **phone,
):
    """A call in which the other party sounds like `heard`; who said what until it ended."""
    return virtually(_held(heard, keys, direction, lines, acts, agent, phone))


async def _held(heard, keys, direction, lines, acts, agent, phone):
    loop = asyncio.get_running_loop()
    side = TwilioSide()
    telephone = Telephone(side, network_s=0.0)
    line = MemoryLine(telephone)
    for message in side.begin():
        telephone.says.put_nowait(message)
    stream = STREAMS["twilio"]()
    started = await opened(line, stream)
    facts = CallFacts(started.call_id, "twilio", direction=direction)
    transport = PhoneTransport(line, stream, facts)
    language = ScriptedLanguage(list(lines))
    models = Models(
        silero=LoudnessPosterior(),
        smart_turn=FixedProsody(0.9),
        recogniser=lambda: ScriptedRecogniser([]),
        policy=FusedPolicy,
        voice=SteadyVoice(),
        language=lambda _prompt: language,
        names={},
        executor=unused_executor,
    )
    settings = Settings.model_validate({"agent": {"greeting": GREETING}, "phone": phone})
    sessions = Sessions(settings, models, is_offline=True, agent=agent)
    connected = asyncio.Event()

    async def on_connected(*_):
        connected.set()

    transport.add_event_handler("on_client_connected", on_connected)
    task = asyncio.create_task(sessions.run_call(transport, transport.call))
    await connected.wait()
    (session,) = sessions.running
    began = loop.time()
    pending, doing = list(keys), list(acts)
    number = 0
    async with asyncio.timeout(200):
        while not task.done():
            at_s = loop.time() - began
            while pending and pending[0][0] <= at_s:
                telephone.says.put_nowait(side.key(pending.pop(0)[1]))
            while doing and doing[0][0] <= at_s:
                await doing.pop(0)[1](transport.call)
            piece = heard[number * 160 : (number + 1) * 160]
            packet = np.zeros(160, np.int16)
            packet[: len(piece)] = piece
            telephone.says.put_nowait(side.media(packet))
            number += 1
            await asyncio.sleep(0.02)
    await task
    said = [m["content"] for m in session.context.messages if m["role"] == "assistant"]
    asked = [m["content"] for m in session.context.messages if m["role"] == "user"]
    return said, asked, loop.time() - began, telephone


def tone(hertz: float, lasting_s: float) -> Int16Array:
    at = np.arange(round(lasting_s * RATE))
    return (9000 * np.sin(2 * np.pi * hertz / RATE * at)).astype(np.int16)


def silence(lasting_s: float) -> Int16Array:
    return np.zeros(round(lasting_s * RATE), np.int16)


def speech(lasting_s: float) -> Int16Array:
    """Loud, and no pure tone."""
    at = np.arange(round(lasting_s * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * 140 * k * at) / k for k in range(1, 12))
    return (5000 * voice).astype(np.int16)


def test_nobody_on_the_line_is_asked_and_let_go():
    ladder = {"ask_after_s": 4, "asks": 2, "question": "Are you there?", "farewell": "Goodbye."}

    said, _, lasted_s, _ = held(silence(1), ladder=ladder)

    assert said == [GREETING, "Are you there?", "Are you there?", "Goodbye."]
    assert 12 < lasted_s < 22


def test_a_call_that_does_not_end_is_ended():
    ladder = {"ask_after_s": 100, "longest_s": 10, "time_is_up": "Time is up."}

    said, _, lasted_s, _ = held(silence(1), ladder=ladder)

    assert said[-1] == "Time is up." and 10 < lasted_s < 16


def test_keys_nobody_asked_for_are_told_to_the_conversation():
    keys = [(2.0, "1"), (2.4, "2"), *((6.0 + i / 10, "4") for i in range(16))]
    ladder = {"ask_after_s": 5, "asks": 0, "farewell": "Goodbye."}

    _, asked, _, _ = held(silence(1), keys=keys, lines=["Good.", "Thank you."], ladder=ladder)

    assert "12" in asked[0] and "16 keys" in asked[1] and "4444" not in "".join(asked)


def test_a_person_we_call_is_greeted_after_their_word():
    answered = np.concatenate([silence(1.0), speech(0.5), silence(30)])
    ladder = {"ask_after_s": 5, "asks": 0, "farewell": "Goodbye."}

    said, _, _, telephone = held(
        answered, direction=Direction.OUTBOUND, detect_machines=True, ladder=ladder
    )

    assert said == [GREETING, "Goodbye."]
    assert telephone.arrivals


def test_a_machine_is_told_the_message_after_its_beep():
    machine = np.concatenate([silence(0.5), speech(4.0), silence(0.5), tone(1000, 0.5)])

    said, _, lasted_s, telephone = held(
        machine,
        direction=Direction.OUTBOUND,
        detect_machines=True,
        voicemail="Please call us back.",
    )

    assert said == ["Please call us back."]
    began = telephone.arrivals[0][0]
    # Nothing of ours sounds before the beep is over, 5.5 s into the call.
    assert began >= 5.5 and lasted_s > 5.5 + 4 * 0.4


def test_a_machine_is_told_nothing_when_there_is_nothing_to_tell():
    machine = np.concatenate([silence(0.5), speech(6.0)])

    said, _, lasted_s, telephone = held(machine, direction=Direction.OUTBOUND, detect_machines=True)

    assert said == [] and telephone.arrivals == [] and lasted_s < 10.0


def test_a_number_out_of_service_is_hung_up_on():
    tones = np.concatenate([silence(0.5), tone(950, 0.33), tone(1400, 0.33), tone(1800, 0.33)])

    said, _, lasted_s, _ = held(tones, direction=Direction.OUTBOUND, detect_machines=True)

    assert said == [] and lasted_s < 3.0


def test_who_is_on_hold_hears_music_and_is_not_asked_whether_they_are_there():
    acts = [(3.0, lambda call: call.hold()), (15.0, lambda call: call.resume())]
    ladder = {"ask_after_s": 4, "asks": 0, "farewell": "Goodbye."}

    said, _, lasted_s, telephone = held(silence(1), acts=acts, ladder=ladder)

    assert said == [GREETING, "Goodbye."] and lasted_s > 18
    origin = telephone.arrivals[0][0]
    track = telephone.track(origin, origin + 20).astype(float)
    seconds = [np.abs(track[i : i + RATE]).max() for i in range(0, 18 * RATE, RATE)]
    assert all(level > 500 for level in seconds[4:11]), "silence on hold"
    assert max(seconds[4:11]) < 9000 and max(seconds[16:18]) < 100


def test_who_enters_a_number_slowly_is_not_asked_whether_they_are_there():
    entered = []

    def agent():
        flow: Flow[dict] = Flow()

        @flow.step
        async def card(talk):
            entered.append(await talk.collect_digits("Your card?", 8, patience_s=12))
            return End("Thank you.")

        return Agent(flow=flow)

    keys = [(8.0 + 3 * i, key) for i, key in enumerate("42424242")]
    ladder = {"ask_after_s": 4, "asks": 2}

    said, asked, _, _ = held(silence(1), keys=keys, agent=agent, ladder=ladder)

    assert entered == ["42424242"]
    assert said == ["Your card?", "Thank you."] and asked == []
