"""`duplex replay DUMP`: tell the policy of a recorded conversation everything again."""

import asyncio
import json
from pathlib import Path

from loguru import logger

from agent.agent import Agent
from agent.audio.chunk import seconds
from agent.dump import Kept, read
from agent.observe.record import TurnRecorder
from agent.parts import resolved
from agent.replay import print_turns
from agent.runtimes import Runtimes, policy_settings
from agent.session import Channel, VoiceSession, close
from agent.transports.memory import MemoryTransport
from agent.turns.events import TurnPolicy
from agent.turns.journal import again
from agent.turns.policy import FusedPolicy
from agent.virtual_time import VirtualLoop

_REST_S = 3.0


def replay(folder: Path, *, hear: bool, as_json: bool) -> int:
    """Replay a dump.

    Args:
        folder: Of the dump.
        hear: Put its audio through the models again, as it arrived, on virtual time. Otherwise the
            policy alone is told what it was told then: the decisions must be the same.
        as_json: Print JSON.

    Returns:
        Exit code: 0 when every decision is as it was; with `hear`, when it ran to its end.

    Raises:
        SettingsError: It is no dump.
    """
    kept = read(folder)
    if hear:
        print_turns(_heard(kept), as_json=as_json)
        return 0
    pairs = list(again(kept.evidence, _policy(kept)))
    different = [(then, now) for then, now in pairs if then != now]
    decisions = [decision for then, _ in pairs for decision in then]
    if as_json:
        print(json.dumps({"decisions": decisions, "different": different}, ensure_ascii=False))
    else:
        for decision in decisions:
            at_s = seconds(decision["at_sample"])
            print(f"{at_s:9.3f} s  {decision['kind']}: {decision['reason']}")
        for then, now in different:
            print(f"then: {then}\nnow:  {now}")
        print(f"{len(decisions)} decisions, {len(different)} different")
    return int(bool(different))


def _policy(kept: Kept) -> TurnPolicy:
    settings, parts = resolved(kept.settings)
    if parts.policy:
        return parts.policy()
    return FusedPolicy(policy_settings(settings.turns))


def _heard(kept: Kept) -> TurnRecorder:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return runner.run(_hear(kept, loop))


async def _hear(kept: Kept, loop: VirtualLoop) -> TurnRecorder:
    runtimes = Runtimes(kept.settings)
    try:
        models = await runtimes.load()
        if not runtimes.is_self_contained:
            logger.warning("not every model is ours: answers may differ")
        with loop.virtual():
            transport = MemoryTransport(kept.sample_rate)
            channel = Channel("replay", int(kept.about["channel_rate"]), delay_s=0.0)
            session = VoiceSession(
                kept.settings,
                models,
                transport,
                channel,
                agent=Agent.of(kept.settings.agent),
                clock=loop.time,
            )
            task = asyncio.create_task(session.run())
            await transport.input().ready.wait()
            await session.greet()
            origin_s = loop.time()
            for at_s, what in kept.arrivals:
                await asyncio.sleep(max(0.0, origin_s + at_s - loop.time()))
                if isinstance(what, dict):
                    await transport.input().send(what)
                else:
                    await transport.input().speak(what)
            await asyncio.sleep(_REST_S)
            await close(session, task, drain_s=1.0)
    finally:
        await runtimes.close()
    return session.recorder
