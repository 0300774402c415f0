"""A typed function as a tool: its schema, its options, its arguments checked. Pure."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from string import Formatter
from typing import Any, get_type_hints

import docstring_parser
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from agent.conversation import Conversation
from agent.errors import RetryError, SettingsError


class ArgumentsError(RetryError):
    """The language model called a tool with arguments that do not fit; worded for the model."""


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """How a tool is called.

    Attributes:
        timeout_s: A call that takes longer is given up, aloud.
        filler: Said if the call takes longer than `filler_after_s`; empty for nothing.
        filler_after_s: A caller takes a second of silence for thought.
        confirm: Asked aloud before the call, and only a yes lets it happen. Arguments stand in
            braces: "Book a table for {guests}?". Empty: the call happens at once.
        cancel_safe: Whether an interruption may break the call off. Otherwise it is finished,
            even if the caller has hung up, and its result arrives when it is there.
        apology: Said when the call fails.
    """

    timeout_s: float = 10.0
    filler: str = ""
    filler_after_s: float = 0.6
    confirm: str = ""
    cancel_safe: bool = False
    apology: str = "Sorry, that did not work."

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.filler_after_s < 0:
            raise SettingsError("a tool's timeout_s must be above 0 and filler_after_s at least 0")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the language model may call.

    Attributes:
        function: Plain or async. A plain one runs on a thread of its own.
        name: What the model calls it.
        description: The docstring's text, for the model.
        arguments: The parameters as a model, which checks and converts what comes.
        conversation: Name of the parameter that takes the `Conversation`, if there is one.
        options: How it is called.
    """

    function: Callable[..., Any]
    name: str
    description: str
    arguments: type[BaseModel]
    conversation: str | None = None
    options: ToolOptions = field(default_factory=ToolOptions)

    def schema(self) -> dict[str, Any]:
        """Return ``properties`` and ``required`` of the parameters' JSON schema."""
        schema = self.arguments.model_json_schema()
        properties = _inlined(schema.get("properties", {}), schema.get("$defs", {}))
        return {"properties": properties, "required": schema.get("required", [])}

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function itself, as if it had not become a tool."""
        return self.function(*arguments, **named)

    def parse(self, arguments: object) -> dict[str, Any]:
        """Check what the model sent and convert it to the types of the hints.

        Raises:
            ArgumentsError: They do not fit.
        """
        try:
            checked = self.arguments.model_validate(arguments)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {item['msg']}"
                for item in error.errors()
            )
            raise ArgumentsError(
                f"{self.name} was not called: {faults}. Ask the caller if a value is missing."
            ) from None
        return {name: getattr(checked, name) for name in type(checked).model_fields}

    def question(self, arguments: Mapping[str, Any]) -> str:
        """Return what is asked before the call; empty when nothing is."""
        return self.options.confirm.format(**arguments)


@dataclass(frozen=True, slots=True)
class SchemaTool(Tool):
    """A tool whose schema was written elsewhere; so is the check of its arguments.

    Attributes:
        properties: Of the parameters' JSON schema.
        required: Names of those that must be given.
    """

    properties: Mapping[str, Any] = field(default_factory=dict)
    required: Sequence[str] = ()

    def schema(self) -> dict[str, Any]:
        """Return ``properties`` and ``required``, as they were written."""
        return {"properties": dict(self.properties), "required": list(self.required)}

    def parse(self, arguments: object) -> dict[str, Any]:
        """Look at the names; values are checked where they are used.

        Raises:
            ArgumentsError: A name is unknown, or one that is required is missing.
        """
        if not isinstance(arguments, dict):
            raise ArgumentsError(f"{self.name} was not called: its arguments are no object")
        missing = [name for name in self.required if name not in arguments]
        unknown = [name for name in arguments if name not in self.properties]
        if missing or unknown:
            raise ArgumentsError(
                f"{self.name} was not called: missing {missing}, unknown {unknown}. "
                "Ask the caller if a value is missing."
            )
        return arguments


def declare(function: Callable[..., Any], options: ToolOptions) -> Tool:
    """Make a tool of a function.

    Raises:
        SettingsError: It has no docstring, a parameter has no hint, or its question names a
            parameter it has not.
    """
    name = function.__name__
    doc = docstring_parser.parse(inspect.getdoc(function) or "")
    if not doc.description:
        raise SettingsError(f"tool {name} needs a docstring: it tells the model when to call it")
    about = {parameter.arg_name: parameter.description or None for parameter in doc.params}
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    conversation = None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise SettingsError(f"tool {name} must name its parameters, not take *{parameter.name}")
        hint = hints.get(parameter.name)
        if hint is None:
            raise SettingsError(f"tool {name}: parameter {parameter.name} needs a type hint")
        if _is_conversation(hint):
            conversation = parameter.name
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hint, Field(default, description=about.get(parameter.name)))
    arguments = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    tool = Tool(function, name, doc.description.strip(), arguments, conversation, options)
    _check_question(tool, fields)
    return tool


def result(value: object) -> object:
    """Return what a tool gave in a form that is never empty, as JSON can hold it.

    Pipecat takes an empty result for none and would leave the caller in silence.
    """
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if value is None:
        return "done"
    return value if value else {"result": value}


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Put definitions where they are referred to, without titles: servers differ in what they read.

    A type that refers to itself ends in an object without a schema.
    """
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        others = {key: value for key, value in definitions.items() if key != name}
        return _inlined(definitions.get(name, {"type": "object"}), others)
    return {
        key: _inlined(value, definitions)
        for key, value in schema.items()
        # A parameter may be called title; the title of a schema is always text.
        if key != "title" or not isinstance(value, str)
    }


def _check_question(tool: Tool, fields: Mapping[str, Any]) -> None:
    """Look at the names only: what follows them depends on the value."""
    try:
        named = [name for _, name, _, _ in Formatter().parse(tool.options.confirm) if name]
    except ValueError as error:
        raise SettingsError(f"tool {tool.name}: confirm cannot be read: {error}") from None
    for name in named:
        if re.split(r"[.\[]", name)[0] not in fields:
            raise SettingsError(
                f"tool {tool.name}: confirm names '{name}', which is none of its parameters: "
                f"{', '.join(fields) or 'it has none'}"
            )


def _is_conversation(hint: object) -> bool:
    origin = getattr(hint, "__origin__", hint)
    return isinstance(origin, type) and issubclass(origin, Conversation)
