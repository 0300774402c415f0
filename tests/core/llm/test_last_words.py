from agent.llm.last_words import LastWords

DAMAGED = [
    "0.00.003.569 E gguf_init_from_reader: failed to read key-value pairs",
    "0.00.003.685 E llama_model_load: error loading model: failed to load model from /m.gguf",
    "0.00.005.085 E srv          init: exiting due to model loading error",
]


def after(*lines: str) -> LastWords:
    words = LastWords()
    for line in lines:
        words.push(line)
    return words


def test_the_cause_is_the_first_error():
    words = after(*DAMAGED)
    assert words.cause == "gguf_init_from_reader: failed to read key-value pairs"
    assert words.latest == DAMAGED[-1]


def test_other_lines_may_stand_before_the_cause_and_behind_it():
    words = after("libgomp: no CPU 7", "", *DAMAGED, "Failed to init server.", "")
    assert words.cause.startswith("gguf_init_from_reader")
    assert words.latest == "Failed to init server."


def test_a_cause_does_not_go_under_in_what_follows_it():
    assert after(*DAMAGED, *DAMAGED[1:] * 1000).cause.startswith("gguf_init_from_reader")


def test_without_llama_cpps_word_the_last_line_counts():
    traceback = ["Traceback (most recent call last):", "  ...", "ImportError: no xllamacpp\n"]
    assert after(*traceback).cause == "ImportError: no xllamacpp"


def test_of_who_said_nothing_there_is_nothing_to_tell():
    assert after().cause == after("", " \n").cause == ""
