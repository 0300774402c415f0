"""The notice that this machine will be taken away, as clouds and schedulers give it."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
from loguru import logger

from agent.errors import SettingsError

FILE_EVERY_S = 0.05
"""Looking whether a file is there costs nothing."""

ADDRESS_EVERY_S = 1.0
"""Clouds give two minutes (AWS) or half a minute (Google, Azure) and ask for no more than this."""

_ANSWER_S = 2.0

_NOTHING = {"", "false", "none", "null", "0", "[]", "{}"}


def _any_text(body: str) -> bool:
    return body.strip().lower() not in _NOTHING


def _scheduled_end(body: str) -> bool:
    """Whether Azure's scheduled events take this machine away."""
    try:
        events = json.loads(body)["Events"]
        return any(event["EventType"] in ("Preempt", "Terminate") for event in events)
    except (ValueError, KeyError, TypeError):
        return False


@dataclass(frozen=True, slots=True)
class Address:
    """A metadata service that is asked again and again.

    Attributes:
        url: Answers 200 with the notice, something that says no, or 404 while there is none.
        headers: It wants these.
        token_url: Gives a token for `token_header` first (AWS, version 2); empty for none.
        token_header: What the token is sent as.
        is_notice: Whether a body is the notice.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    token_url: str = ""
    token_header: str = ""
    is_notice: Callable[[str], bool] = _any_text

    def at(self, host: str) -> "Address":
        """The same service on another ``host:port``."""
        urls = [
            urlunsplit(urlsplit(url)._replace(netloc=host)) if url else ""
            for url in (self.url, self.token_url)
        ]
        return Address(urls[0], self.headers, urls[1], self.token_header, self.is_notice)


CLOUDS = {
    "aws": Address(
        "http://169.254.169.254/latest/meta-data/spot/instance-action",
        token_url="http://169.254.169.254/latest/api/token",
        token_header="X-aws-ec2-metadata-token",
    ),
    "gcp": Address(
        "http://metadata.google.internal/computeMetadata/v1/instance/preempted",
        {"Metadata-Flavor": "Google"},
    ),
    "azure": Address(
        "http://169.254.169.254/metadata/scheduledevents?api-version=2020-07-01",
        {"Metadata": "true"},
        is_notice=_scheduled_end,
    ),
}


def source_of(text: str) -> Address | Path:
    """Read where the notice comes from: a cloud's name, an address, or a file's path.

    Raises:
        SettingsError: It is none of the three.
    """
    if text in CLOUDS:
        return CLOUDS[text]
    if text.startswith(("http://", "https://")):
        try:
            httpx.URL(text)
        except httpx.InvalidURL as error:
            raise SettingsError(f"--drain-on {text!r} is no address: {error}") from error
        return Address(text)
    if "://" not in text and ("/" in text or "\\" in text):
        return Path(text)
    known = ", ".join(CLOUDS)
    raise SettingsError(
        f"--drain-on {text!r} is none of {known}, no http:// address and no path of a file; "
        f"write ./{text} for a file here"
    )


async def wait_for_notice(source: Address | Path) -> str:
    """Wait until this machine is about to be taken away; says who said so."""
    if isinstance(source, Path):
        while not source.exists():  # noqa: ASYNC110 - a file system has no events everywhere
            await asyncio.sleep(FILE_EVERY_S)
        return str(source)
    # A proxy is not asked: only the machine itself knows.
    async with httpx.AsyncClient(timeout=_ANSWER_S, trust_env=False) as http:
        is_silent = False
        while True:
            try:
                if await _is_given(http, source):
                    return source.url
                is_silent = False
            except httpx.HTTPError as error:
                if not is_silent:
                    logger.warning("{} gives no notices: {!r}", source.url, error)
                is_silent = True
            await asyncio.sleep(ADDRESS_EVERY_S)


async def _is_given(http: httpx.AsyncClient, source: Address) -> bool:
    headers = dict(source.headers)
    if source.token_url:
        # Asked for each time: one request to the machine itself, and no token can be too old.
        asked = {f"{source.token_header}-ttl-seconds": "60"}
        token = await http.put(source.token_url, headers=asked)
        token.raise_for_status()
        headers[source.token_header] = token.text
    answer = await http.get(source.url, headers=headers)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return False
    answer.raise_for_status()
    return source.is_notice(answer.text)
