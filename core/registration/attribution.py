"""Whose fault an error is: where the code of a plugin raises, the plugin is named."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

from ..errors import NoiseformError, PluginError
from .plugin_loading import Plugin, reason_of
from .registry import current
from .targets import PACKAGE
from .torch_state import kept

__all__ = ["owner_named", "plugins_named", "torch_kept"]


@contextmanager
def plugins_named(doing: str) -> Iterator[None]:
    """Turn an exception that a plugin's code raises into a PluginError that names plugin and function.

    Errors of noiseform's own, and of callers' code, pass as they are.

    Args:
        doing: what is being done, for the message.

    Raises:
        PluginError: see above.
    """
    try:
        yield
    except (NoiseformError, KeyboardInterrupt, GeneratorExit, MemoryError):
        raise
    except BaseException as error:  # a plugin may raise SystemExit, or worse
        found = _culprit(error)
        if found is None:
            raise
        plugin, function = found
        raise PluginError(
            f"{doing}: plugin {plugin.label}: {function} raised {reason_of(error)}; "
            "report it to its author (--debug shows where)"
        ) from error


def owner_named(part: object) -> str:
    """Return whose a part is, for messages: `` of plugin name (distribution version)``; nothing of one that is ours."""
    plugin = _owner(type(part).__module__, _modules())
    return f" of plugin {plugin.label}" if plugin else ""


@contextmanager
def torch_kept(doing: str, owners: Iterable[str]) -> Iterator[None]:
    """Put back torch's global state after plugins from outside were at work, with a warning that names them.

    Args:
        doing: what is being done, for the message.
        owners: distributions whose parts are at work; plugins that observe runs are as well.
    """
    wanted = set(owners)
    outsiders = [one for one in current().plugins.plugins if one.usable and not one.candidate.builtin]
    working = [one.label for one in outsiders if one.distribution in wanted or one.run_hooks]
    with kept(f"{doing}: what ran of {', '.join(working)}") if working else nullcontext():
        yield


def _culprit(error: BaseException) -> tuple[Plugin, str] | None:
    """Return the plugin from outside that the innermost frame of its kind belongs to, with the function's name."""
    owners = _modules()
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        plugin = _owner(str(frame.f_globals.get("__name__", "")), owners)
        if plugin is not None:
            return plugin, frame.f_code.co_qualname
    return None


def _owner(module: str, owners: Mapping[str, Plugin]) -> Plugin | None:
    """Return the plugin that a module belongs to: it names it, or a package around it."""
    return next((one for name, one in owners.items() if module == name or module.startswith(f"{name}.")), None)


def _modules() -> dict[str, Plugin]:
    """Return the modules of plugins from outside."""
    plugins = current().plugins
    found = {plugin.candidate.target.partition(":")[0]: plugin for plugin in plugins.plugins}
    for part in plugins.parts():
        target = part.target
        module = target.partition(":")[0] if isinstance(target, str) else getattr(target, "__module__", None)
        if isinstance(module, str):
            found.setdefault(module, part.plugin)
    return {
        name: plugin
        for name, plugin in found.items()
        if plugin.usable and not plugin.candidate.builtin and name.partition(".")[0] not in ("", PACKAGE, "noiseform")
    }
