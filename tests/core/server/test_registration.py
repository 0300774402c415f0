"""How often an exchange is asked for our number."""

import asyncio
import contextlib
from itertools import pairwise

from agent.errors import RetryError
from agent.server.telephone import _stay_registered
from agent.transports.sip.registration import RefusedError
from tests.virtually import virtually

AWAY, REFUSED = RetryError("does not answer"), RefusedError("403")


class Registrar:
    """Answers as it is told, in order; the last answer stands."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked_s = []

    async def register(self, registrar, expires_s):
        if not expires_s:
            return 0
        self.asked_s.append(asyncio.get_running_loop().time())
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def waits(registrar, lasting_s):
    """Seconds between two questions."""

    async def ask():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(lasting_s):
                await _stay_registered(registrar, "sip:pbx", 600)

    virtually(ask())
    return [round(after - before) for before, after in pairwise(registrar.asked_s)]


def test_a_registration_is_renewed_at_half_its_time():
    assert waits(Registrar(600), 1000) == [300, 300, 300]


def test_an_exchange_that_is_down_is_asked_until_it_is_up():
    assert waits(Registrar(AWAY, AWAY, AWAY, 600), 500) == [30, 30, 30, 300]


def test_one_that_refuses_is_asked_less_and_less():
    # Or it locks us out: with a wrong password every try counts.
    assert waits(Registrar(REFUSED), 4000) == [30, 60, 120, 240, 480, 900, 900, 900]
    assert waits(Registrar(REFUSED, REFUSED, AWAY, AWAY, 600), 600) == [30, 60, 120, 30, 300]
