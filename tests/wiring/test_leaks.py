"""The short form of benchmarks/leaks.py: what conversations leave behind, memory aside."""

import asyncio

from benchmarks.callers import INSTANT, serving
from benchmarks.leaks import footprint, many


async def test_tasks_threads_and_descriptors_are_as_before():
    environ = {"DUPLEX_SERVER__MAX_SESSIONS": "20", "DUPLEX_AGENT__GREETING": ""}
    with serving(INSTANT[:2], **environ) as server:
        # The first ones make what stays for all.
        await many(server.url, 3, 3)
        await settled(server)
        before = await asyncio.to_thread(footprint, server)
        await many(server.url, 25, 5)
        await settled(server)
        after = await asyncio.to_thread(footprint, server)
    for what in ("sessions", "tasks", "threads"):
        assert after[what] <= before[what], (what, before, after)
    # One more connection of the test's own may still be closing.
    assert after["descriptors"] <= before["descriptors"] + 1


async def settled(server):
    """Wait until every conversation is over, and what ended it."""
    async with asyncio.timeout(60):
        while True:
            seen = await asyncio.to_thread(footprint, server)
            if seen["sessions"] == 0 and seen["tasks"] <= 4:
                return
            await asyncio.sleep(0.1)
