from agent.asr.hypothesis import Word
from agent.turns.backchannels import Reading
from agent.turns.overlap_evidence import AgentSpeech, OverlapWords
from agent.turns.overlap_reading import OverlapReading
from agent.turns.overlap_settings import OverlapSettings

TALE = AgentSpeech(said=tuple("Saturn is the sixth planet".split()), unsaid=("from", "the", "sun"))


def reading(agent=TALE, **settings):
    return OverlapReading(agent, OverlapSettings(**settings))


def words(text, confidence=0.9):
    return tuple(Word(part, 0, 8000, confidence) for part in text.split())


def hear(read, text, half="", confidence=0.9):
    unfinished = words(half, confidence)[0] if half else None
    read.push(OverlapWords(8000, words(text, confidence), 7000, unfinished))
    return read


def test_before_any_words_there_is_nothing_to_read():
    fresh = reading()
    assert fresh.reading is fresh.early is Reading.NONE
    assert fresh.end_sample is None and fresh.texts == [] and fresh.share == 0.0


def test_the_word_being_spoken_counts_early_only():
    read = hear(reading(), "book", half="m")
    assert (read.reading, read.early) == (Reading.WORD, Reading.CONTENT)
    assert read.texts == ["book"] and read.end_sample == 7000
    assert hear(reading(), "book", half="m", confidence=0.3).early is not Reading.CONTENT


def test_what_the_agent_says_is_its_own():
    read = hear(reading(), "the sixth planet")
    assert read.reading is Reading.OWN and read.share > 0.9
    assert hear(reading(echo_share=1.1), "the sixth planet").reading is not Reading.OWN


def test_a_word_among_the_agents_own_is_the_users():
    sure_and_own = (*words("car", 0.2), *words("planet"))
    read = reading()
    read.push(OverlapWords(8000, sure_and_own, 7000))
    assert read.reading is Reading.OWN


def test_a_doubted_nod_is_still_likely_one_and_other_doubted_words_are_unsure():
    assert hear(reading(), "Yeah.", confidence=0.2).reading is Reading.LIKELY_BACKCHANNEL
    assert hear(reading(), "book the car", confidence=0.2).reading is Reading.UNSURE


def test_words_in_a_nods_place_are_believed_if_the_recogniser_is_sure():
    read = hear(hear(reading(), "Huh."), "Come on", confidence=0.6)
    assert read.reading is read.early is Reading.LIKELY_BACKCHANNEL
    assert hear(hear(reading(), "Huh."), "Come on", confidence=0.8).reading is Reading.CONTENT
    assert hear(hear(reading(), "Huh."), "Huh book cars", confidence=0.6).reading is Reading.CONTENT
