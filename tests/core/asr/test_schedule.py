import pytest

from agent.asr.schedule import DecodeSchedule


def due_after(chunk: int, speech: int = 20_000) -> list[int]:
    schedule = DecodeSchedule(first=[6400], every=4000)
    heard, due = 0, []
    while heard < speech:
        offered = min(chunk, speech - heard)
        while offered:
            taken = schedule.until_due(offered)
            offered -= taken
            heard += taken
            if schedule.advance(taken):
                due.append(heard)
    return due


@pytest.mark.parametrize("chunk", [1, 17, 512, 4801, 20_000])
def test_due_at_the_same_samples_however_speech_is_chunked(chunk):
    assert due_after(chunk) == [6400, 10_400, 14_400, 18_400]


def test_nothing_is_due_before_the_first():
    schedule = DecodeSchedule(first=[6400], every=4000)
    assert schedule.until_due(100_000) == 6400
    assert not schedule.advance(6399)
    assert schedule.until_due(100) == 1
    assert schedule.advance(1)
    assert schedule.until_due(100_000) == 4000


def test_tells_whether_one_comes_within_what_follows():
    schedule = DecodeSchedule(first=[6400], every=4000)
    assert not schedule.comes_within(6399)
    assert schedule.comes_within(6400)
    schedule.advance(6400)
    assert not schedule.comes_within(3999)
    assert schedule.comes_within(4000)


def test_the_first_ones_have_places_of_their_own():
    schedule = DecodeSchedule(first=[4800, 8000], every=6400)
    due, heard = [], 0
    while heard < 24_000:
        heard += 160
        if schedule.advance(160):
            due.append(heard)
    assert due == [4800, 8000, 14_400, 20_800]
