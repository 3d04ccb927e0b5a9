"""The plugins of this process: each imported and asked for its parts on its own, so that a broken one harms no other."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType

import pluggy

from . import hookspecs
from .errors import ConfigError, NoiseformError, PluginError, nearest
from .installed import Candidate, normalized
from .kinds import KINDS, NAME, Kind, kind_of
from .targets import TARGET, import_target
from .torch_state import guarded

__all__ = ["Part", "Plugin", "Plugins", "reason_of"]

RUN_HOOKS = ("noiseform_sampling_observers", "noiseform_training_observers")


@dataclass(slots=True)
class Plugin:
    """A plugin and what became of it.

    Attributes:
        candidate: where it was named and what it comes with.
        state: ``"loaded"``, ``"disabled"`` (by configuration, never imported) or ``"set aside"`` (it failed).
        reason: why it is not loaded.
        file: the file of its module.
        seconds: how long its import took.
        hooks: its implementations of the run hooks.
    """

    candidate: Candidate
    state: str = "loaded"
    reason: str = ""
    file: str = ""
    seconds: float = 0.0
    hooks: dict[str, Callable[..., object]] = field(default_factory=dict)

    @property
    def distribution(self) -> str:
        """The distribution that the plugin comes with."""
        return self.candidate.distribution

    @property
    def label(self) -> str:
        """The plugin as messages name it: ``name (distribution version)``."""
        owner = f"{self.candidate.distribution} {self.candidate.version}".strip()
        return f"{self.candidate.name} ({owner})"


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
            if self.plugin.candidate.builtin:
                return import_target(self.target)
            with guarded(self.label):
                return import_target(self.target)
        except (NoiseformError, KeyboardInterrupt):
            raise
        except BaseException as error:  # a plugin may raise SystemExit, or worse
            raise PluginError(
                f"{self.label}: {self.target} cannot be imported ({reason_of(error)}); see noiseform plugins doctor"
            ) from error


class Plugins:
    """The plugins of one configuration and the parts that they provide.

    Args:
        candidates: the plugins that are named somewhere.
        disabled: for a candidate the reason not to import it, or an empty string.
        prefer: ``"kind:name"`` to the distribution that wins a clash.
        defaults: what the name ``default`` stands for in a kind.
    """

    def __init__(
        self,
        candidates: Iterable[Candidate],
        *,
        disabled: Callable[[Candidate], str] = lambda candidate: "",
        prefer: Mapping[str, str] | None = None,
        defaults: Mapping[str, str] | None = None,
    ) -> None:
        self.prefer = dict(prefer or {})
        self.defaults = dict(defaults or {})
        self.plugins: list[Plugin] = []
        self._parts: dict[str, dict[str, list[Part]]] = {kind: {} for kind in KINDS}
        for candidate in candidates:
            why = disabled(candidate)
            plugin = Plugin(candidate, state="disabled", reason=why) if why else self._load(candidate)
            self.plugins.append(plugin)

    def _load(self, candidate: Candidate) -> Plugin:
        plugin = Plugin(candidate)
        started = time.perf_counter()
        try:
            if candidate.fault:
                raise PluginError(candidate.fault)
            if candidate.builtin:
                self._register(plugin, import_target(candidate.target))
            else:
                with guarded(f"plugin {plugin.label}"):
                    self._register(plugin, import_target(candidate.target))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and its like must not end the program either
            plugin.state, plugin.reason = "set aside", reason_of(error)
        plugin.seconds = time.perf_counter() - started
        return plugin

    def _register(self, plugin: Plugin, module: object) -> None:
        """Ask a plugin's hooks for its parts; those given before one fails are kept, to name the plugin when asked for."""
        plugin.file = str(getattr(module, "__file__", "") or "")
        built_for = getattr(module, "noiseform_api", hookspecs.API_VERSION)
        if built_for != hookspecs.API_VERSION:
            raise PluginError(
                f"it is built for plugin API {built_for!r}, this noiseform has {hookspecs.API_VERSION}; "
                f"install versions of the two that fit"
            )
        manager = pluggy.PluginManager("noiseform")  # one each: pluggy's own checks then judge one plugin at a time
        manager.add_hookspecs(hookspecs)
        manager.register(module)
        manager.check_pending()
        implementations = {
            caller.name: implementation.function
            for caller in manager.get_hookcallers(module) or ()
            for implementation in caller.get_hookimpls()
        }
        if isinstance(module, ModuleType):
            for kind in KINDS.values():
                if inspect.isfunction(vars(module).get(kind.hook)) and kind.hook not in implementations:
                    raise PluginError(f"{kind.hook} lacks @hookimpl")
        if not implementations:
            raise PluginError("it has no hook: a function marked @hookimpl, such as noiseform_samplers")
        plugin.hooks = {name: implementations[name] for name in RUN_HOOKS if name in implementations}
        for kind in KINDS.values():
            if kind.hook in implementations:
                self._collect(plugin, kind, implementations[kind.hook])

    def _collect(self, plugin: Plugin, kind: Kind, hook: Callable[..., object]) -> None:
        try:
            given = hook()
        except Exception as error:
            raise PluginError(f"hook {kind.hook} raised {reason_of(error)}") from error
        if not isinstance(given, Mapping):
            raise PluginError(f"hook {kind.hook}: expected a mapping of names to factories, got {type(given).__name__}")
        for name, target in dict(given).items():
            if not isinstance(name, str) or not NAME.fullmatch(name) or name == "default":
                raise PluginError(f"hook {kind.hook}: {name!r} is no name for a part (expected {NAME.pattern})")
            lazy = isinstance(target, str) and TARGET.fullmatch(target) and ":" in target
            direct = isinstance(target, Mapping) if kind.name == "pipeline" else callable(target)
            if not lazy and not direct:
                raise PluginError(f"hook {kind.hook}: {name}: expected 'module:attribute' or a factory, got {target!r}")
            part = Part(kind.name, name, target, plugin)
            rivals = self._parts[kind.name].setdefault(name, [])
            # Two entry points of one distribution may lead to the same part: that is no clash.
            if not any(r.target == target and r.plugin.distribution == plugin.distribution for r in rivals):
                rivals.append(part)

    def parts(self, kind: str | None = None) -> list[Part]:
        """Return the usable parts, of one kind or of all, in order of kind and name."""
        kinds = [kind_of(kind).name] if kind is not None else list(KINDS)
        return [
            part
            for each in kinds
            for _, rivals in sorted(self._parts[each].items())
            for part in rivals
            if part.plugin.state == "loaded"
        ]

    def find(self, kind: str, name: str) -> Part:
        """Return the part of that short name, ``distribution/name`` or ``default``.

        Raises:
            PluginError: two distributions claim the short name, or the plugin that has the part was set aside.
            ConfigError: there is no such part.
        """
        kind_of(kind)
        wanted = self.defaults.get(kind, name) if name == "default" else name
        owner, slash, short = wanted.rpartition("/")
        rivals = list(self._parts[kind].get(short, ()))
        if slash:
            rivals = [part for part in rivals if part.plugin.distribution == normalized(owner)]
        usable = [part for part in rivals if part.plugin.state == "loaded"]
        if len(usable) > 1 and f"{kind}:{short}" in self.prefer:
            preferred = normalized(self.prefer[f"{kind}:{short}"])
            usable = [part for part in usable if part.plugin.distribution == preferred] or usable
        if len(usable) > 1:
            raise PluginError(_clash(kind, short, usable))
        if usable:
            return usable[0]
        raise self._missing(kind, wanted, owner, short, rivals)

    def _missing(self, kind: str, wanted: str, owner: str, short: str, rivals: list[Part]) -> NoiseformError:
        aside = [plugin for plugin in self.plugins if plugin.state != "loaded"]
        blamed = [part.plugin for part in rivals] or [
            plugin
            for plugin in aside
            if normalized(owner) == plugin.distribution or (not owner and short == plugin.candidate.name)
        ]
        if blamed:
            plugin = blamed[0]
            return PluginError(
                f"{kind} {wanted!r}: plugin {plugin.label} is {plugin.state}: {plugin.reason}; "
                f"see noiseform plugins list"
            )
        hint = nearest(wanted, {part.name for part in self.parts(kind)}, listing=f"noiseform list {kind}")
        count = sum(plugin.state == "set aside" for plugin in aside)
        note = f"; {count} plugin(s) set aside: noiseform plugins list" if count else ""
        return ConfigError(f"unknown {kind} {wanted!r}; {hint}{note}")

    def observers(self, hook: str, run: object) -> tuple[object, ...]:
        """Return the observers that plugins give for one run.

        Args:
            hook: ``noiseform_sampling_observers`` or ``noiseform_training_observers``.
            run: the run that is about to begin.

        Raises:
            PluginError: a plugin's hook raises.
        """
        found: list[object] = []
        for plugin in self.plugins:
            if plugin.state != "loaded" or hook not in plugin.hooks:
                continue
            function = plugin.hooks[hook]
            try:
                given = function(run) if inspect.signature(function).parameters else function()
            except (NoiseformError, KeyboardInterrupt):
                raise
            except BaseException as error:
                raise PluginError(f"plugin {plugin.label}: hook {hook} raised {reason_of(error)}") from error
            if given is not None:
                found += given if isinstance(given, list | tuple) else [given]
        return tuple(found)


def reason_of(error: BaseException) -> str:
    """Return an exception as a short single line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # a hostile __str__
        text = "without a message"
    kind = type(error).__name__
    text = text if isinstance(error, NoiseformError) else f"{kind}: {text}" if text else kind
    return text if len(text) <= 300 else text[:299] + "…"


def _clash(kind: str, name: str, rivals: list[Part]) -> str:
    owners = [f"{part.plugin.distribution} {part.plugin.candidate.version}".strip() for part in rivals]
    listed = " and ".join(owners)
    if len({part.plugin.distribution for part in rivals}) < len(rivals):
        plugins = " and ".join(part.plugin.candidate.name for part in rivals)
        return (
            f"{kind} {name!r} is claimed by {listed} (plugins {plugins}); disable one under [plugins] in registry.toml"
        )
    full = " or ".join(repr(part.full_name) for part in rivals)
    return (
        f"{kind} {name!r} is claimed by {listed}; write {full}, "
        f'or choose the owner in registry.toml: [plugins] prefer = {{ "{kind}:{name}" = "{rivals[0].plugin.distribution}" }}'
    )
