import datetime
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.values import Choice, Date, Digits, Email, NotUnderstoodError, Text, YesNo, digits
from tests.core.api.talks import TODAY

CASES = int(os.environ.get("DUPLEX_CASES", "100"))
ONES = "zero one two three four five six seven eight nine".split()
MONTHS = (
    "January February March April May June July August September October November December"
).split()


@given(st.text("0123456789", min_size=1, max_size=16), st.sampled_from([" ", ", ", ". ", "-"]))
@settings(max_examples=CASES)
def test_digits_read_out_are_the_digits(number, pause):
    assert digits(pause.join(ONES[int(digit)] for digit in number)) == number
    assert digits(pause.join(number)) == number


@pytest.mark.parametrize(
    ("heard", "found"),
    [
        ("oh seven, double five, twenty-one", "075521"),
        ("it's for to one, triple 9", "421999"),
        ("nineteen eighty four", "1984"),
        ("twenty 22 thirty", "202230"),
        ("", ""),
        ("hello", ""),
    ],
)
def test_digits_as_people_say_them(heard, found):
    assert digits(heard) == found


def test_a_number_of_the_wrong_length_is_asked_for_again():
    with pytest.raises(NotUnderstoodError, match="I heard 3 digits and need 4 digits"):
        Digits(4).read("one two three", TODAY)
    with pytest.raises(NotUnderstoodError, match="need 4 to 6 digits"):
        Digits(4, 6).read("one", TODAY)
    assert Digits(4, 6).read("1 2 3 4 5", TODAY) == "12345"


def test_only_a_number_of_known_length_can_end_the_turn():
    assert Digits(16).expects.digits == 16
    assert Digits(4, 6).expects.digits is None
    assert Digits(16).expects.profile == "continuous"
    assert YesNo().expects.profile == "short"


@given(st.dates(TODAY, datetime.date(2034, 1, 1)))
@settings(max_examples=CASES)
def test_a_day_with_its_year_is_that_day(day):
    month = MONTHS[day.month - 1]
    for heard in (
        day.isoformat(),
        f"{month} {day.day}, {day.year}",
        f"the {day.day}th of {month} {day.year}",
    ):
        assert Date().read(heard, TODAY) == day


@given(st.dates(datetime.date(2027, 1, 1), datetime.date(2027, 11, 23)))
@settings(max_examples=CASES)
def test_a_day_without_a_year_is_the_next_one(day):
    heard = f"{MONTHS[day.month - 1]} {day.day}"
    if (day.month, day.day) < (TODAY.month, TODAY.day):
        assert Date().read(heard, TODAY) == day
        assert Date(past=True).read(heard, TODAY) == day.replace(year=2026)


@pytest.mark.parametrize(
    ("heard", "found"),
    [
        ("today", TODAY),
        ("Tomorrow, please.", datetime.date(2026, 11, 25)),
        ("the day after tomorrow", datetime.date(2026, 11, 26)),
        ("next Friday", datetime.date(2026, 11, 27)),
        ("on Tuesday", datetime.date(2026, 12, 1)),
        ("the second of January", datetime.date(2027, 1, 2)),
        ("March twenty-first", datetime.date(2027, 3, 21)),
        ("February twenty ninth", datetime.date(2028, 2, 29)),
        ("Friday, the fourth of December 2026", datetime.date(2026, 12, 4)),
    ],
)
def test_days_as_people_say_them(heard, found):
    assert Date().read(heard, TODAY) == found


@pytest.mark.parametrize("heard", ["the thirtieth of February", "soon", "", "2027-02-31", "May"])
def test_what_is_no_day_is_asked_for_again(heard):
    with pytest.raises(NotUnderstoodError, match="which day"):
        Date().read(heard, TODAY)


@given(st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8})?@[a-z]{2,8}\.(com|org)", fullmatch=True))
@settings(max_examples=CASES)
def test_a_spoken_address_is_the_address(address):
    spoken = address.replace(".", " dot ").replace("@", " at ")
    # "a at at dot com" may be a@at.com and much else.
    meant = set(address.replace("@", ".").split("."))
    if not meant & {"at", "dot", "is", "plus", "dash", "minus", *ONES}:
        assert Email().read(spoken, TODAY) == address


@pytest.mark.parametrize(
    ("heard", "found"),
    [
        ("J dot Smith at example dot com.", "j.smith@example.com"),
        ("it's A N N A at mail dot org", "anna@mail.org"),
        ("my email is bob four two at test dash mail dot co dot uk", "bob42@test-mail.co.uk"),
        ("first underscore last@example.com", "first_last@example.com"),
    ],
)
def test_addresses_as_people_say_them(heard, found):
    assert Email().read(heard, TODAY) == found


def test_what_is_no_address_is_asked_for_again():
    with pytest.raises(NotUnderstoodError, match="spell it"):
        Email().read("I do not have one", TODAY)


@pytest.mark.parametrize("heard", ["Yes.", "yeah sure", "no problem", "Why not?", "ok go ahead"])
def test_a_yes(heard):
    assert YesNo().read(heard, TODAY) is True


@pytest.mark.parametrize(
    "heard", ["No.", "nope", "no, that's right", "please don’t", "that is not correct", "wait"]
)
def test_a_no_and_what_is_both(heard):
    assert YesNo().read(heard, TODAY) is False


def test_neither_is_asked_for_again():
    with pytest.raises(NotUnderstoodError, match="yes or a no"):
        YesNo().read("hm", TODAY)


def test_a_choice_takes_one_of_its_names():
    size = Choice((("small", 1), ("large", 2)))
    assert size.read("A large one.", TODAY) == 2
    for heard in ("small or large", "medium", ""):
        with pytest.raises(NotUnderstoodError, match="say small or large"):
            size.read(heard, TODAY)
    assert Choice.of("tea", "coffee").read("tea", TODAY) == "tea"


def test_any_words_are_text():
    assert Text().read(" well, ", TODAY) == "well,"
    with pytest.raises(NotUnderstoodError):
        Text().read(" ", TODAY)


READERS = [YesNo(), Digits(4), Date(), Date(past=True), Email(), Choice.of("a", "b"), Text()]


@given(st.text(max_size=60), st.sampled_from(READERS))
@settings(max_examples=CASES)
def test_whatever_is_heard_is_a_value_or_a_question(heard, reader):
    try:
        reader.read(heard, TODAY)
    except NotUnderstoodError as error:
        assert str(error)
