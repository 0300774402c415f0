"""Language model: time to first token cold, warm and in conversation, and tokens a second.

Runs every catalogued model that is on this machine through the child process the agent uses, over
HTTP as the agent does. Prints one line of JSON. Run from the project's root:

    python -m benchmarks.llm --rounds 5
"""

import argparse
import asyncio
import hashlib
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
from loguru import logger

from agent.errors import MissingModelError
from agent.llm.embedded import EmbeddedServer, EmbeddedSettings, ServerDown, ServerEvent
from agent.llm.prompt import system_prompt
from agent.llm.sampling import Sampling, embedded_extra
from agent.llm.warm import PromptWarmer
from agent.models import store
from agent.models.catalog import CATALOG
from agent.models.description import Role
from benchmarks import machine

_TURNS = 8
_CUT_WORDS = 6

_QUESTIONS = (
    "Hi, who am I talking to?",
    "How much is a cleaning?",
    "Are you open on Sundays?",
    "What should I bring when I come in?",
    "Can I park my car near the clinic?",
    "My daughter is six, can she come too?",
    "How long does a cleaning take?",
    "Thank you very much, goodbye.",
)

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One streamed answer: first token in ms, tokens read in, tokens a second, the text."""

    first_ms: float
    read_tokens: int
    tokens_per_s: float
    text: str


class Session:
    """One conversation on one slot. `number` makes its prompt differ from the first token on."""

    def __init__(self, client: httpx.AsyncClient, number: int, slot: int) -> None:
        self._client = client
        self.slot = slot
        clinic = (
            "You answer the phone at Bright Smile, a dental clinic. Opening hours are Monday to "
            "Friday, nine to five. A cleaning costs eighty dollars."
        )
        self.messages: Messages = [_message("system", system_prompt(f"Call {number}. {clinic}"))]

    async def ask(self, question: str, least_tokens: int = 0) -> Answer:
        """Put a question and add both sides to the conversation."""
        self.messages.append(_message("user", question))
        body: dict[str, Any] = {"messages": self.messages, "stream": True}
        body |= asdict(Sampling()) | embedded_extra(self.slot)
        if least_tokens:
            body |= {"max_tokens": least_tokens, "ignore_eos": True}
        answer = await self._stream(body)
        self.messages.append(_message("assistant", answer.text))
        return answer

    async def _stream(self, body: Mapping[str, Any]) -> Answer:
        timings: dict[str, Any] = {}
        began, first_ms, text = time.perf_counter(), 0.0, ""
        async with self._client.stream("POST", "/v1/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                event = json.loads(line.removeprefix("data: "))
                timings = event.get("timings", timings)
                delta = event["choices"][0]["delta"].get("content") if event["choices"] else None
                if delta and not text:
                    first_ms = (time.perf_counter() - began) * 1000
                text += delta or ""
        return Answer(first_ms, timings["prompt_n"], timings["predicted_per_second"], text)

    def cut_off(self) -> None:
        """Replace the last answer by its first words, as a barge-in does."""
        heard = self.messages.pop()["content"].split()[:_CUT_WORDS]
        self.messages.append(_message("assistant", " ".join(heard)))


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _summary(answers: Sequence[Answer]) -> dict[str, Any]:
    return {
        "first_token_ms_p50": round(statistics.median(a.first_ms for a in answers)),
        "first_token_ms_max": round(max(a.first_ms for a in answers)),
        "tokens_read_p50": statistics.median(a.read_tokens for a in answers),
        "n": len(answers),
    }


class Run:
    """All measurements on one running server."""

    def __init__(self, server: EmbeddedServer, client: httpx.AsyncClient, rounds: int) -> None:
        self._server = server
        self._client = client
        self._rounds = rounds
        self._number = 0

    def _session(self, slot: int = 0) -> Session:
        self._number += 1
        return Session(self._client, self._number, slot)

    async def all(self) -> dict[str, Any]:
        """Measure; the first answer after loading is thrown away."""
        await self._session().ask(_QUESTIONS[0])
        return {
            "cold": _summary([await self._session().ask(_QUESTIONS[0]) for _ in self._each()]),
            **await self._conversations(),
            "interrupted": _summary([await self._interrupted(False) for _ in self._each()]),
            "interrupted_warmed": _summary([await self._interrupted(True) for _ in self._each()]),
            "two_sessions_in_turn": _summary(await self._two_in_turn()),
            "two_sessions_at_once": _summary(await self._two_at_once()),
            "tokens_per_s_p50": round(await self._speed(), 1),
        }

    def _each(self) -> range:
        return range(self._rounds)

    async def _warm(self, session: Session) -> None:
        warmer = PromptWarmer(self._server.base_url)
        await warmer.warm(session.messages, slot=session.slot)
        await warmer.close()

    async def _conversations(self) -> dict[str, Any]:
        by_turn: list[list[Answer]] = [[] for _ in range(_TURNS)]
        for _ in self._each():
            session = self._session()
            await self._warm(session)
            for turn, question in enumerate(_QUESTIONS):
                by_turn[turn].append(await session.ask(question))
        return {
            "warm": _summary(by_turn[0]),
            "follow_up": _summary([answer for turn in by_turn[1:] for answer in turn]),
            "follow_up_by_earlier_turns": {
                str(turn): _summary(answers) for turn, answers in enumerate(by_turn) if turn
            },
        }

    async def _interrupted(self, is_warmed: bool) -> Answer:
        session = self._session()
        await self._warm(session)
        await session.ask("Tell me everything about the clinic.", least_tokens=40)
        session.cut_off()
        if is_warmed:
            await self._warm(session)
        return await session.ask("No, just the price, please.")

    async def _two_in_turn(self) -> list[Answer]:
        sessions = [self._session(slot) for slot in (0, 1)]
        for session in sessions:
            await self._warm(session)
        return [
            await session.ask(question)
            for question in _QUESTIONS[: self._rounds]
            for session in sessions
        ]

    async def _two_at_once(self) -> list[Answer]:
        sessions = [self._session(slot) for slot in (0, 1)]
        for session in sessions:
            await self._warm(session)
        answers: list[Answer] = []
        for question in _QUESTIONS[: self._rounds]:
            answers += await asyncio.gather(*(session.ask(question) for session in sessions))
        return answers

    async def _speed(self) -> float:
        answers = [await self._session().ask("Tell me a story.", 64) for _ in self._each()]
        return statistics.median(answer.tokens_per_s for answer in answers)


def _rss_mib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    return 0


async def _measure(name: str, gguf: Path, rounds: int) -> dict[str, Any]:
    server = EmbeddedServer(EmbeddedSettings(gguf, name))
    began = time.perf_counter()
    events: list[ServerEvent] = []
    server.subscribe(events.append)
    base_url = await server.start()
    ready_s = time.perf_counter() - began
    assert server.pid is not None
    loaded_mib = _rss_mib(server.pid)
    try:
        root = base_url.removesuffix("/v1")
        # The server hangs up after five quiet seconds, now and then just as a request leaves.
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=root, timeout=120.0, limits=limits) as client:
            figures = await Run(server, client, rounds).all()
        return {
            "sha256": hashlib.sha256(gguf.read_bytes()).hexdigest(),
            "ready_s": round(ready_s, 2),
            "rss_mib_loaded": loaded_mib,
            "deaths": sum(isinstance(event, ServerDown) for event in events),
            "rss_mib_after": _rss_mib(server.pid),
            **figures,
        }
    finally:
        await server.stop()


async def _main(rounds: int, only: str | None) -> None:
    models: dict[str, Any] = {}
    for name in (model.name for model in CATALOG.values() if model.role is Role.LLM):
        if only and name != only:
            continue
        try:
            gguf = store.locate(name) / "model.gguf"
        except MissingModelError as error:
            models[name] = {"absent": str(error)}
            continue
        models[name] = await _measure(name, gguf, rounds)
    print(json.dumps({"benchmark": "llm", "rounds": rounds} | machine.describe() | {"llm": models}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="1 to 8")
    parser.add_argument("--model", help="only this one")
    arguments = parser.parse_args()
    logger.remove()
    asyncio.run(_main(arguments.rounds, arguments.model))


if __name__ == "__main__":
    main()
