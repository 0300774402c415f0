"""What nobody is to read, nobody can read."""

import pytest

from agent.observe.hidden import NOT_SHOWN, Hidden
from agent.observe.mask import masked, without_cards


@pytest.mark.parametrize(
    "said",
    [
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "4242424242424242",
        "four two four two, four two four two, four two four two, four two four two.",
        "Double four, two, two",
        "5555 5555 5555 4444",
        "378282246310005",
    ],
)
def test_a_card_is_shown_in_no_log_and_no_record(said):
    text = f"My card is {said} thank you"
    if len([w for w in said if w.isdigit()]) >= 13 or said.startswith("four"):
        assert without_cards(text) == "My card is [card number] thank you".replace(
            "[card number] thank", f"[card number]{'.' if said.endswith('.') else ''} thank"
        )
        assert "digits]" in masked(text) and "4242" not in masked(text)
        assert "two four two" not in masked(text)
    else:
        assert masked(text) == text, "four digits are no card and no telephone number"


@pytest.mark.parametrize(
    "text",
    ["Order 4242 4242 4242 4243", "on the 24th of December 2026 at 12", "one of the two, for you"],
)
def test_what_is_no_card_stays(text):
    assert without_cards(text) == text


def test_spoken_numbers_count_doubles():
    assert masked("oh double five, three four five six") == "[7 digits]"


def test_only_who_asked_sees_a_secret():
    hidden = Hidden()
    assert hidden.hide("Hello.") == hidden.shown("Hello.") == "Hello."
    hidden.open()
    assert hidden.shown("one two") == NOT_SHOWN
    assert hidden.reveal(NOT_SHOWN) == "", "what is merely shown is not kept"
    shown = hidden.hide("one two three")
    assert shown == NOT_SHOWN and hidden.reveal(shown) == "one two three"
    assert hidden.hide("") == ""
    hidden.close()
    assert hidden.reveal(NOT_SHOWN) == NOT_SHOWN
