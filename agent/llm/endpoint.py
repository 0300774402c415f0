"""Which language model answers: one named by URL, or the embedded one. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from agent.errors import SettingsError

_EXAMPLE = "http://127.0.0.1:11434/v1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible server.

    Attributes:
        base_url: Without a trailing slash.
        model: What requests name.
        key: Never shown by `repr`. Not empty: clients refuse an empty one even where the server
            wants none.
    """

    base_url: str
    model: str
    key: str = field(repr=False)


def resolve(
    url: str | None,
    model: str | None,
    key: str | None,
    environ: Mapping[str, str],
) -> Endpoint | None:
    """Settle on an endpoint.

    What the settings say wins over the environment. A key from the environment belongs to the
    environment's URL: a URL from the settings never receives it.

    Args:
        url: From the settings.
        model: From the settings.
        key: From the settings.
        environ: Looked up for OPENAI_BASE_URL, OPENAI_MODEL and OPENAI_API_KEY.

    Returns:
        None when no URL is given: use the embedded model. A key alone is not a wish to send what
        people say to a stranger's machine.

    Raises:
        SettingsError: The URL is malformed, or the model is not named.
    """
    url, model, key = _blank_to_none(url), _blank_to_none(model), _blank_to_none(key)
    source = "llm.url"
    if url is None:
        source = "OPENAI_BASE_URL"
        url = _blank_to_none(environ.get(source))
        key = key or _blank_to_none(environ.get("OPENAI_API_KEY"))
    if url is None:
        return None
    model = model or _blank_to_none(environ.get("OPENAI_MODEL"))
    _check(url, source)
    if model is None:
        raise SettingsError(f"{source} is set but no model is named; set llm.model or OPENAI_MODEL")
    return Endpoint(url.rstrip("/"), model, key or "none")


def _blank_to_none(text: str | None) -> str | None:
    # An empty variable is how compose files and shells spell "unset".
    return (text or "").strip() or None


def _check(url: str, source: str) -> None:
    """Raise for a URL that no client could use; the message never repeats the URL.

    People paste keys into the wrong variable, and URLs may carry a password.
    """
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise SettingsError(f"{source} is not a URL; example: {_EXAMPLE}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise SettingsError(
            f"{source} must begin with http:// or https:// and name a host; example: {_EXAMPLE}"
        )
    if parts.username or parts.password:
        raise SettingsError(f"{source} must not hold a password; set llm.key or OPENAI_API_KEY")
    if parts.query or parts.fragment:
        raise SettingsError(f"{source} must end after its path; example: {_EXAMPLE}")
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise SettingsError(f"{source} must end before /chat/completions; example: {_EXAMPLE}")
