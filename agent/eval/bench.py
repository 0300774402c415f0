"""`duplex bench`: hold scenarios, print the score, draw the report."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger

from agent.agent import Agent
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.errors import SettingsError
from agent.eval.caller import Call, Caller
from agent.eval.judge import judge
from agent.eval.line import Line as Wire
from agent.eval.line import noise_track
from agent.eval.parties import PARTIES
from agent.eval.scenario import Line, Scenario, load, made
from agent.eval.score import Card, score
from agent.eval.speaking import speaker
from agent.parts import Parts
from agent.replay import read
from agent.runtimes import Runtimes
from agent.session import Models
from agent.virtual_time import VirtualLoop

_TALKERS = (
    "So I told her that we would come on Sunday, if the weather holds.",
    "Have you seen the new place at the corner? They close at eight.",
    "It was much too long, and the ending made no sense at all.",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a scenario.

    Attributes:
        scenario: As it was written.
        party: Who was called.
        call: The conversation.
        card: Its score.
        live: Whether it ran at the pace of speech, so that times hold the models' work.
    """

    scenario: Scenario
    party: str
    call: Call
    card: Card
    live: bool

    @property
    def faults(self) -> list[str]:
        """What is worse than the scenario allows; empty is a pass."""
        return self.card.exceeded(self.scenario.limits)

    def require(self) -> None:
        """Fail a test unless everything is as the scenario wants it.

        Raises:
            AssertionError: Something is not; the message says what.
        """
        if self.faults:
            raise AssertionError(f"{self.scenario.name}: " + "; ".join(self.faults))

    def as_json(self) -> dict[str, Any]:
        """The score as plain values."""
        return {
            "scenario": self.scenario.name,
            "party": self.party,
            "clock": "speech" if self.live else "virtual",
            **self.card.figures(),
            "passed": not self.faults,
            "faults": self.faults,
        }


def hold(
    scenario: Scenario | Mapping[str, Any] | Path | str,
    *,
    party: str = "duplex",
    agent: Agent | None = None,
    parts: Parts | None = None,
    models: Models | None = None,
    live: bool = False,
) -> Outcome:
    """Hold a scenario's conversation.

    Args:
        scenario: Itself, its values, or its file.
        party: Who is called: ``duplex``, or ``stock`` for a Pipecat bot from the same models.
        agent: Who talks, in the place of the one in its settings.
        parts: Models of your own in the built-in ones' places.
        models: All models, in the place of those of the settings: nothing is loaded.
        live: At the pace of speech, so that the models' work takes the time it takes. Otherwise
            work takes no time, and the same scenario always gives the same conversation.

    Raises:
        SettingsError: The scenario is wrong.
    """
    if isinstance(scenario, (str, Path)):
        scenario = load(Path(scenario))
    elif not isinstance(scenario, Scenario):
        scenario = made(scenario)
    if party not in PARTIES:
        raise SettingsError(f"there is no party '{party}'; known: {', '.join(PARTIES)}")
    work = _hold(scenario, party, agent, parts, models, live)
    if live:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


async def _hold(
    scenario: Scenario,
    party: str,
    agent: Agent | None,
    parts: Parts | None,
    models: Models | None,
    live: bool,
) -> Outcome:
    settings = scenario.settings
    if settings.llm.seed is None:
        llm = settings.llm.model_copy(update={"seed": scenario.seed})
        settings = settings.model_copy(update={"llm": llm})
    runtimes = None if models else Runtimes(settings, parts)
    speak = speaker(scenario.caller)
    noise = _noise(scenario)
    for line in scenario.script:
        speak(line)  # Before the clock starts: it takes the voice a moment.
    try:
        loaded = models or await runtimes.load()  # type: ignore[union-attr]
        pace: AbstractContextManager[None] = nullcontext()
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualLoop):
            if runtimes is None or runtimes.is_self_contained:
                pace = loop.virtual()
            else:
                logger.info("at the pace of speech: not every model is ours")
                live = True
        with pace:
            called = PARTIES[party](settings, loaded, scenario.faults, agent)
            await called.begin()
            wire = Wire(
                scenario.faults,
                scenario.caller,
                noise,
                agent_rate=called.sample_rate,
                seed=scenario.seed,
            )
            try:
                call = await Caller(scenario, called, wire, speak).run()
            finally:
                await called.end()
        card = score(call)
        if scenario.judge:
            card.verdicts = await judge(scenario.judge, _lines(call))
    finally:
        if runtimes:
            await runtimes.close()
    return Outcome(scenario, called.name, call, card, live)


def bench(
    paths: Sequence[Path], *, parties: Sequence[str], live: bool, out: Path | None, as_json: bool
) -> int:
    """Hold scenarios with each party, one after the other.

    Returns:
        Exit code: 0 when our agent was as every scenario wants it.
    """
    from agent.eval.report import page, table

    outcomes = [hold(path, party=party, live=live) for path in paths for party in parties]
    for outcome in outcomes:
        if as_json:
            print(json.dumps(outcome.as_json(), ensure_ascii=False))
    if not as_json:
        print(table(outcomes))
        for outcome in outcomes:
            for fault in outcome.faults:
                print(f"{outcome.scenario.name}, {outcome.party}: {fault}")
    if out:
        out.write_text(page(outcomes), encoding="utf-8")
    ours = [outcome for outcome in outcomes if outcome.party == "duplex"]
    return int(any(outcome.faults for outcome in ours or outcomes))


def _lines(call: Call) -> list[tuple[str, str]]:
    """The conversation in order, as it was heard."""
    told = [(said.start_s, "caller", said.text) for said in call.said if said.was_said]
    told += [(start, "agent", _heard(call, start, end)) for start, end in call.spoke]
    return [(who, text) for _, who, text in sorted(told) if text]


def _heard(call: Call, start_s: float, end_s: float) -> str:
    return " ".join(word.text for word in call.words if start_s - 0.2 <= word.start_s < end_s)


def _noise(scenario: Scenario) -> Int16Array:
    noise = scenario.faults.noise
    babble = np.zeros(1, np.int16)
    if noise and noise.wav:
        babble = read(noise.wav)
    elif noise and noise.kind == "babble":
        speak = speaker(scenario.caller)
        voices = [speak(Line(say=text)).pcm for text in _TALKERS]
        length = max(len(voice) for voice in voices)
        # Each begins elsewhere, or they would all pause at once.
        tracks = [
            np.roll(np.pad(voice, (0, length - len(voice))), number * samples(0.7, SAMPLE_RATE))
            for number, voice in enumerate(voices)
        ]
        babble = (np.sum(tracks, axis=0) // len(tracks)).astype(np.int16)
    return noise_track(scenario.faults, scenario.caller.level_dbfs, scenario.seed, babble)
