"""Does the embedded model understand that it was cut off, and does telling it do harm?

    python -m benchmarks.interrupted [--seeds 3] [--verbose]

Twenty conversations in which the user cuts an answer off, with a question, a correction or a wish
to hear the rest. The cut is told in five ways: not at all, by dots, by a dash, by a dash that the
system prompt explains, by a note of its own as larger models get it. Counted: next answers that
imitate the mark or talk of the cut, and of the four wishes to hear the rest those that go on with
what was being said (its subject comes again), and answers that refuse. Prints one JSON line.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import httpx
from loguru import logger

from agent.llm.embedded import EmbeddedServer, EmbeddedSettings
from agent.llm.prompt import INTERRUPTED_NOTE, system_prompt
from agent.llm.sampling import Sampling, embedded_extra
from agent.models import store
from agent.models.catalog import CATALOG
from agent.models.description import Role
from benchmarks import machine

_GUIDE = "You are a friendly guide. You like to talk with people."
_DASH = " \N{EM DASH}"
_RULE = " A dash at the end of what you said means that the user cut you off there."

_CONVERSATIONS = (
    ("Tell me about the moon.", "The moon is the Earth's only natural satellite, and it is about",
     "No, tell me about Mars."),
    ("Tell me about Saturn.", "Saturn is the sixth planet from the sun and",
     "How many moons does it have?"),
    ("What should I cook tonight?", "You could make a simple pasta with", "I don't like pasta."),
    ("How do I boil an egg?", "Put the egg in a pot of cold water and then",
     "And how long does it take?"),
    ("Who was Marie Curie?", "Marie Curie was a physicist who", "When was she born?"),
    ("Tell me a story.", "Once upon a time there was a little fox who lived in",
     "Make it about a dog."),
    ("What is the capital of France?", "The capital of France is", "Sorry, I meant Spain."),
    ("How far is the sun?", "The sun is about ninety three million", "In kilometers, please."),
    ("What are your opening hours?", "We are open from Monday to", "And on Sundays?"),
    ("Tell me something about Italy.", "Italy is a country in Europe, shaped like a",
     "Stop. Tell me about Greece."),
    ("Why is the sky blue?", "The sky is blue because the light of the sun is", "Because what?"),
    ("Tell me about Paris.", "Paris is the capital of France and it has", "What did you say?"),
    ("Give me some advice about sleep.", "You should go to bed at the same", "Okay, thank you."),
    ("How do I make tea?", "First you boil the water and pour it over the",
     "I know that. Which tea is best?"),
    ("Do you know a joke?", "Why did the chicken cross", "I know that one."),
    ("What is a black hole?", "A black hole is a place where gravity is so strong that",
     "Is it dangerous?"),
    ("Tell me about the moon.", "The moon is the Earth's only natural satellite, and it is about",
     "Sorry, go on."),
    ("What should I do today?", "You could go for a walk in the park and",
     "Sorry, what were you saying?"),
    ("How do plants grow?", "Plants grow by taking in water and", "Please continue."),
    ("Tell me about bees.", "Bees are insects that make honey, and they", "Yes, go on."),
)  # fmt: skip
"""Question, words of the answer that were heard, and what cut it off; the last four want more."""

_WANT_MORE = 4
_ABOUT = ("moon", "walk", "plant", "bees")

Messages = list[dict[str, str]]


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


_WAYS: Mapping[str, tuple[str, Callable[[str], Messages]]] = {
    "not told": ("", lambda heard: [_assistant(heard)]),
    "dots": ("", lambda heard: [_assistant(f"{heard}...")]),
    "dash": ("", lambda heard: [_assistant(heard + _DASH)]),
    "dash, explained": (_RULE, lambda heard: [_assistant(heard + _DASH)]),
    "note": (
        "",
        lambda heard: [_assistant(heard), {"role": "system", "content": INTERRUPTED_NOTE}],
    ),
}


def _imitates(answer: str) -> bool:
    """Whether it ends as if cut off, or says that it was."""
    text = answer.lower().rstrip()
    return text.endswith(
        ("...", "\N{EM DASH}", "\N{EN DASH}", "-", "\N{HORIZONTAL ELLIPSIS}")
    ) or any(
        word in text for word in ("cut off", "cut you off", "interrupt", "hear the rest", "dash")
    )


def _refuses(answer: str) -> bool:
    text = answer.lower()
    return any(
        words in text for words in ("can't", "cannot", "don't know", "didn't know", "not sure")
    )


async def _ask(client: httpx.AsyncClient, messages: Messages, seed: int) -> str:
    body: dict[str, Any] = {"messages": messages, "seed": seed}
    body |= asdict(Sampling()) | embedded_extra(0)
    response = await client.post("/v1/chat/completions", json=body)
    return str(response.json()["choices"][0]["message"]["content"])


async def _answers(
    client: httpx.AsyncClient, rule: str, cut: Callable[[str], Messages], seed: int
) -> list[str]:
    prompt = {"role": "system", "content": system_prompt(_GUIDE) + rule}
    answers = []
    for question, heard, next_question in _CONVERSATIONS:
        asked = [prompt, {"role": "user", "content": question}, *cut(heard)]
        asked.append({"role": "user", "content": next_question})
        answers.append(await _ask(client, asked, seed))
    return answers


async def _main(seeds: int, *, verbose: bool) -> dict[str, Any]:
    name = next(model.name for model in CATALOG.values() if model.role is Role.LLM)
    server = EmbeddedServer(EmbeddedSettings(store.locate(name) / "model.gguf", name))
    root = (await server.start()).removesuffix("/v1")
    ways: dict[str, Counter[str]] = {}
    try:
        # The server hangs up after five quiet seconds, now and then just as a request leaves.
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=root, timeout=120.0, limits=limits) as client:
            for way, (rule, cut) in _WAYS.items():
                counts = ways[way] = Counter()
                for seed in range(1, seeds + 1):
                    answers = await _answers(client, rule, cut, seed)
                    more = zip(answers[-_WANT_MORE:], _ABOUT, strict=True)
                    counts["conversations"] += len(answers)
                    counts["imitate_or_talk_of_it"] += sum(map(_imitates, answers))
                    counts["refuse"] += sum(map(_refuses, answers))
                    counts["go_on_when_asked_to"] += sum(
                        about in answer.lower() for answer, about in more
                    )
                    for (_, heard, asked), answer in zip(_CONVERSATIONS, answers, strict=True):
                        if verbose:
                            print(f"{way}: {heard} | {asked} | {answer}", file=sys.stderr)
    finally:
        await server.stop()
    return {"benchmark": "interrupted", "model": name, "told": ways} | machine.describe()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--verbose", action="store_true", help="every answer, on standard error")
    given = parser.parse_args()
    logger.remove()
    print(json.dumps(asyncio.run(_main(given.seeds, verbose=given.verbose))))
