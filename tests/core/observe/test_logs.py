import asyncio
import json
import logging

import pytest
from loguru import logger

from agent.logs import bound, set_up_logging

SAID = "swordfish"


@pytest.fixture(autouse=True)
def restored():
    yield
    logger.remove()
    logging.getLogger().handlers.clear()


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_json_line_says_what_where_whose_and_in_which_turn(capsys):
    set_up_logging(verbose=False, form="json")

    async def conversation(name, turn):
        with bound(name, lambda: turn):
            await asyncio.create_task(said(name))

    async def said(name):
        await asyncio.sleep(0)
        logger.bind(first_audio_s=0.5).info("of {}\nand more", name)

    async def both():
        await asyncio.gather(conversation("a", 1), conversation("b", 2))

    asyncio.run(both())
    logger.info("of nobody")
    first, second, third = lines(capsys)
    assert (first["session"], first["turn"], first["message"]) == ("a", 1, "of a\nand more")
    assert (second["session"], second["turn"], second["first_audio_s"]) == ("b", 2, 0.5)
    assert "session" not in third and third["level"] == "INFO" and "test_logs" in third["where"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_error_is_shown_by_where_it_came_from_and_not_by_its_words(capsys, form):
    set_up_logging(verbose=False, form=form)
    try:
        raise ValueError(f"my password is {SAID}")
    except ValueError as error:
        logger.opt(exception=error).error("a tool failed")
    shown = capsys.readouterr().err
    assert SAID not in shown
    assert "ValueError" in shown and "test_logs.py" in shown and "a tool failed" in shown


@pytest.mark.parametrize("form", ["text", "json"])
def test_braces_and_tags_in_a_message_are_text(capsys, form):
    set_up_logging(verbose=False, form=form)
    with bound("{x}", lambda: 1):
        logger.info("{}", "{y} <red> </nothing>")
    assert "{y} <red> </nothing>" in capsys.readouterr().err


def test_libraries_that_log_the_standard_way_are_heard_in_the_same_form(capsys):
    set_up_logging(verbose=False, form="json")
    logging.getLogger("aiortc").warning("a %s of theirs", "warning")
    logging.getLogger("aiortc").info("a detail")
    (line,) = lines(capsys)
    assert (line["level"], line["message"]) == ("WARNING", "a warning of theirs")
