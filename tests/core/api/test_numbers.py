"""Numbers entered by keys or by voice, and what a telephone can do for a tool."""

import asyncio

import pytest

from agent.conversation import Conversation
from agent.errors import DegradedError
from agent.tools import telephone
from agent.transports.phone.call import Call, CallFacts, Capabilities
from agent.values import Expects
from tests.core.api.talks import TextFloor, talk

FACTS = CallFacts("1", "sip", caller="+4930123", headers={"X-Ticket": "7"})


class Control:
    def __init__(self):
        self.pressed = ""

    async def send_dtmf(self, digits):
        self.pressed += digits


class PatientFloor(TextFloor):
    """Says nothing by voice until it is told to."""

    def __init__(self):
        super().__init__()
        self.voice = asyncio.Queue()
        self.asked = asyncio.Event()
        self.secret = None

    async def listen(self, patience_s, expects: Expects):
        self.secret = expects.secret
        self.asked.set()
        return await self.voice.get()


def on_the_phone():
    call = Call(FACTS, Capabilities(dtmf_in=True, dtmf_out=True, transfer=True), Control())
    floor = PatientFloor()
    return Conversation(floor, call=call), floor, call


async def entering(conversation, floor, **options):
    task = asyncio.ensure_future(conversation.collect_digits("Your card?", 16, **options))
    await floor.asked.wait()
    return task


async def test_keys_stop_the_question_and_are_the_number():
    conversation, floor, call = on_the_phone()
    task = await entering(conversation, floor)
    for key in "4242424242424242":
        call.pressed(key)
        await asyncio.sleep(0)
    assert await task == "4242424242424242"
    assert floor.said == ["Your card?", "<hush>"] and floor.secret


async def test_a_number_that_is_said_counts_as_well():
    conversation, floor, _ = on_the_phone()
    task = await entering(conversation, floor)
    floor.voice.put_nowait("four two four two " * 4)
    assert await task == "4242424242424242"


async def test_too_few_keys_are_asked_for_again():
    conversation, floor, call = on_the_phone()
    task = await entering(conversation, floor, least=4)
    floor.asked.clear()
    for key in "12#":
        call.pressed(key)
        await asyncio.sleep(0)
    await floor.asked.wait()
    assert "I got 2 digits" in floor.said[-1]
    for key in "1234#":
        call.pressed(key)
        await asyncio.sleep(0)
    assert await task == "1234"


async def test_the_end_of_the_call_ends_the_question():
    conversation, floor, call = on_the_phone()
    task = await entering(conversation, floor)
    call.pressed("1")
    await asyncio.sleep(0)
    call.ended()
    assert await task is None
    assert len(floor.said) == 2, "nobody is asked again"


async def test_without_a_telephone_only_the_voice_counts():
    conversation, _ = talk("1 2 3 4")
    assert await conversation.collect_digits("Your PIN?", 4) == "1234"


async def test_the_model_is_told_only_how_many_digits_there_were():
    conversation, _ = talk("4242 4242 4242 4242")
    told = await telephone.collect_number(conversation, "Your card?", 16, "card")
    assert told == "the caller entered 16 digits"
    assert conversation.numbers == {"card": "4242424242424242"}
    assert conversation.with_state(1).numbers is conversation.numbers


async def test_keys_are_pressed_where_there_are_some():
    conversation, _, call = on_the_phone()
    assert await telephone.press_keys(conversation, "12#") == "pressed"
    assert call.control.pressed == "12#"
    assert "keys are" in await telephone.press_keys(conversation, "x")
    with pytest.raises(DegradedError):
        await talk()[0].press("1")


async def test_a_tool_sees_the_call_it_is_on():
    conversation, _, _ = on_the_phone()
    assert conversation.caller == "+4930123"
    assert conversation.call.facts.headers["X-Ticket"] == "7"


async def test_where_a_call_goes_is_not_the_models_choice():
    conversation, floor = talk()
    assert await telephone.transfer_call(conversation, "+49301234", "A parcel.") == "connected"
    assert floor.transferred == "+49301234"
    assert "not connected" in await telephone.transfer_call(conversation, "nowhere")
    await telephone.hang_up(conversation, "Goodbye.")
    assert floor.said[-1] == "Goodbye." and floor.ended
