"""Notices as the clouds' documents describe them, from a real HTTP server on loopback."""

import asyncio
import json
from pathlib import Path

import pytest

from agent.errors import SettingsError
from agent.parakeet import notice
from agent.parakeet.notice import CLOUDS, Address, source_of, wait_for_notice
from tests.parakeet.metadata import Metadata

AWS = "/latest/meta-data/spot/instance-action"
TOKEN = "/latest/api/token"
GCP = "/computeMetadata/v1/instance/preempted"
AZURE = "/metadata/scheduledevents?api-version=2020-07-01"


@pytest.fixture
def metadata(monkeypatch):
    monkeypatch.setattr(notice, "ADDRESS_EVERY_S", 0.01)
    service = Metadata()
    yield service
    service.close()


async def given(metadata, cloud, before, after, path):
    """Whether the notice is not seen in `before` and seen in `after`."""
    if before is not None:
        metadata.answers[path] = before
    waiting = asyncio.create_task(wait_for_notice(CLOUDS[cloud].at(metadata.host)))
    async with asyncio.timeout(20):
        while metadata.asked.count(("GET", path)) < 3:  # noqa: ASYNC110 - asked by a thread
            await asyncio.sleep(0.01)
        assert not waiting.done()
        metadata.answers[path] = after
        return (await waiting).endswith(path)


async def test_aws(metadata):
    metadata.answers[TOKEN] = "secret"
    metadata.wanted[TOKEN] = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    metadata.wanted[AWS] = {"X-aws-ec2-metadata-token": "secret"}
    action = json.dumps({"action": "terminate", "time": "2026-11-26T08:22:00Z"})
    assert await given(metadata, "aws", None, action, AWS)


async def test_google(metadata):
    metadata.wanted[GCP] = {"Metadata-Flavor": "Google"}
    assert await given(metadata, "gcp", "FALSE", "TRUE", GCP)


async def test_azure(metadata):
    metadata.wanted[AZURE] = {"Metadata": "true"}

    def events(*kinds):
        return json.dumps({"Events": [{"EventType": kind} for kind in kinds]})

    assert await given(metadata, "azure", events("Freeze"), events("Freeze", "Preempt"), AZURE)


@pytest.mark.parametrize("nonsense", ["", "{", "[]", '{"Events": 3}', '{"Events": [{}]}'])
async def test_azures_nonsense_is_no_notice(metadata, nonsense):
    good = '{"Events": [{"EventType": "Terminate"}]}'
    assert await given(metadata, "azure", nonsense, good, AZURE)


async def test_a_silent_service_is_asked_again(metadata, monkeypatch):
    metadata.wanted["/notice"] = {"never": "sent"}
    waiting = asyncio.create_task(wait_for_notice(Address(f"http://{metadata.host}/notice")))
    async with asyncio.timeout(20):
        while len(metadata.asked) < 3:  # noqa: ASYNC110 - asked by a thread
            await asyncio.sleep(0.01)
        assert not waiting.done()
        metadata.answers["/notice"] = "soon"
        del metadata.wanted["/notice"]
        await waiting


def test_sources_are_told_apart():
    assert source_of("aws") is CLOUDS["aws"]
    assert source_of("http://localhost/x") == Address("http://localhost/x")
    assert source_of("/run/going") == Path("/run/going")
    with pytest.raises(SettingsError, match=r"none of aws, gcp, azure.*\./gpc"):
        source_of("gpc")
    with pytest.raises(SettingsError, match="none of aws, gcp, azure"):
        source_of("ftp://host/going")
    with pytest.raises(SettingsError, match="no address"):
        source_of("http://host:port/")
