"""What the embedded language model makes of the texts of a cache; `turns_across` judges it.

    python -m benchmarks.turns_wording --cache CACHE
    python -m benchmarks.turns_wording --cost

Adds to CACHE (`benchmarks.turns_cache`), for every request in it, the probability that its text is
all the caller says, as the agent asks for it: behind the default agent's prompt and greeting. A run
that was stopped goes on where it stopped.

`--cost` prints what a reading takes, in milliseconds of one core (Linux): of a text of which two
words are new, as the agent reads it, and as the model would be asked to answer it.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.llm import weights
from agent.llm.embedded import EmbeddedServer, EmbeddedSettings
from agent.llm.prompt import system_prompt
from agent.llm.warm import PromptWarmer
from agent.settings import Settings
from agent.turns.completeness import without_mark
from benchmarks.machine import describe
from benchmarks.turns_cache import load

SAID = (
    "could you tell me whether the last train to the airport leaves before half past eleven "
    "tonight or whether I should rather take the bus that stops behind the station"
)


async def ask(cache: Path) -> int:
    """Add what is not yet known; return how much that was."""
    unread = sorted({one.text for one in load(cache) if not one.expects and one.wording is None})
    async with _model() as model:
        with cache.open("a", encoding="utf-8") as lines:
            for text in unread:
                ends = await model.warmer.read_ahead(model.asked(without_mark(text)), slot=0)
                lines.write(json.dumps({"read": text, "ends": ends}) + "\n")
                lines.flush()
    return len(unread)


@dataclass(frozen=True, slots=True)
class _Model:
    server: EmbeddedServer
    warmer: PromptWarmer
    before: list[dict[str, str]]

    def asked(self, text: str) -> list[dict[str, str]]:
        return [*self.before, {"role": "user", "content": text}]


@asynccontextmanager
async def _model() -> AsyncIterator[_Model]:
    """The default agent's, behind its greeting."""
    settings = Settings()
    found = weights.find(settings.llm.embedded, settings.models.paths)
    server = EmbeddedServer(EmbeddedSettings(found.gguf, found.name, slots=2))
    warmer = PromptWarmer(await server.start())
    before = [
        {"role": "system", "content": system_prompt(settings.agent.instructions)},
        {"role": "assistant", "content": settings.agent.greeting},
    ]
    try:
        yield _Model(server, warmer, before)
    finally:
        await warmer.close()
        await server.stop()


async def cost() -> dict[str, Any]:
    """Measure, both ways in turn, so that a busy machine is as busy for one as for the other."""
    words = SAID.split()
    async with _model() as model:
        ways = (model.warmer.read_ahead, model.warmer.warm)
        taken_s = [0.0, 0.0]
        for count in range(2, len(words) + 1, 2):
            for slot, read in enumerate(ways):
                before_s = _busy_s(model.server.pid)
                await read(model.asked(" ".join(words[:count])), slot=slot)
                # The first reads the prompt, too.
                taken_s[slot] += _busy_s(model.server.pid) - before_s if count > 2 else 0.0
    readings = len(words) // 2 - 1
    ahead_ms, asked_ms = (round(1000 * one_s / readings, 1) for one_s in taken_s)
    found = {"readings": readings, "read_ahead_ms": ahead_ms, "as_asked_ms": asked_ms}
    return {"benchmark": "turns_wording"} | found | describe()


def _busy_s(pid: int | None) -> float:
    """Processor time of a process."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--cache", type=Path)
    what.add_argument("--cost", action="store_true")
    options = parser.parse_args()
    if options.cost:
        print(json.dumps(asyncio.run(cost())))
    else:
        print(json.dumps({"texts": asyncio.run(ask(options.cache))}))
