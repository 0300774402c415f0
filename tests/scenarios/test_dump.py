"""Conversations kept with consent, and replayed to the same decisions."""

import dataclasses
import json
import wave

import pytest

from agent.__main__ import main
from agent.agent import Agent
from agent.dump import Dump, read
from agent.errors import SettingsError
from agent.settings import Settings
from tests.scenarios.scripted import ScriptedCall


def settings(folder, consent):
    return Settings.model_validate({"record": {"folder": str(folder), "consent": consent}})


def held(folder, consent, *user, client=(), lasting_s=9.0):
    """Hold a scripted call that may be kept, on virtual time."""
    chosen = settings(folder, consent)
    dump = Dump(chosen, {"channel": "memory", "channel_rate": 24_000, "models": {}})
    agent = dump.asking(Agent("x", greeting="Hello."))
    call = ScriptedCall(settings=chosen, agent=agent, edit=dump.editing(list))
    # The scripted models keep their own policy; the dump wraps it as the server does.
    policy = call.ears.setdefault("policy", None) or _policy
    call.ears["policy"] = dump.models(_Models(policy)).policy
    for text, start_s, end_s in user:
        call.user_says(text, start_s, end_s)
    for at_s, message in client:
        call.client_sends(at_s, message)
    call.agent_says("It is very far away, farther than anybody ever went.")
    outcome = call.run(lasting_s, greet=True)
    dump.close()
    return outcome, sorted(folder.iterdir()) if folder.exists() else []


@dataclasses.dataclass
class _Models:
    policy: object


def _policy():
    from agent.runtimes import policy_settings
    from agent.turns.policy import FusedPolicy

    return FusedPolicy(policy_settings(Settings().turns))


QUESTION = ("how far is the moon?", 2.0, 3.4)
INTERRUPTION = ("no, the car.", 5.0, 5.8)


def test_a_dump_replays_to_the_same_decisions(tmp_path, capsys):
    client = [(4.0, {"type": "played", "samples": 100})]
    outcome, (folder,) = held(tmp_path / "kept", "told", QUESTION, INTERRUPTION, client=client)
    assert "BARGE_IN" in outcome.decisions()

    assert main(["replay", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [decision["kind"] for decision in told["decisions"]] == outcome.decisions()
    assert told["different"] == []


def test_a_dump_holds_the_audio_its_times_reports_and_settings(tmp_path):
    client = [(4.0, {"type": "played", "samples": 100})]
    _, (folder,) = held(tmp_path / "kept", "told", QUESTION, client=client, lasting_s=6.0)
    kept = read(folder)
    audio = [what for _, what in kept.arrivals if not isinstance(what, dict)]
    assert sum(len(packet) for packet in audio) == pytest.approx(6.0 * 16_000, abs=640)
    assert [what for _, what in kept.arrivals if isinstance(what, dict)] == [client[0][1]]
    times = [at_s for at_s, _ in kept.arrivals]
    assert times == sorted(times) and times[-1] == pytest.approx(6.0, abs=0.1)
    assert kept.settings.record.consent == "told" and kept.about["channel"] == "memory"
    with wave.open(str(folder / "caller.wav")) as sound:
        assert sound.getframerate() == kept.sample_rate == 16_000
    assert folder.stat().st_mode & 0o077 == 0


def test_nothing_is_kept_without_a_yes(tmp_path):
    user = [("no, rather not.", 7.0, 8.0)]
    outcome, found = held(tmp_path / "kept", "asked", *user, lasting_s=12.0)
    spoken = [m["content"] for m in outcome.history if m["role"] == "assistant"]
    assert spoken[0].startswith("May I record") and spoken[-1] == "Hello."
    assert found == []


def test_a_yes_keeps_the_whole_conversation(tmp_path):
    user = [("yes, sure.", 7.0, 8.0)]
    _, found = held(tmp_path / "kept", "asked", *user, lasting_s=12.0)
    assert len(found) == 1 and read(found[0]).arrivals[0][0] < 0.1


def test_a_later_no_takes_it_back(tmp_path):
    client = [(8.0, {"type": "consent", "record": False})]
    assert held(tmp_path / "kept", "told", QUESTION, client=client, lasting_s=14.0)[1] == []


def test_what_is_no_dump_is_told(tmp_path):
    (tmp_path / "about.json").write_text("{}")
    with pytest.raises(SettingsError, match="no dump"):
        read(tmp_path)
