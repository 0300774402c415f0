"""Markup is never spoken, words always are."""

import pytest

from agent.tts.markup import LINE_END, MarkupFilter


def clean(text: str) -> str:
    markup = MarkupFilter()
    words = markup.push(text) + markup.finish()
    return " ".join(word for word in words if word != LINE_END)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("**Bold** and *leaning* and `code`", "Bold and leaning and code"),
        ("__bold__ _leaning_ snake_case", "bold leaning snake_case"),
        ("~~gone~~ here", "gone here"),
        ("# Title\n\n## Part", "Title Part"),
        ("> a quote", "a quote"),
        ("- one\n* two\n+ three\n• four", "one two three four"),
        ("1. one\n2) two", "one two"),
        ("Steps:\n3. three", "Steps: three"),
        ("8. That is the number of legs.", "8. That is the number of legs."),
        ("[the page](https://x.org/a)", "the page"),
        ("see ![a cat](cat.png) there", "see a cat there"),
        ("a fact[1] and another[^2].", "a fact and another."),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a b 1 2"),
        ("Well 😀 done 👍🏽 👨‍👩‍👧 🇩🇪!", "Well done !"),
        ("press 5️⃣ now", "press 5 now"),
        ("nice :) thanks ;-)", "nice thanks"),
        ("line<br>break and <b>bold</b>", "line break and bold"),
        ("```python\nprint('never said')\n```\nThat is all.", "That is all."),
        ("```\nAs likely the answer.\n```", "As likely the answer."),
        ("say ```inline``` now", "say inline now"),
        ("***\nafter a rule", "after a rule"),
        ("20°C, 5€, 50% & more", "20°C, 5€, 50% & more"),
        ("well - maybe -- yes", "well - maybe -- yes"),
        ("it's 'quoted' “so”", "it's 'quoted' “so”"),
    ],
)
def test_what_is_left(text: str, spoken: str):
    assert clean(text) == spoken


def test_a_number_that_ends_the_text_is_an_answer():
    assert clean("The result:\n42.") == "The result: 42."
