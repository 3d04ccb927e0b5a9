"""Parts by name: found, their parameters checked, made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ..errors import ConfigError, NoiseformError, PluginError
from .kinds import kind_of
from .plugin_loading import Part, reason_of
from .registry import current
from .watching import watched

if TYPE_CHECKING:
    from .parameters import Parameter

__all__ = ["build", "build_part", "factory_of", "find", "hosted_by", "made_of", "parameters_of"]


def find(kind: str, name: str, /, *, owners: Sequence[str] = ()) -> Part:
    """Return what is known of a part, without importing it; see ``Plugins.find``."""
    return current().plugins.find(kind, name, owners=owners)


def build(kind: str, name: str, /, **params: object) -> Any:  # the kind's contract, which a string cannot type
    """Make a part by its name.

    ``build("sampler", "ddim", eta=0.5)`` or ``build("sampler", "noiseform/ddim")``.

    Args:
        kind: a kind of parts, such as ``process``, ``sampler`` or ``grid``.
        name: the part's name, ``distribution/name``, or ``default`` for the recommended choice.
        params: the part's parameters; ``noiseform show KIND/NAME`` lists them.

    Raises:
        ConfigError: the kind, the name or a parameter is unknown, or a value is out of bounds.
        PluginError: two plugins claim the name, or the part's plugin fails.
    """
    part = find(kind, name)
    hosted = hosted_by(part)
    host = {key: value for key, value in params.items() if key in hosted}
    settings = {key: value for key, value in params.items() if key not in hosted}
    return _make(part, settings, host)


def build_part(part: object, kind: str, /, *, where: str = "", **host: object) -> Any:
    """Make a part from a table of a file: ``{use = "ddim", eta = 0.5}``.

    Args:
        part: the table, as a mapping or a ``PartConfig``, which may also say where it is from and whose part it means.
        kind: the kind of parts that it stands for.
        where: what the table belongs to, for messages.
        host: what the host offers; the part gets those that its signature names.

    Raises:
        ConfigError: the name or a parameter is unknown, or a value is out of bounds.
        PluginError: two plugins claim the name, the part's plugin fails, or it asks for what the host does not offer.
    """
    table = dict(part) if isinstance(part, Mapping) else dict(vars(part) | (getattr(part, "model_extra", None) or {}))
    origin = getattr(part, "origin", "")
    where = origin or where
    name = table.pop("use", None)
    if table.pop("weights", None) is not None:
        at = f"{where}: " if where else ""
        raise ConfigError(
            f"{at}{kind} {name!r}: its weights come with the model; "
            "only a recipe's codec names them, or a pipeline's guidance"
        )
    if not isinstance(name, str):
        raise ConfigError(f'{kind}: {where + ": " if where else ""}expected {{ use = "NAME", ... }}, got {part!r}')
    try:
        found = find(kind, name, owners=getattr(part, "owners", ()))
    except (ConfigError, PluginError) as error:
        raise (type(error)(f"{origin}: {error}") if origin else error) from error.__cause__
    return made_of(found, table, host, where=where)


def made_of(part: Part, settings: Mapping[str, object], host: Mapping[str, object], *, where: str = "") -> Any:
    """Make a part that has been found, with what of the host's offers its signature names; see :func:`build_part`."""
    hosted = hosted_by(part)
    offered = host if "**" in hosted else {key: value for key, value in host.items() if key in hosted}
    absent = [key for key, required in hosted.items() if required and key not in offered]
    if absent:
        raise PluginError(f"{part.label} asks for {absent[0]!r}, which no {part.kind} is given; correct its signature")
    return _make(part, settings, offered, where=where)


def factory_of(part: Part) -> Any:
    """Import what makes a part.

    Raises:
        PluginError: the import fails, or it is nothing that can be called.
    """
    factory = part.load()
    if not callable(factory):
        raise PluginError(f"{part.label}: expected a factory, got {type(factory).__name__}")
    return factory


def parameters_of(part: Part) -> tuple[Parameter, ...]:
    """Import what makes a part, and return its parameters.

    Raises:
        PluginError: the import fails, or they cannot be read.
    """
    factory = factory_of(part)
    from .parameters import describe  # here, since pydantic takes longer to import than a listing may

    try:
        return describe(factory)
    except PluginError as error:
        raise PluginError(f"{part.label}: {error}; report it to its author") from error.__cause__


def hosted_by(part: Part) -> dict[str, bool]:
    """Return the names of what the host gives a part, each with whether it must; see ``host_parameters``.

    Raises:
        PluginError: its import fails, or its signature cannot be read.
    """
    factory = factory_of(part)
    from .parameters import host_parameters

    try:
        return host_parameters(factory)
    except PluginError as error:
        raise PluginError(f"{part.label}: {error}; report it to its author") from error.__cause__


def _make(part: Part, settings: Mapping[str, object], host: Mapping[str, object], *, where: str = "") -> object:
    from .parameters import check_parameters

    factory = factory_of(part)
    parameters_of(part)  # which names the plugin where they cannot be read
    listing = f"noiseform show {part.kind}/{part.name}"
    checked = check_parameters(factory, settings, what=f"{part.kind} {part.name!r}", listing=listing, where=where)
    head = f"{where}: " if where else ""
    try:
        made = cast(object, factory(**checked, **host))
    except ConfigError as error:  # of the part's own, which does not know where its table stands
        named = str(error).startswith(part.kind)
        raise ConfigError(f"{head}{error}" if named else f"{head}{part.kind} {part.name!r}: {error}") from error
    except (NoiseformError, KeyboardInterrupt):
        raise
    except ValueError as error:  # parameters that are right one by one but not together
        raise ConfigError(f"{head}{part.kind} {part.name!r}: {error}; see {listing}") from error
    except BaseException as error:
        if part.plugin.candidate.builtin:
            raise
        raise PluginError(f"{part.label} cannot be made: {reason_of(error)}; report it to its author") from error
    missing = [name for name in kind_of(part.kind).contract if not hasattr(made, name)]
    if missing:
        raise PluginError(
            f"{part.label} made a {type(made).__name__} without {', '.join(missing)}; see the docs of {part.kind}"
        )
    return watched(made, part)
