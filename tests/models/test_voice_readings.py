"""What the phonemes of numbers, dates and signs say, word by word."""

import pytest

from agent.tts.phonemes import phoneme_ids, shared_phonemiser

pytestmark = pytest.mark.model

# Each pair: as written, and the same in words. Both must sound alike.
SAME = [
    ("That costs $5.20.", "That costs five dollars and twenty cents."),
    (
        "It is $1,250.99 now.",
        "It is one thousand two hundred fifty dollars and ninety nine cents now.",
    ),
    ("We raised $3.5 million.", "We raised three point five million dollars."),
    ("€40 or £12", "forty euros or twelve pounds"),
    ("It is 99¢ each.", "It is ninety nine cents each."),
    ("at 3:30", "at three thirty"),
    ("at 15:00", "at fifteen o'clock"),
    ("at 9:05 sharp", "at nine oh five sharp"),
    ("on 3/14/2024", "on March fourteenth, twenty twenty four"),
    ("on 2024-03-14", "on March fourteenth, twenty twenty four"),
    ("on March 3rd", "on March third"),
    ("on Jan 5", "on January fifth"),
    ("on Jan. 5", "on January fifth"),
    ("in 1999", "in nineteen ninety nine"),
    ("in 2005", "in two thousand five"),
    ("1,234 people", "one thousand two hundred thirty four people"),
    ("3.14", "three point one four"),
    ("-12°C outside", "minus twelve degrees Celsius outside"),
    ("50% off", "fifty percent off"),
    ("1/2 cup", "one half cup"),
    ("½ cup", "one half cup"),
    ("Dr. Smith", "doctor Smith"),
    ("Mr. and Mrs. Jones", "mister and misses Jones"),
    ("Elm St.", "Elm Street."),
    ("5 km at 60 mph", "five kilometers at sixty miles per hour"),
    ("2.5kg of rice", "two point five kilograms of rice"),
    ("Chapter IV", "Chapter four"),
    ("Henry VIII", "Henry the eighth"),
    ("10-12 people", "ten to twelve people"),
    ("#1 choice", "number one choice"),
    ("2nd floor", "second floor"),
    ("3 × 4", "three times four"),
    ("C# code", "C sharp code"),
    ("24/7 support", "twenty four seven support"),
    ("call 415-555-0123", "call four one five, five five five, zero one two three"),
    ("call (415) 555-0123", "call four one five, five five five, zero one two three"),
    ("call 4155550123", "call four one five, five five five, zero one two three"),
    ("code 007", "code zero zero seven"),
    ("john.smith@example.com", "john dot smith at example dot com"),
    ("https://www.example.com/help", "example dot com slash help"),
    ("version v2.0.1", "version version two point zero point one"),
    ("10:30-11:45", "ten thirty to eleven forty-five"),
]


@pytest.mark.parametrize(("written", "in_words"), SAME)
def test_reads_as_in_words(written: str, in_words: str):
    phonemise = shared_phonemiser()
    assert _sounds(phonemise(written).phonemes) == _sounds(phonemise(in_words).phonemes)


def _sounds(phonemes: str) -> str:
    # Stress and pauses depend on the words around; the sounds must be the same.
    return "".join(c for c in phonemes if c not in "ˈˌ ,.—")


@pytest.mark.parametrize(
    ("written", "phonemes"),
    [("NASA", "nˈæsə"), ("FBI", "ˌɛfbˌiˈI"), ("HTTP", "ˌAʧtˌitˌipˈi"), ("U.S.", "jˌuˈɛs")],
)
def test_capitals_are_a_word_or_letters(written: str, phonemes: str):
    assert shared_phonemiser()(written).phonemes == phonemes


def test_each_written_word_has_the_sounds_said_for_it():
    said = shared_phonemiser()("Meet Dr. Smith on Jan 5 at 7:30 pm, it's $5.20.")
    sounds = {word.text: said.phonemes[word.start : word.end] for word in said.words}
    assert sounds["Dr."] == "dˈɑktəɹ"
    assert sounds["Jan"].startswith("ʤˈæn")
    assert sounds["5"] == "fˈɪfθ"
    assert sounds["7:30"].startswith("sˈɛvən")
    assert sounds["pm,"] == "pˌiˈɛm"
    assert sounds["$5.20."].endswith("sˈɛnts")


def test_links_cannot_smuggle_phonemes():
    assert "həlˈO" not in shared_phonemiser()("[one](/həlˈO/)").phonemes


def test_model_inputs_are_padded_ids():
    assert phoneme_ids("") == [0, 0]
    assert all(0 < number < 178 for number in phoneme_ids("həlˈO ðˈɛɹ.")[1:-1])
