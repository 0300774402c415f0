import os
import time

import pytest

from agent.__main__ import main
from agent.errors import SettingsError
from agent.server.retention import expire, folders, forget, kept
from agent.settings import Settings

DAY_S = 86_400
CALL, OTHER_CALL = f"{'a' * 32}.wav", f"{'b' * 32}.wav"
CONVERSATION = "20261127T081500-0a1b2c3d"


@pytest.fixture
def keep(tmp_path):
    """Keep a recording, or a conversation, that was last written to some days ago."""

    def file(path, age_days):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age_days * DAY_S,) * 2)

    def place(name, age_days):
        path = tmp_path / name
        if name == CONVERSATION:
            for part in ("about.json", "caller.wav", "evidence.jsonl"):
                file(path / part, age_days)
        else:
            file(path, age_days)
        return path

    return place


def test_what_is_too_old_is_deleted_and_nothing_else(tmp_path, keep):
    old, young = keep(CALL, 31), keep(OTHER_CALL, 29)
    talk = keep(CONVERSATION, 40)
    theirs, other = keep("wedding.wav", 400), keep(f"{'c' * 32}.txt", 400)
    assert expire(tmp_path, 30, time.time()) == 2
    assert not old.exists() and not talk.exists()
    assert young.exists() and theirs.exists() and other.exists()
    assert expire(tmp_path / "absent", 30, 0.0) == 0


def test_a_conversation_that_goes_on_is_young(tmp_path, keep):
    talk = keep(CONVERSATION, 40)
    os.utime(talk / "caller.wav")
    assert expire(tmp_path, 30, time.time()) == 0 and talk.exists()


def test_one_is_forgotten_by_its_name(tmp_path, keep, capsys):
    call, other, talk = keep(CALL, 1), keep(OTHER_CALL, 1), keep(CONVERSATION, 1)
    assert forget([tmp_path], [CALL, CONVERSATION]) == 0
    assert not call.exists() and not talk.exists() and other.exists()
    assert "2 forgotten, 1 kept" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["wedding.wav", "../secret", "absent"])
def test_what_is_not_ours_is_no_name(tmp_path, keep, name):
    theirs = keep("wedding.wav", 400)
    with pytest.raises(SettingsError, match="nothing is kept under the name"):
        forget([tmp_path], [name])
    assert theirs.exists()


def test_a_link_is_not_followed(tmp_path, keep):
    theirs = keep("wedding.wav", 400)
    (tmp_path / CALL).symlink_to(theirs)
    assert not list(kept(tmp_path))
    assert forget([tmp_path], everything=True) == 0 and theirs.exists()


def test_the_command_lists_first_and_deletes_what_it_is_told(tmp_path, keep, capsys):
    old, young = keep(CALL, 12), keep(CONVERSATION, 1)
    where = ["forget", "--folder", str(tmp_path)]
    assert main(where) == 0
    told = capsys.readouterr().out
    assert CALL in told and CONVERSATION in told and old.exists()
    assert main([*where, "--older-than", "10"]) == 0
    assert not old.exists() and young.exists()
    assert main([*where, "--all"]) == 0
    assert not young.exists()


def test_the_settings_say_where_and_how_long(tmp_path):
    given = {"phone": {"recordings": tmp_path / "calls"}, "record": {"folder": tmp_path / "talks"}}
    places = folders(Settings.model_validate(given))
    assert places == {tmp_path / "calls": 30.0, tmp_path / "talks": None}


def test_nothing_is_kept_unless_it_was_asked_for():
    with pytest.raises(SettingsError, match="nothing is kept"):
        forget(list(folders(Settings())))
