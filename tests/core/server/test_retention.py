import os

from agent.server.retention import expire

DAY_S = 86_400


def test_what_is_too_old_is_deleted_and_nothing_else(tmp_path):
    def file(name, age_days):
        path = tmp_path / name
        path.write_bytes(b"x")
        os.utime(path, (1000 * DAY_S - age_days * DAY_S,) * 2)
        return path

    old, young = file(f"{'a' * 32}.wav", 31), file(f"{'b' * 32}.wav", 29)
    theirs, other = file("wedding.wav", 400), file(f"{'c' * 32}.txt", 400)
    assert expire(tmp_path, 30, 1000 * DAY_S) == 1
    assert not old.exists()
    assert young.exists() and theirs.exists() and other.exists()
    assert expire(tmp_path / "absent", 30, 0.0) == 0
