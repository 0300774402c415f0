"""The proxy that the documentation sets up, between providers and us: a real nginx, with TLS."""

import asyncio
import contextlib
import re
import shutil
import ssl
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from agent.server.phone import add_phone
from tests.certificates import certificate
from tests.core.phone.carriers import TOKEN
from tests.core.phone.providers import GenesysSide, TwilioSide
from tests.live import ROOT
from tests.ports import free_port
from tests.sip.household import WORD_S, sessions
from tests.wiring.phone_peers import GENESYS_KEY, GENESYS_SECRET, PUBLIC, webhook
from tests.wiring.test_phone_transfer import Leg, until

PHONE = {
    "public_url": PUBLIC,
    "twilio": {"auth_token": TOKEN},
    "genesys": {"api_key": GENESYS_KEY, "client_secret": GENESYS_SECRET},
}


@contextlib.contextmanager
def documented_nginx(folder: Path, port: int):
    """The server of docs/phone.md with another address and certificate: its port."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        pytest.skip("no nginx: sh tools/system-packages.sh test")
    (server,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs/phone.md").read_text(), re.S)
    front, pem = free_port(), certificate(folder)
    server = re.sub(r"/etc/letsencrypt\S+pem", str(pem), server)
    server = server.replace("listen 443", f"listen 127.0.0.1:{front}").replace("7860", str(port))
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path = folder / "nginx.conf"
    path.write_text(
        f"pid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{server}}}\n"
    )
    running = subprocess.Popen(
        [binary, "-c", str(path), "-g", "daemon off;"], stderr=subprocess.DEVNULL
    )
    try:
        yield front, ssl.create_default_context(cafile=pem)
    finally:
        running.terminate()
        running.wait(timeout=10)


@contextlib.asynccontextmanager
async def behind_nginx(folder: Path):
    """Our webhooks and streams behind it: the sessions, nginx' port, whom to trust."""
    household = sessions(phone=PHONE, greeting="one two three")
    app = FastAPI()
    add_phone(app, household)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with documented_nginx(folder, port) as (front, trust):
            yield household, front, trust
            await household.drain()
            await until(lambda: not household.active)
    finally:
        server.should_exit = True
        await serving


async def talks(side, household, front, trust, path):
    leg = Leg(side, f"wss://localhost:{front}", trust)
    talking = asyncio.create_task(leg.talk(PUBLIC.replace("https", "wss") + path))
    await leg.until_heard(3 * WORD_S - 0.1)
    await leg.end()
    await talking
    await until(lambda: not household.active)


async def test_calls_of_providers_come_through_the_proxy_of_the_documentation(tmp_path):
    side = TwilioSide("call-1")
    async with behind_nginx(tmp_path) as (household, front, trust):
        method, path, headers, body = webhook(side)
        async with httpx.AsyncClient(verify=trust) as client:
            at = f"https://localhost:{front}"
            async with asyncio.timeout(10):
                while True:
                    with contextlib.suppress(httpx.ConnectError):
                        # The page is nobody's business out there.
                        assert (await client.get(at + "/api/status")).status_code == 404
                        break
            response = await client.request(method, at + path, headers=headers, content=body)
            assert response.status_code == 200, response.text
            unsigned = await client.request(method, at + path, content=body)
            assert unsigned.status_code == 403
        (stream,) = re.findall(r"wss://[^\"'<]+", response.text)
        assert stream.startswith(PUBLIC.replace("https", "wss"))
        await talks(side, household, front, trust, urlsplit(stream).path)
        await talks(GenesysSide("call-2"), household, front, trust, "/phone/genesys/stream")
