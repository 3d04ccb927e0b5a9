"""Parameters of parts: read from the signature of the factory, and checked against it.

Positional-or-keyword parameters are what a file may set; keyword-only ones are given by the host (a codec's ``media``,
a network's ``channels_in``) and may never stand in a file. Types and bounds come from the annotations::

    class Mel:
        def __init__(self, bins: Annotated[int, annotated_types.Ge(2)] = 64, *, media: MediaSpec) -> None: ...
"""

from __future__ import annotations

import functools
import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from ..errors import ConfigError, NoiseformError, PluginError, nearest
from .documentation import documentation
from .plugin_loading import reason_of
from .schema_words import in_words

__all__ = ["Parameter", "check_parameters", "describe", "host_parameters"]

Factory = Callable[..., object]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a factory.

    Attributes:
        name: its name.
        host: whether the host gives it (keyword-only), so that a file may not.
        required: whether it has no default.
        default: its default, where it has one.
        annotation: its type, as annotated.
        schema: what a file may say, as JSON schema; empty for what the host gives.
        expects: the same in words, such as ``number >= 0``.
        meaning: what the factory's docstring says of it.
    """

    name: str
    host: bool
    required: bool
    default: object
    annotation: object
    schema: Mapping[str, object]
    expects: str
    meaning: str


def describe(factory: Factory) -> tuple[Parameter, ...]:
    """Return the parameters of a factory, in their order.

    Raises:
        PluginError: the signature or an annotation cannot be read.
    """
    return tuple(parameter for parameter, _ in _described(factory))


def host_parameters(factory: Factory) -> dict[str, bool]:
    """Return the names of what the host gives, each with whether it must; ``{"**": False}`` where anything goes."""
    found = {p.name: p.default is p.empty for p in _signature(factory) if p.kind is p.KEYWORD_ONLY}
    if any(p.kind is p.VAR_KEYWORD for p in _signature(factory)):
        found["**"] = False
    return found


def check_parameters(
    factory: Factory, given: Mapping[str, object], *, what: str, listing: str = "", where: str = ""
) -> dict[str, object]:
    """Return the parameters that a file or a caller gives, checked and converted (a list where a tuple is wanted).

    Args:
        factory: what they are for.
        given: parameters by name.
        what: the part, for messages: ``sampler 'ddim'``.
        listing: the command that shows the part's parameters.
        where: file and line, for messages.

    Raises:
        ConfigError: a name is unknown, belongs to the host or is missing; a value has a wrong type or is out of bounds.
        PluginError: the factory's signature cannot be read.
    """
    try:
        described = {parameter.name: (parameter, adapter) for parameter, adapter in _described(factory)}
    except PluginError as error:
        raise PluginError(f"{what}: {error}") from error
    head = f"{what}: {where}: " if where else f"{what}: "
    settable = {name for name, (parameter, _) in described.items() if not parameter.host}
    checked: dict[str, object] = {}
    for name, value in given.items():
        if name in described and name not in settable:
            raise ConfigError(f"{head}parameter {name!r} is given by the program and cannot be set; leave it out")
        if name not in settable:
            hint = nearest(name, settable, listing=listing) if settable else "it takes none"
            raise ConfigError(f"{head}unknown parameter {name!r}; {hint}")
        parameter, adapter = described[name]
        try:
            checked[name] = _converted(adapter, value)
        except (ValueError, RecursionError) as error:
            reason = _reason(error, parameter)
            raise ConfigError(f"{head}parameter {name!r}: {reason}, got {_shown(value)}; {_cure(listing)}") from error
    missing = [name for name in settable if described[name][0].required and name not in checked]
    if missing:
        expects = described[missing[0]][0].expects
        raise ConfigError(f"{head}parameter {missing[0]!r} is missing: expected {expects}; {_cure(listing)}")
    return checked


def _cure(listing: str) -> str:
    return f"see {listing}" if listing else "correct it"


def _converted(adapter: TypeAdapter[object], value: object) -> object:
    """Validate without guessing: no text becomes a number, but the lists of a file become tuples."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        return adapter.validate_python(value, strict=True)
    converted = adapter.validate_json(text, strict=True)
    if isinstance(value, bool) and type(converted) is int:  # a Literal takes true for 1
        raise ValueError("a truth is no number")
    return converted


def _reason(error: Exception, parameter: Parameter) -> str:
    if isinstance(error, ValidationError):
        details = error.errors(include_url=False, include_context=False)
        if details[0]["type"] in {"value_error", "assertion_error"}:  # a validator of the factory's own
            return details[0]["msg"]
        if details[0]["type"] == "finite_number":
            return f"expected {parameter.expects}, finite"
    return f"expected {parameter.expects}"


def _shown(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:79] + '…'} ({type(value).__name__})"


def _signature(factory: Factory) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(factory).parameters.values())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a signature of the factory's own may raise SystemExit, or worse
        raise PluginError(f"the parameters of {_named(factory)} cannot be read ({reason_of(error)})") from error


def _named(factory: object) -> str:
    """Return a factory as messages name it."""
    try:
        return f"{factory!r:.100}"
    except KeyboardInterrupt:
        raise
    except BaseException:  # a hostile __repr__
        return f"a {type(factory).__name__}"


def _described(factory: Factory) -> tuple[tuple[Parameter, TypeAdapter[object]], ...]:
    """Return the parameters of a factory, each with what checks it.

    Raises:
        PluginError: they cannot be read.
    """
    try:
        try:
            hash(factory)
        except Exception:  # an object that can be called, of a dataclass
            return _read(factory)
        return _read_once(factory)
    except (NoiseformError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a type of the factory's own may raise SystemExit, or worse
        raise PluginError(f"the parameters of {_named(factory)} cannot be read ({reason_of(error)})") from error


@functools.lru_cache(maxsize=256)
def _read_once(factory: Factory) -> tuple[tuple[Parameter, TypeAdapter[object]], ...]:
    return _read(factory)


def _read(factory: Factory) -> tuple[tuple[Parameter, TypeAdapter[object]], ...]:
    parameters = [p for p in _signature(factory) if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}]
    settable = {p.name: p.annotation for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
    hints = _resolved(factory, {name: note for name, note in settable.items() if note is not inspect.Parameter.empty})
    meanings = documentation(factory).meanings
    described = []
    for parameter in parameters:
        host = parameter.name not in settable
        annotation = hints.get(parameter.name, object) if not host else parameter.annotation
        adapter = _adapter(object if host else annotation)
        schema = {} if host else _schema(adapter)
        required = parameter.default is parameter.empty
        described.append(
            (
                Parameter(
                    parameter.name,
                    host,
                    required,
                    None if required else parameter.default,
                    annotation,
                    schema,
                    in_words(schema) or _plain(annotation),
                    meanings.get(parameter.name, ""),
                ),
                adapter,
            )
        )
    return tuple(described)


def _resolved(factory: Factory, annotations: dict[str, object]) -> dict[str, object]:
    """Resolve annotations written as text; not those of the host, which may name what only type checkers import."""
    function: object = factory.func if isinstance(factory, functools.partial) else factory
    if isinstance(function, type):
        function = getattr(function, "__init__", None)
    elif not inspect.isroutine(function):  # an object that can be called
        function = type(function).__call__
    function = inspect.unwrap(typing.cast("Factory", function))
    scope = getattr(function, "__globals__", {})  # a slot of object has none, and no annotations either
    holder = types.SimpleNamespace(__annotations__=annotations)
    try:
        return typing.get_type_hints(holder, scope, include_extras=True)
    except Exception as error:
        raise PluginError(f"an annotation of {_named(factory)} cannot be resolved ({reason_of(error)})") from error


def _adapter(annotation: object) -> TypeAdapter[object]:
    config = ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False)
    try:
        return TypeAdapter[object](annotation, config=config)  # type: ignore[arg-type]
    except PydanticUserError:  # models and dataclasses bring their own configuration
        return TypeAdapter[object](annotation)  # type: ignore[arg-type]


def _schema(adapter: TypeAdapter[object]) -> Mapping[str, object]:
    try:
        return adapter.json_schema()
    except PydanticUserError:  # a type that no file can express
        return {}


def _plain(annotation: object) -> str:
    return "any value" if annotation in {object, inspect.Parameter.empty} else inspect.formatannotation(annotation)
