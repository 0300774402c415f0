"""Whatever a Realtime client sends: each event is answered, and no session is lost.

    python -m tests.realtime_fuzz --cases 100000                   the protocol alone
    python -m tests.realtime_fuzz --cases 5000 --url ws://127.0.0.1:7860/v1/realtime

Events are taken from a grammar of right ones, and most are then broken: a value of another type, a
key gone, a key too many, text cut, bytes. Between them happens what happens in a conversation.
"""

import argparse
import asyncio
import base64
import json
import random
from collections.abc import Iterator
from typing import Annotated, Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import Field, TypeAdapter

from agent.transports.realtime.configuration import Configuration
from agent.transports.realtime.protocol import RealtimeProtocol

AUDIO = base64.b64encode(bytes(4800)).decode()

SERVER_EVENT: TypeAdapter[Any] = TypeAdapter(
    Annotated[RealtimeServerEvent, Field(discriminator="type")]
)
"""What the unmodified SDK knows."""

ODD: list[Any] = [
    None, True, False, 0, -1, 1e308, float("nan"), float("inf"), "", "x" * 5000, "\ud800", "root",
    [], {}, [[]], [None], {"type": None}, {"type": "function"}, 2**70, "é\u0000", [1, "2", {}],
]  # fmt: skip

MODALITIES = ("audio", "text")

TOOL = {
    "type": "function",
    "name": "look",
    "description": "Look something up.",
    "parameters": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
}


def events(
    dice: random.Random, ids: list[str], calls: list[str], responses: list[str]
) -> Iterator[Any]:
    """Endless messages of a client that has gone wrong, one in four of them right."""
    while True:
        event = _right(dice, ids, calls, responses)
        for _ in range(dice.choice((0, 1, 1, 2))):
            event = _broken(dice, event)
        if dice.random() < 0.05:
            yield dice.choice(
                (dice.randbytes(dice.randrange(40)), "", "{", "[" * 5000, "null", "1")
            )
            continue
        text = json.dumps(event)
        yield text[: dice.randrange(len(text) + 1)] if dice.random() < 0.03 else text


def _right(
    dice: random.Random, ids: list[str], calls: list[str], responses: list[str]
) -> dict[str, Any]:
    some_id = dice.choice(ids) if ids else "item_none"
    call_id = dice.choice(calls) if calls else "call_none"
    turns = [
        None,
        {"type": "server_vad", "silence_duration_ms": 300, "create_response": False},
        {"type": "semantic_vad", "eagerness": dice.choice(("low", "high", "auto"))},
    ]
    items = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Yes?"}]},
        {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "seeded"},
        {"type": "function_call_output", "call_id": call_id, "output": "{}"},
        {"type": "function_call_output", "call_id": "seeded", "output": ""},
    ]
    audio = {"input": {"turn_detection": dice.choice(turns), "format": {"type": "audio/pcmu"}}}
    choices: list[dict[str, Any]] = [
        {"type": "session.update", "session": {"type": "realtime", "audio": audio}},
        {"type": "session.update", "session": {"instructions": "Be kind.", "tools": [TOOL]}},
        {"type": "session.update", "session": {"turn_detection": None, "voice": "alloy"}},
        {
            "type": "session.update",
            "session": {"tool_choice": {"type": "function", "name": "look"}},
        },
        {"type": "input_audio_buffer.append", "audio": AUDIO},
        {"type": "input_audio_buffer.append", "audio": AUDIO},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.clear"},
        {"type": "conversation.item.create", "item": dice.choice(items)},
        {
            "type": "conversation.item.create",
            "item": dice.choice(items),
            "previous_item_id": dice.choice(("root", some_id)),
        },
        {"type": "conversation.item.retrieve", "item_id": some_id},
        {"type": "conversation.item.delete", "item_id": some_id},
        {
            "type": "conversation.item.truncate",
            "item_id": some_id,
            "content_index": 0,
            "audio_end_ms": dice.randrange(400),
        },
        {"type": "response.create"},
        {"type": "response.create", "response": {"instructions": "Greet.", "metadata": {"a": "b"}}},
        {"type": "response.create", "response": {"output_modalities": ["text"]}},
        {
            "type": "response.create",
            "response": {
                "conversation": "none",
                "output_modalities": ["text"],
                "input": [dice.choice(items), {"type": "item_reference", "id": some_id}],
                "tools": [TOOL],
            },
        },
        {"type": "response.create", "response": {"conversation": "none", "max_output_tokens": 5}},
        {"type": "session.update", "session": {"output_modalities": [dice.choice(MODALITIES)]}},
        {"type": "response.cancel"},
        {"type": "response.cancel", "response_id": dice.choice(responses or ["resp_none"])},
    ]
    return {**dice.choice(choices), "event_id": f"mine_{dice.randrange(1000)}"}


def _broken(dice: random.Random, event: Any) -> Any:
    """Change one thing somewhere."""
    if isinstance(event, dict) and event and dice.random() < 0.8:
        key = dice.choice(sorted(event))
        match dice.randrange(4):
            case 0:
                return {name: value for name, value in event.items() if name != key}
            case 1:
                return {**event, key: dice.choice(ODD)}
            case 2:
                return {**event, dice.choice(("extra", "type", "item_id", "audio")): "other"}
            case _:
                return {**event, key: _broken(dice, event[key])}
    if isinstance(event, list) and event and dice.random() < 0.8:
        index = dice.randrange(len(event))
        return [*event[:index], _broken(dice, event[index]), *event[index + 1 :]]
    return dice.choice(ODD)


class Session:
    """A session, its client, and a pipeline that does what is asked, in its own time."""

    def __init__(self, seed: int, *, is_beta: bool = False) -> None:
        self.dice = random.Random(seed)
        settings = Configuration("duplex", "Be brief.", "af_heart", frozenset({"af_heart"}))
        self.protocol = RealtimeProtocol(settings, is_beta=is_beta)
        self.ids: list[str] = []
        self.calls: list[str] = []
        self.errors = self.accepted = 0
        self.responses: list[str] = []
        self._messages = events(self.dice, self.ids, self.calls, self.responses)
        self._last_call = 0

    def step(self) -> None:
        """One message, then whatever happens meanwhile.

        Raises:
            AssertionError: It was not answered as it must be.
        """
        message = next(self._messages)
        self.protocol.read(message)
        sent, _ = self._take()
        errors = [event["error"] for event in sent if event["type"] == "error"]
        assert len(errors) <= 1, (message, errors)
        for error in errors:
            assert error["message"] and error["code"] and error["type"], error
        self.errors += bool(errors)
        self.accepted += not errors
        self._happen()

    def _take(self) -> tuple[list[dict[str, Any]], list[Any]]:
        sent, commands = self.protocol.take()
        for event in sent:
            json.dumps(event)
            assert event["event_id"]
            if not self.protocol.is_beta:
                SERVER_EVENT.validate_python(event)
            if event["type"] == "response.created":
                self.responses.append(event["response"]["id"])
                del self.responses[:-10]
            item = event.get("item")
            if item and item["id"] not in self.ids:
                self.ids.append(item["id"])
                del self.ids[:-40]
            if event["type"] == "response.function_call_arguments.done":
                self.calls.append(event["call_id"])
                del self.calls[:-10]
        return sent, commands

    def _happen(self) -> None:
        """Something of a conversation, sensible or not: the pipeline is fuzzed too."""
        protocol, dice = self.protocol, self.dice
        at_s = dice.random() * 100
        match dice.randrange(15):
            case 0:
                states = ("silent", "thinking", "speaking", "paused")
                floor = {"user": dice.choice(("silent", "speaking")), "agent": dice.choice(states)}
                protocol.told({"type": "floor", **floor, "at_s": at_s})
            case 1:
                kind = dice.choice(("COMMIT", "HOLD", "BACKCHANNEL", "BARGE_IN", "REPEAT", "DUCK"))
                protocol.told({"type": "decision", "kind": kind, "at_s": at_s, "evidence": {}})
            case 2:
                text = " ".join(["so", "it", "is"][: dice.randrange(4)])
                is_final = dice.random() < 0.5
                told = {"type": "transcript", "role": "user", "text": text, "final": is_final}
                protocol.told(told)
            case 3 | 4:
                protocol.queued(960, [("word", dice.randrange(480))])
                protocol.sent(bytes(960))
            case 5:
                protocol.told({"type": "transcript", "role": "assistant", "text": "word word"})
            case 6:
                protocol.ended()
            case 7:
                protocol.interrupted()
            case 8:
                self._last_call += 1
                name = dice.choice(("look", "own"))
                protocol.called(name, f"call_{self._last_call}", '{"x": 1}')
            case 9:
                protocol.turn_stored()
            case 10:
                protocol.wrote("some words ")
            case 11:
                protocol.ended(failure="the model is gone")
            case 12 if self.responses:
                aside = dice.choice(self.responses)
                protocol.asides.wrote(aside, "words")
                if dice.random() < 0.3:
                    protocol.asides.called(aside, "look", "call_aside", "{}")
                if dice.random() < 0.5:
                    protocol.asides.ended(aside, dice.choice(("", "the model is gone")))
            case 13 if self.calls:
                protocol.result_stored(dice.choice(self.calls))
        self._take()

    def is_alive(self) -> bool:
        """Whether a right event still gets its answer."""
        self.protocol.read('{"type": "session.update", "session": {"instructions": "Hi."}}')
        return "session.updated" in [event["type"] for event in self._take()[0]]


def run(cases: int, seed: int = 0, length: int = 1000) -> dict[str, int]:
    """Fuzz sessions of `length` messages each; return what became of them."""
    found = {"cases": 0, "errors": 0, "accepted": 0, "sessions": 0, "lost": 0}
    while found["cases"] < cases:
        session = Session(seed + found["sessions"], is_beta=found["sessions"] % 4 == 3)
        steps = min(length, cases - found["cases"])
        for _ in range(steps):
            session.step()
        found["cases"] += steps
        found["errors"] += session.errors
        found["accepted"] += session.accepted
        found["sessions"] += 1
        found["lost"] += not session.is_alive()
    return found


async def run_live(url: str, cases: int, seed: int = 0) -> dict[str, int]:
    """Fuzz one session of a running server over its socket."""
    import websockets

    dice = random.Random(seed)
    found = {"cases": cases, "errors": 0, "accepted": 0, "sessions": 1, "lost": 1}
    async with websockets.connect(url, max_size=None) as socket:
        messages = events(dice, [], [], [])

        async def write() -> None:
            for _ in range(cases):
                await socket.send(next(messages))
            await socket.send('{"type": "session.update", "session": {"instructions": "The end."}}')

        writing = asyncio.create_task(write())
        async for message in socket:
            event = json.loads(message)
            found["errors"] += event["type"] == "error"
            if (
                event["type"] == "session.updated"
                and event["session"]["instructions"] == "The end."
            ):
                found["lost"] = 0
                break
        await writing
    found["accepted"] = cases - found["errors"]
    return found


def main() -> None:
    """Fuzz, and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--url", help="a running server's /v1/realtime")
    given = parser.parse_args()
    if given.url:
        print(json.dumps(asyncio.run(run_live(given.url, given.cases, given.seed))))
    else:
        print(json.dumps(run(given.cases, given.seed)))


if __name__ == "__main__":
    main()
