import numpy as np

from agent.tts.speech import SpokenWord
from benchmarks.overlap_clips import Clip
from benchmarks.voices import Spoken

RATE = 16_000


def test_the_verdict_is_told_the_place_in_the_answer_that_sounds():
    words = tuple(
        SpokenWord(text, number / 2, number / 2 + 0.4)
        for number, text in enumerate("one two three four five six".split())
    )
    answer = Spoken(np.arange(3 * RATE, dtype=np.int16), words)
    clip = Clip("", "echo", 0, np.zeros(RATE, np.int16), answer, begin=RATE, is_heard=True)
    floor = clip.floors()
    assert (floor(0).said, floor(0).unsaid) == ("one two", "three four five six")
    assert floor(RATE // 4).said == "one two three"
    assert floor(RATE).said == "one two three four"
    assert clip.far is not None and clip.far[0] == answer.pcm[RATE] and len(clip.far) == RATE
