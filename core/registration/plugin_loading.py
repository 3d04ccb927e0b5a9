"""One plugin at a time: imported and asked for its parts; what fails is set aside with its reason, alone."""

from __future__ import annotations

import functools
import inspect
import os
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pluggy

from .. import hookspecs
from ..errors import NoiseformError, PluginError, nearest
from .api import CHANGES, BuiltFor, Hook, built_for, check_requirement, required, served
from .installed import Candidate
from .kinds import KINDS, NAME, NAME_RULE, Kind
from .targets import TARGET, import_target
from .torch_state import guarded

__all__ = ["RUN_HOOKS", "Part", "Plugin", "load_plugin", "reason_of"]

_CORE = Path(__file__).parents[1]

RUN_HOOKS = {"noiseform_sampling_observers": "0.1", "noiseform_training_observers": "0.1"}
"""The hooks that are asked once a run, each with the version of noiseform since which it is as it is."""


@dataclass(slots=True)
class Plugin:
    """A plugin and what became of it.

    Attributes:
        candidate: its name, and where it comes from.
        state: ``"loaded"``, ``"disabled"`` (by configuration, never imported) or ``"set aside"`` (it failed).
        reason: why it is not loaded.
        error: what it raised.
        file: the file of its module.
        seconds: how long importing it took.
        run_hooks: its implementations of the run hooks.
        built_for: the versions of noiseform, or of the interface, that it says it is built for.
        warnings: what its author should know of it, though it works.
    """

    candidate: Candidate
    state: str = "loaded"
    reason: str = ""
    error: BaseException | None = None
    file: str = ""
    seconds: float = 0.0
    run_hooks: dict[str, Hook] = field(default_factory=dict)
    built_for: BuiltFor = field(default_factory=BuiltFor)
    warnings: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether its parts may be used."""
        return self.state == "loaded"

    @property
    def distribution(self) -> str:
        """The distribution that it comes with."""
        return self.candidate.distribution

    @property
    def owner(self) -> str:
        """The distribution that it comes with, and its version."""
        return f"{self.candidate.distribution} {self.candidate.version}".strip()

    @property
    def label(self) -> str:
        """The plugin as messages name it: ``name (distribution version)``."""
        return f"{self.candidate.name} ({self.owner})"


@dataclass(frozen=True, slots=True)
class Part:
    """One named part: its kind, its name, what makes it, and the plugin that it comes from."""

    kind: str
    name: str
    target: object
    plugin: Plugin

    @property
    def full_name(self) -> str:
        """The name that is always unique: ``distribution/name``."""
        return f"{self.plugin.distribution}/{self.name}"

    @property
    def label(self) -> str:
        """The part as messages name it."""
        return f"{self.kind} {self.name!r} of plugin {self.plugin.label}"

    def load(self) -> object:
        """Return the object that the part's target names, importing it on first use.

        Raises:
            PluginError: the import fails.
        """
        if not isinstance(self.target, str):
            return self.target
        try:
            return _imported(self.target, self.plugin)
        except (NoiseformError, KeyboardInterrupt):
            raise
        except BaseException as error:  # a plugin may raise SystemExit, or worse
            why = _with_place(reason_of(error), error)
            raise PluginError(
                f"{self.label}: {self.target} cannot be imported: {why}; see noiseform plugins doctor"
            ) from error


def load_plugin(candidate: Candidate) -> tuple[Plugin, list[Part]]:
    """Import a plugin and ask it for its parts.

    A plugin that fails is set aside as a whole; the parts that it gave before are returned all the same, so that asking
    for one of them tells why it cannot be had.
    """
    plugin = Plugin(candidate)
    parts: list[Part] = []
    started = time.perf_counter()
    try:
        if candidate.fault:
            raise PluginError(candidate.fault)
        plugin.built_for = required(candidate)  # told of one that is set aside too
        doubt = check_requirement(candidate)
        module = _imported(candidate.target, plugin)
        plugin.seconds = time.perf_counter() - started
        plugin.file = str(getattr(module, "__file__", None) or "")
        plugin.built_for = built_for(module, plugin.built_for)
        hooks, deprecated = _hooks(module)
        hooks, changed = served(hooks, plugin.built_for)
        plugin.warnings = tuple(filter(None, [doubt, *deprecated, *changed]))
        plugin.run_hooks = {name: hooks[name] for name in RUN_HOOKS if name in hooks}
        with nullcontext() if candidate.builtin else guarded(f"plugin {plugin.label}"):
            for kind in KINDS.values():
                if kind.hook in hooks:
                    given = _answers(kind, hooks[kind.hook])
                    parts += [Part(kind.name, name, target, plugin) for name, target in given]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit and its like must not end the program either
        plugin.state, plugin.reason, plugin.error = "set aside", _with_place(reason_of(error), error), error
    return plugin, parts


def reason_of(error: BaseException) -> str:
    """Return an exception as a short single line."""
    try:
        text = " ".join(str(error).split())
    except KeyboardInterrupt:
        raise
    except BaseException:  # a hostile __str__
        text = ""
    kind = type(error).__name__
    text = text if isinstance(error, NoiseformError) else f"{kind}: {text}" if text else kind
    return text if len(text) <= 300 else text[:299] + "…"


def _with_place(reason: str, error: BaseException) -> str:
    """Return a reason with the place where the exception was raised, unless it says that itself."""
    place = _place(error)
    return f"{reason} ({place})" if place and place not in reason else reason


def _place(error: BaseException) -> str:
    """Return ``file:line`` where an exception, or its cause, was raised; nothing where that is in noiseform itself."""
    error = error.__cause__ if isinstance(error, PluginError) and error.__cause__ is not None else error
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        own = path.is_relative_to(_CORE) or not {"pluggy", "importlib"}.isdisjoint(path.parts)
        if not own and os.path.isfile(frame.filename):  # which the frozen import system is not
            return f"{frame.filename}:{frame.lineno}"
    return ""


def _imported(target: str, plugin: Plugin) -> object:
    if plugin.candidate.builtin:
        return import_target(target)
    with guarded(f"plugin {plugin.label}"):
        return import_target(target)


def _hooks(module: object) -> tuple[dict[str, Hook], list[str]]:
    """Return a plugin's hook implementations by name, after pluggy has judged them, and what it warns of."""
    manager = _manager()
    try:
        return _judged(manager, module)
    finally:  # so that pluggy's checks judge one plugin at a time
        try:
            manager.unregister(module)
        except Exception:  # it was never registered, or is no object that can be compared
            _manager.cache_clear()


@functools.lru_cache(maxsize=1)
def _manager() -> pluggy.PluginManager:
    """Return what judges plugins by the hooks; made once, since that takes longer than judging."""
    manager = pluggy.PluginManager("noiseform")
    manager.add_hookspecs(hookspecs)
    return manager


def _judged(manager: pluggy.PluginManager, module: object) -> tuple[dict[str, Hook], list[str]]:
    """Return the hooks of one plugin, and what pluggy warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        manager.register(module)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        known = {name for name in vars(hookspecs) if name.startswith("noiseform_")}
        unknown = [caller.name for caller in manager.get_hookcallers(module) or () if caller.name not in known]
        hints = "; ".join(f"unknown hook {name!r}; {nearest(name, known)}" for name in unknown)
        raise PluginError(hints or str(error)) from None
    hooks = {
        caller.name: implementation.function
        for caller in manager.get_hookcallers(module) or ()
        for implementation in caller.get_hookimpls()
    }
    for name in (kind.hook for kind in KINDS.values()):
        if isinstance(module, ModuleType) and inspect.isfunction(vars(module).get(name)) and name not in hooks:
            raise PluginError(f"{name} lacks @hookimpl")
    if not hooks:
        raise PluginError("it has no hook: a function marked @hookimpl, such as noiseform_samplers")
    return hooks, _deprecated(manager, module, [one.message for one in caught])


def _deprecated(manager: pluggy.PluginManager, module: object, messages: Sequence[Warning | str]) -> list[str]:
    """Return what pluggy said of given-up hooks and arguments; not of a hook beside which the one of now stands too."""
    specs = {caller.name: caller.spec for caller in manager.get_hookcallers(module) or () if caller.spec is not None}
    both = {change.former for change in CHANGES if change.hook in specs}
    given = [
        warning
        for name, spec in specs.items()
        if name not in both
        for warning in (spec.warn_on_impl, *(spec.warn_on_impl_args or {}).values())
    ]
    return [" ".join(str(one).split()) for one in messages if any(one is warning for warning in given)]


def _answers(kind: Kind, hook: Callable[..., object]) -> Iterator[tuple[str, object]]:
    """Ask one hook for its parts and check what it says."""
    try:
        given = hook()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"hook {kind.hook} raised {reason_of(error)}") from error
    if not isinstance(given, Mapping):
        raise PluginError(f"hook {kind.hook}: expected a mapping of names to factories, got {type(given).__name__}")
    seen: set[str] = set()
    # What it gave is foreign code too where it is of a class of its own: only its keys, values and texts are kept.
    for key, value in dict.items(given) if isinstance(given, dict) else dict(given).items():
        name, target = _exact(key), _exact(value)
        if not isinstance(name, str) or not NAME.fullmatch(name) or name == "default":
            raise PluginError(f"hook {kind.hook}: {name!r:.100} is no name for a part; {NAME_RULE}")
        lazy = isinstance(target, str) and ":" in target and TARGET.fullmatch(target)
        direct = isinstance(target, Mapping) if kind.name == "pipeline" else callable(target)
        if not lazy and not direct:
            wanted = "a table" if kind.name == "pipeline" else "a factory"
            raise PluginError(f"hook {kind.hook}: {name}: expected 'module:attribute' or {wanted}, got {target!r:.100}")
        if name in seen:
            raise PluginError(f"hook {kind.hook} gives {name!r} twice")
        seen.add(name)
        yield name, target


def _exact(value: object) -> object:
    """Return a text as Python's own, whatever a class derived from it makes of it; anything else as it is."""
    return str.__str__(value) if isinstance(value, str) else value
