from agent.llm.sampling import embedded_extra


def test_a_session_names_its_slot():
    assert embedded_extra(0) == {"cache_prompt": True, "id_slot": 0}


def test_a_session_without_slot_leaves_the_choice_to_the_server():
    assert "id_slot" not in embedded_extra(None)
