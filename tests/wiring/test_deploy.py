"""What the container files say, held against the program; and two processes behind nginx."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import websockets
import yaml

from agent.__main__ import _parser
from agent.settings import load
from tests.live import ROOT, LiveServer
from tests.ports import free_port

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
KEY = "a-key-for-everybody"


def filled(value):
    """As compose fills variables in, with every one that has no default set to a word."""
    return re.sub(r"\$\{\w+(?::?([-?])([^}]*))?\}", lambda m: m[2] if m[1] == "-" else KEY, value)


def dockerfile(service):
    return (ROOT / SERVICES[service]["build"]["dockerfile"]).read_text(encoding="utf-8")


def command(service):
    """What the image runs, as a list."""
    given = SERVICES[service].get("command")
    return given or json.loads(re.findall(r"^CMD (\[.*\])$", dockerfile(service), re.M)[-1])


def test_each_profile_is_whole():
    edge = {name for name, service in SERVICES.items() if "edge" in service["profiles"]}
    cloud = {name for name, service in SERVICES.items() if "cloud" in service["profiles"]}
    assert edge == {"agent"}
    assert cloud == {"agent-cloud", "parakeet", "llm", "prometheus", "grafana"}
    for service in SERVICES.values():
        needed = set(service.get("depends_on", ()))
        assert needed <= cloud
        assert service["restart"] == "unless-stopped"


def test_every_file_that_is_mounted_or_copied_is_there():
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = filled(volume).split(":")[0]
            if source.startswith("./deploy"):
                assert (ROOT / source).exists(), (name, source)
        if "build" in service:
            for copied in re.findall(r"^COPY (.*) \S+$", dockerfile(name), re.M):
                for path in copied.split():
                    assert (ROOT / path).exists(), (name, path)


def test_images_are_made_of_the_same_pins_as_set_up():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert '-c constraints.txt ".[webrtc]"' in dockerfile("agent")
    assert "-c constraints.txt -e" in makefile
    extras = re.search(r'-c constraints-parakeet.txt "(.*)"', dockerfile("parakeet"))[1]
    assert f'-c constraints-parakeet.txt -e "{extras}"' in makefile
    torch = re.search(r"torch==[\d.]+", makefile)[0]
    assert torch in dockerfile("parakeet")


@pytest.mark.parametrize("service", ["agent", "agent-cloud"])
def test_an_agents_settings_are_ours(service):
    environ = {name: filled(value) for name, value in SERVICES[service]["environment"].items()}
    settings = load(environ=environ)
    assert settings.server.secrets == (KEY,)
    assert settings.logs.format == "json"
    grace_s = float(SERVICES[service]["stop_grace_period"].removesuffix("s"))
    assert grace_s > settings.server.drain_s
    assert _parser().parse_args(command(service)[1:])


def test_the_recognition_server_knows_its_options():
    program, *rest = command("parakeet")
    assert (program, rest[0]) == ("duplex", "asr-server")
    from agent.parakeet.cli import main

    with pytest.raises(SystemExit) as over:
        main([*rest[1:], "--help"])
    assert over.value.code == 0


def healthy(service, port, **environ):
    """Run the container's health check until it is content; False if it never is."""
    kind, python, *check = SERVICES[service]["healthcheck"]["test"]
    assert (kind, python) == ("CMD", "python")
    here = [sys.executable, *(word.replace("8770", port) for word in check)]
    for _ in range(300):
        if subprocess.run(here, cwd=ROOT, env=environ, stderr=subprocess.DEVNULL).returncode == 0:
            return True
        time.sleep(0.2)
    return False


def test_the_agents_container_starts_is_healthy_and_stops():
    port = str(free_port())
    environ = {name: filled(value) for name, value in SERVICES["agent"]["environment"].items()}
    # A test listens to this machine only.
    environ |= {"DUPLEX_SERVER__HOST": "127.0.0.1", "DUPLEX_SERVER__PORT": port}
    live = LiveServer("-m", "agent", *command("agent")[1:], **environ)
    live.wait_ready()
    try:
        assert healthy("agent", port, **os.environ, **environ), live.log()
    finally:
        live.stop()
    assert live.wait() == 0


def test_the_recognition_servers_container_starts_is_healthy_and_stops():
    port = str(free_port())
    here = ("--host", "127.0.0.1", "--port", port, "--engine", "fake")
    live = LiveServer("-m", "agent", *command("parakeet")[1:], *here)
    live.wait_ready()
    try:
        assert healthy("parakeet", port, **os.environ), live.log()
    finally:
        live.stop()
    assert live.wait() == 0


def test_prometheus_scrapes_where_they_listen():
    config = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text(encoding="utf-8"))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    targets = {name: job["static_configs"][0]["targets"] for name, job in jobs.items()}
    assert targets["duplex"] == [f"127.0.0.1:{load(environ={}).server.port}"]
    assert targets["parakeet"] == [SERVICES["parakeet"]["ports"][0].rpartition(":")[0]]
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert jobs["duplex"]["authorization"]["credentials_file"].endswith(secret)


@contextlib.contextmanager
def nginx(folder, ports):
    """Our nginx.conf in front of two processes, on free ports."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        reason = "no nginx: sh tools/system-packages.sh test"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    config = (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8")
    front = free_port()
    # A test's callers all come from one address: let each go where the last one did not.
    config = config.replace("ip_hash;", "")
    for old, new in zip(("7861", "7862", "7860"), (*ports, front), strict=True):
        config = config.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = config.replace("http {", f"http {{\naccess_log off;\n{temporary}", 1)
    path = Path(folder) / "nginx.conf"
    path.write_text(f"pid {folder}/pid;\nerror_log {folder}/error.log;\n{config}")
    running = subprocess.Popen([binary, "-c", str(path), "-g", "daemon off;"])
    try:
        yield f"http://127.0.0.1:{front}/"
    finally:
        running.terminate()
        running.wait(timeout=10)


async def ready(socket):
    async for message in socket:
        if isinstance(message, str) and (event := json.loads(message))["type"] == "ready":
            return event
    raise AssertionError("closed")


def listening(url):
    with contextlib.suppress(OSError), urllib.request.urlopen(url + "healthz", timeout=5) as answer:
        return answer.status == 200
    return False


def active(agent):
    headers = {"Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(agent.url + "api/status", headers=headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)["sessions"]["active"]


async def test_two_processes_behind_nginx_share_the_calls(tmp_path):
    command = ("-m", "benchmarks.instant")
    environ = {
        "DUPLEX_SERVER__MAX_SESSIONS": "1",
        "DUPLEX_SERVER__TRUSTED_PROXIES": "127.0.0.1",
        "DUPLEX_SERVER__KEYS": KEY,
    }
    agents = [LiveServer(*command, **environ) for _ in range(2)]
    for agent in agents:
        agent.wait_ready()
    ports = [agent.url.rstrip("/").rpartition(":")[2] for agent in agents]
    headers = {"Authorization": f"Bearer {KEY}"}
    try:
        with nginx(tmp_path, ports) as url:
            async with asyncio.timeout(20):
                while not await asyncio.to_thread(listening, url):  # noqa: ASYNC110 - a process
                    await asyncio.sleep(0.05)
            address = url.replace("http", "ws") + "v1/stream?events=all"
            first = await websockets.connect(
                address, additional_headers=headers, origin=url.rstrip("/")
            )
            second = await websockets.connect(address, additional_headers=headers)
            sessions = {(await ready(first))["session"], (await ready(second))["session"]}
            assert len(sessions) == 2
            for agent in agents:
                assert await asyncio.to_thread(active, agent) == 1
            # Both are full: the third is turned away, by status.
            with pytest.raises(websockets.InvalidStatus) as refusal:
                await websockets.connect(address, additional_headers=headers)
            assert refusal.value.response.status_code in (502, 503)
            await first.close()
            await second.close()
    finally:
        for agent in agents:
            agent.stop()


def test_the_health_check_tells_ready_from_not(monkeypatch):
    from agent import healthcheck

    monkeypatch.setenv("DUPLEX_SERVER__PORT", str(free_port()))
    assert healthcheck.main() == 1
    live = LiveServer("-m", "benchmarks.instant")
    live.wait_ready()
    try:
        monkeypatch.setenv("DUPLEX_SERVER__PORT", live.url.rstrip("/").rpartition(":")[2])
        assert healthcheck.main() == 0
    finally:
        live.stop()
