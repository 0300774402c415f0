"""Settings as a YAML file: where each value stands, secrets by reference, and back to text."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import yaml
from pydantic import BaseModel, SecretStr, ValidationError

from agent.errors import SettingsError

Place = tuple[str | int, ...]

_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, and where.

    Attributes:
        values: Plain mappings, lists and scalars.
        lines: Line of each value, counted from one, by its place.
        name: For messages; empty without a file.
    """

    values: dict[str, Any] = field(default_factory=dict)
    lines: Mapping[Place, int] = field(default_factory=dict)
    name: str = ""

    def where(self, place: Place) -> str:
        """Return "file:line: " of a place, or of the nearest thing around it; "" without a file."""
        if not self.name:
            return ""
        for length in range(len(place), 0, -1):
            if line := self.lines.get(place[:length]):
                return f"{self.name}:{line}: "
        return f"{self.name}: "

    def filled(self, model: type[BaseModel], environ: Mapping[str, str]) -> dict[str, Any]:
        """Return the values with secrets in place of their references.

        Raises:
            SettingsError: A secret is written out, or its variable is not set. It is never shown.
        """
        values: dict[str, Any] = json.loads(json.dumps(self.values, default=str))
        for place in secrets(model):
            holder = _inside(values, place[:-1])
            if not isinstance(holder, dict) or holder.get(str(place[-1])) is None:
                continue
            name = ".".join(map(str, place))
            reference = _REFERENCE.fullmatch(str(holder[str(place[-1])]))
            if reference is None:
                raise SettingsError(
                    f"{self.where(place)}{name} is a secret: put it into an environment variable "
                    f"and write {name}: ${{{variable(place)}}}"
                )
            if reference[1] not in environ:
                raise SettingsError(f"{self.where(place)}{name}: {reference[1]} is not set")
            holder[str(place[-1])] = environ[reference[1]]
        return values


def read(path: Path) -> Document:
    """Read a file.

    Raises:
        SettingsError: Unreadable, not YAML, not made of sections, or with a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"cannot read {path}: {why}") from error
    return parse(text, str(path))


def parse(text: str, name: str = "settings") -> Document:
    """Read a text.

    Raises:
        SettingsError: As for `read`.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise SettingsError(f"{name}{line}: not YAML: {problem}") from error
    if values is None or node is None:
        return Document(name=name)
    if not isinstance(values, dict):
        raise SettingsError(f"{name} must hold sections such as 'server:', not a list or a word")
    lines: dict[Place, int] = {}
    for place, number in _places(node, (), frozenset()):
        if place in lines:
            key = ".".join(map(str, place))
            raise SettingsError(f"{name}:{number}: '{key}' is there twice, first on {lines[place]}")
        lines[place] = number
    return Document(values, lines, name)


def write(settings: BaseModel) -> str:
    """Return settings as YAML: what differs from the defaults, secrets as references.

    Reading it again with those variables set gives equal settings.
    """
    values: dict[str, Any] = settings.model_dump(mode="json", exclude_defaults=True)
    for place in secrets(type(settings)):
        holder = _inside(values, place[:-1])
        if isinstance(holder, dict) and holder.get(str(place[-1])) is not None:
            holder[str(place[-1])] = f"${{{variable(place)}}}"
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True)) if values else ""


def variable(place: Place) -> str:
    """Return the environment variable of a place: llm.key is DUPLEX_LLM__KEY."""
    return "DUPLEX_" + "__".join(str(part).upper() for part in place)


def explain(error: ValidationError, document: Document, model: type[BaseModel]) -> str:
    """Return what is wrong and where, a line each, with the nearest that would be right."""
    return "; ".join(
        document.where(item["loc"]) + _one(item["loc"], item, model) for item in error.errors()
    )


def secrets(model: type[BaseModel], around: Place = ()) -> Iterator[Place]:
    """Go through the places of secrets."""
    for name, info in model.model_fields.items():
        for kind in _kinds(info.annotation):
            if issubclass(kind, SecretStr):
                yield (*around, name)
            elif issubclass(kind, BaseModel):
                yield from secrets(kind, (*around, name))


def _one(place: Place, item: Any, model: type[BaseModel]) -> str:
    name = ".".join(map(str, place))
    if item["type"] == "literal_error":
        known = re.findall(r"'([^']*)'", item["ctx"]["expected"])
        return f"{name}: {_nearest(str(item['input']), known, 'valid')}"
    if item["type"] != "extra_forbidden":
        return f"{name}: {item['msg'].removeprefix('Value error, ')}"
    known = _keys(model, place[:-1])
    return f"unknown setting '{name}': {_nearest(str(place[-1]), known, 'known keys')}"


def _nearest(given: str, known: Iterable[str], which: str) -> str:
    near = difflib.get_close_matches(given, known := list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else f"{which}: {', '.join(sorted(known))}"


def _keys(model: type[BaseModel], place: Place) -> list[str]:
    for part in place:
        if isinstance(part, int):
            continue  # One of several of a kind.
        info = model.model_fields.get(str(part))
        kinds = _kinds(info.annotation) if info else ()
        inner = [kind for kind in kinds if issubclass(kind, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)


def _kinds(annotation: Any) -> list[type[Any]]:
    # What need not be there is written `Section | None`; several, `tuple[Section, ...]`.
    options = [one for one in get_args(annotation) if one not in (NoneType, ...)] or [annotation]
    return [one for one in options if isinstance(one, type)]


def _inside(values: Any, place: Place) -> Any:
    for part in place:
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _places(node: yaml.Node, place: Place, inside: frozenset[int]) -> Iterator[tuple[Place, int]]:
    if id(node) in inside:  # An alias of what it stands in.
        return
    inside |= {id(node)}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*place, str(key.value))
            yield here, key.start_mark.line + 1
            yield from _places(value, here, inside)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*place, index), value.start_mark.line + 1
            yield from _places(value, (*place, index), inside)
