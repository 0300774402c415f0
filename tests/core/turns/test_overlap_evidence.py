from agent.turns.overlap_evidence import AgentSpeech


def test_a_question_asks_for_a_while_and_a_little_before_its_end():
    asked = ("Shall", "I", "book", "it?")
    assert AgentSpeech(said=asked).asks
    assert AgentSpeech(said=(*asked, *"and so on for".split())).asks
    assert not AgentSpeech(said=(*asked, *"and so on for very many words".split(), "now")).asks
    assert AgentSpeech(said=asked[:1], unsaid=asked[1:]).asks
    assert not AgentSpeech(unsaid=asked).asks
    assert AgentSpeech(said=('it?"',)).asks and not AgentSpeech().asks


def test_what_may_echo_is_what_was_just_heard_and_comes_next():
    many = tuple(map(str, range(100)))
    assert AgentSpeech(many, many).around == (*many[-16:], *many[:6])
