from agent.llm.prompt import system_prompt


def test_instructions_are_kept_word_for_word_and_come_first():
    assert system_prompt("  You are Mia.\nA cleaning costs eighty dollars. ").startswith(
        "You are Mia.\nA cleaning costs eighty dollars.\n"
    )


def test_the_fixed_part_is_short_enough_to_read_in():
    # English has four characters or more a token: 150 tokens.
    for has_tools in (False, True):
        assert len(system_prompt("", has_tools)) < 600


def test_the_prompt_never_changes_during_a_session():
    assert system_prompt("You are Mia.") == system_prompt("You are Mia.")


def test_only_an_agent_without_tools_denies_that_it_can_do_things():
    assert "cannot book" in system_prompt("You are Mia.")
    assert "cannot book" not in system_prompt("You are Mia.", has_tools=True)


def test_the_prompt_keeps_its_own_rules():
    fixed = system_prompt("")
    assert not any(character.isdigit() for character in fixed)
    assert not set("*#`_[]") & set(fixed)
