"""Models by name: what `moonshine:base` or `kokoro:af_heart` stands for. Pure.

A name is a kind and, after a colon, which one of it. A dotted kind is Python: `shop.voices:Loud`.
"""

import difflib
import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent.errors import SettingsError

Role = Literal["asr", "llm", "tts"]

PYTHON_NAME = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""Something in a module, written module:name."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of model.

    Attributes:
        variants: What may follow the colon; empty for anything.
        default: What stands for nothing after it; None where something must follow.
        example: For messages and documents.
    """

    variants: tuple[str, ...]
    default: str | None
    example: str


KINDS: Mapping[Role, Mapping[str, Kind]] = {
    "asr": {
        "moonshine": Kind(("base", "tiny"), "base", "moonshine:base"),
        "parakeet": Kind((), None, "parakeet:https://asr.example"),
    },
    "llm": {
        "embedded": Kind((), "", "embedded"),
        "openai": Kind((), None, "openai:http://127.0.0.1:11434/v1#qwen3:4b"),
    },
    "tts": {
        "kokoro": Kind((), "af_heart", "kokoro:af_heart"),
        "kokoro-full": Kind((), "af_heart", "kokoro-full:af_heart"),
        "kokoro-student": Kind((), "af_heart", "kokoro-student:af_heart"),
        "openai": Kind((), None, "openai:https://api.example/v1#tts-1:alloy"),
    },
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A model that was named.

    Attributes:
        kind: A key of `KINDS`, or a module.
        which: A variant, address or voice; of a module, the attribute.
        is_python: Whether `kind` is a module.
    """

    kind: str
    which: str
    is_python: bool = False

    def load(self) -> Any:
        """Import what a Python choice names.

        Raises:
            SettingsError: There is no such module or attribute.
        """
        return imported(f"{self.kind}:{self.which}")


def parse(role: Role, name: str) -> Choice:
    """Take a name apart.

    Raises:
        SettingsError: There is no such model; the message offers the nearest.
    """
    kind, _, which = name.strip().partition(":")
    if "." in kind:
        if not which.isidentifier():
            raise SettingsError(f"'{name}' must be written as module:name")
        return Choice(kind, which, is_python=True)
    known = KINDS[role].get(kind)
    if known is None:
        raise SettingsError(f"there is no {role} '{name}': {nearest(kind, list(KINDS[role]))}")
    if not which:
        if known.default is None:
            raise SettingsError(f"'{name}' must say which one, such as {known.example}")
        which = known.default
    if known.variants and which not in known.variants:
        names = [f"{kind}:{variant}" for variant in known.variants]
        raise SettingsError(f"there is no {role} '{name}': {nearest(f'{kind}:{which}', names)}")
    if kind == "openai":
        split_endpoint(role, which)
    return Choice(kind, which)


def model_named(role: Role) -> Callable[[str], str]:
    """Return a validator of names of that role: ValueError, as pydantic wants it."""

    def validate(name: str) -> str:
        try:
            parse(role, name)
        except SettingsError as error:
            raise ValueError(str(error)) from None
        return name

    return validate


@dataclass(frozen=True, slots=True)
class NamedEndpoint:
    """An OpenAI-compatible server, by name.

    Attributes:
        url: Its base URL.
        model: What requests name.
        key_variable: Environment variable that holds its key; None where none was named.
    """

    url: str
    model: str
    key_variable: str | None

    def key(self, environ: Mapping[str, str]) -> str | None:
        """Look up its own key; None where none was named.

        Raises:
            SettingsError: The variable is not set.
        """
        if self.key_variable is None:
            return None
        if not environ.get(self.key_variable):
            raise SettingsError(f"the key of {self.model}: {self.key_variable} is not set")
        return environ[self.key_variable]


_ENDPOINT = re.compile(r"(https?://[^#\s]+)#(\S+)(?: \$\{([A-Za-z_]\w*)\})?")


def split_endpoint(role: Role, which: str) -> NamedEndpoint:
    """Take an OpenAI-compatible server's name apart: URL, model, and a reference to its key.

    A voice stands behind its model, with a colon.

    Raises:
        SettingsError: There is no model, the URL is none, or a key is written out.
    """
    found = _ENDPOINT.fullmatch(which)
    if found is None:
        # Never repeated: people paste keys into the wrong place.
        example = KINDS[role]["openai"].example
        raise SettingsError(f"write it as {example}, or with its own key: {example} ${{KEY}}")
    return NamedEndpoint(*found.groups())


def imported(path: str) -> Any:
    """Import `module:attribute`.

    Raises:
        SettingsError: There is no such module or attribute.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute.isidentifier():
        raise SettingsError(f"'{path}' must be written as module:name")
    module = imported_module(module_name)
    try:
        return getattr(module, attribute)
    except AttributeError:
        names = [name for name in vars(module) if not name.startswith("_")]
        raise SettingsError(
            f"{module_name} has no '{attribute}': {nearest(attribute, names)}"
        ) from None


def imported_module(name: str) -> Any:
    """Import a module.

    Raises:
        SettingsError: There is none of that name, or it cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SettingsError(f"cannot import '{name}': {error}") from error


def nearest(name: str, known: Sequence[str]) -> str:
    """Say what was probably meant, or what there is."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known)[:12])}"
