"""The ready agents of pipelines/: their real code, by voice, on virtual time."""

import datetime

import pytest

from pipelines import always_listening, browser, dictation, interviewer, phone, receptionist
from tests.scenarios.calling import Calls, results, said
from tests.scenarios.test_flow import call


@pytest.mark.parametrize("module", [browser, phone, always_listening])
def test_a_ready_agent_answers(module):
    outcome = call(module.agent, ["Paris."], [("what is the capital of France?", 6.0, 7.5)]).run(
        12.0, greet=True
    )
    assert said(outcome.history)[-1] == "Paris."


def test_the_telephone_agent_hangs_up_when_asked():
    outcome = call(
        phone.agent, [Calls({"hang_up": {}})], [("what time is it, goodbye?", 6.0, 7.5)]
    ).run(14.0, greet=True)
    assert said(outcome.history)[-1] == "Goodbye."


def test_the_receptionist_books_after_a_yes():
    receptionist.book.clear()
    day = datetime.date(2027, 1, 2)
    lines = [Calls({"book_table": {"day": "2027-01-02", "guests": 4}}), "See you then."]
    question = "can you book a table for four on the second of January?"
    user = [(question, 5.0, 8.0), ("yes please.", 17.0, 17.8)]
    outcome = call(receptionist.agent, lines, user).run(26.0, greet=True)

    assert receptionist.book == {day: 4}
    assert "Saturday, the 02 of January?" in said(outcome.history)[1]
    assert said(outcome.history)[-1] == "See you then."
    assert all(len(found) == 1 for found in results(outcome.history).values())


def test_the_dictation_reads_back_what_it_took_down(capsys):
    user = [
        ("twelve Linden street.", 8.0, 9.2),
        ("one two three four five.", 18.0, 19.6),
        ("anna at example dot com.", 28.0, 29.6),
        ("yes, that's right.", 43.0, 44.0),
    ]
    outcome = call(dictation.agent, user=user).run(52.0, greet=True)

    assert said(outcome.history)[-1] == "Thank you, goodbye."
    assert "postcode='12345', mail='anna@example.com'" in capsys.readouterr().out


def test_the_interviewer_asks_on_and_ends_with_the_host(capsys):
    user = [
        (text, 8.0 * turn + 6.0, 8.0 * turn + 7.4)
        for turn, text in enumerate(("yes.", *("a", "b", "c", "d", "e", "f")))
    ]
    lines = ["Why is that?", "And then?", "Really?"]
    outcome = call(interviewer.agent, lines, user).run(72.0, greet=True)

    spoken = said(outcome.history)
    assert [line for line in spoken if line in lines] == lines
    assert spoken[-1].startswith("That was my last question.")
    assert capsys.readouterr().out.splitlines() == ["a b", "c d", "e f"]


def test_pipelines_fit_on_one_screen():
    for module in (always_listening, browser, dictation, interviewer, phone, receptionist):
        with open(module.__file__, encoding="utf-8") as source:  # noqa: PTH123
            assert len(source.readlines()) <= 60
