import asyncio
import time

import pytest

from agent.virtual_time import PricedExecutor, VirtualLoop
from tests.virtually import virtually


def test_an_hour_passes_in_no_time():
    async def sleep():
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.sleep(3600)
        return loop.time() - before

    assert virtually(sleep()) == pytest.approx(3600)


def test_work_in_a_thread_takes_no_time():
    async def work():
        loop = asyncio.get_running_loop()
        before = loop.time()
        await loop.run_in_executor(None, time.sleep, 0.05)
        return loop.time() - before

    assert virtually(work()) == 0.0


def test_a_peer_is_waited_for_while_the_clock_stands_still():
    async def ask():
        async def answer(reader, writer):
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        loop = asyncio.get_running_loop()
        before = loop.time()
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"hello\n")
            answered = await reader.readline()
        passed = loop.time() - before
        writer.close()
        server.close()
        return answered, passed

    assert virtually(ask()) == (b"hello\n", 0.0)


def test_a_wait_that_can_never_end_is_an_error():
    async def wait():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="deadlock"):
        virtually(wait())


def test_the_clock_never_goes_back():
    loop = VirtualLoop()
    try:
        with loop.virtual():
            loop.run_until_complete(asyncio.sleep(100))
            inside = loop.time()
        assert loop.time() >= inside
    finally:
        loop.close()


def test_work_with_a_price_takes_its_time_and_what_is_behind_it_waits():
    executor, done = PricedExecutor(), []

    async def both():
        loop = asyncio.get_running_loop()
        origin = loop.time()

        async def work(price_s):
            await loop.run_in_executor(executor, executor.charge, price_s)
            done.append(loop.time() - origin)

        await asyncio.gather(work(1.0), work(0.5))

    virtually(both())
    assert done == pytest.approx([1.0, 1.5])


def test_priced_work_that_fails_says_so():
    async def fail():
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(PricedExecutor(), int, "no number")

    with pytest.raises(ValueError, match="no number"):
        virtually(fail())
