"""Which language model answers: a server that was named, or the embedded one."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from agent.errors import SettingsError
from agent.settings import LlmSettings

_DEFAULT_MODEL = "default"
"""Servers of one model mostly ignore the name."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible server.

    Attributes:
        url: Its base URL.
        model: Its name for the model.
        key: Never shown.
    """

    url: str
    model: str
    key: str = field(repr=False)

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")


def resolve(settings: LlmSettings, environ: Mapping[str, str] | None = None) -> Endpoint | None:
    """Find the server that was named.

    Args:
        settings: They win over the environment.
        environ: Instead of the process's.

    Returns:
        None when none was named: then the embedded model answers.

    Raises:
        SettingsError: The URL cannot be one, or no model was named for a remote server.
    """
    known = os.environ if environ is None else environ
    url = settings.url or known.get("OPENAI_BASE_URL")
    key = settings.key.get_secret_value() if settings.key else known.get("OPENAI_API_KEY", "")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(
            f"llm.url is '{url}'; it must look like http://127.0.0.1:11434/v1 "
            "(from llm.url or OPENAI_BASE_URL)"
        )
    model = settings.model or known.get("OPENAI_MODEL") or _DEFAULT_MODEL
    # The client insists on a key; servers without keys ignore it.
    return Endpoint(url=url.rstrip("/"), model=model, key=key or "none")
