"""What dashboards read of edge and cloud: names frozen, and counted where it happens."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from agent.asr.hybrid.breaker import BreakerSettings
from agent.asr.hybrid.health import CloudHealth
from agent.observe.recognition import RecognitionCollector
from agent.server.sessions import Sessions
from agent.session import Models
from agent.settings import Settings
from agent.turns.policy import FusedPolicy
from tests.scenarios.fakes import (
    FixedProsody,
    LoudnessPosterior,
    ScriptedLanguage,
    ScriptedRecogniser,
    SteadyVoice,
)


def scraped(health):
    registry = CollectorRegistry()
    registry.register(RecognitionCollector(health))
    lines = generate_latest(registry).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_everything_is_there_from_the_start():
    assert scraped(CloudHealth()) == {
        'duplex_recognition_finals_total{side="edge"}': "0.0",
        'duplex_recognition_finals_total{side="cloud"}': "0.0",
        'duplex_recognition_switches_total{to="edge"}': "0.0",
        'duplex_recognition_switches_total{to="cloud"}': "0.0",
        "duplex_recognition_corrections_total": "0.0",
        "duplex_recognition_cloud_usable": "1.0",
    }


def test_a_switch_there_and_back_is_two():
    health = CloudHealth(BreakerSettings(failures=2))
    health.failed(1.0, "no connection")
    health.failed(2.0, "no connection")
    left = scraped(health)
    assert left['duplex_recognition_switches_total{to="edge"}'] == "1.0"
    assert left['duplex_recognition_cloud_failures_total{reason="no connection"}'] == "2.0"
    assert left["duplex_recognition_cloud_usable"] == "0.0"
    health.breaker.probe()
    health.probed(0.1, 8.0)
    back = scraped(health)
    assert back['duplex_recognition_switches_total{to="cloud"}'] == "1.0"
    assert back["duplex_recognition_cloud_usable"] == "1.0"


@pytest.mark.parametrize("cloud", [CloudHealth(), None])
async def test_a_server_tells_of_its_cloud_if_it_has_one(cloud):
    models = Models(
        silero=LoudnessPosterior(),
        smart_turn=FixedProsody(0.9),
        recogniser=lambda: ScriptedRecogniser([]),
        policy=FusedPolicy,
        voice=SteadyVoice(),
        language=lambda _prompt: ScriptedLanguage([]),
        names={},
        cloud=cloud,
    )
    text = Sessions(Settings(), models, is_offline=True).metrics.text()
    assert (b"duplex_recognition_cloud_usable 1.0" in text) == (cloud is not None)
