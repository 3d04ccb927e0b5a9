"""The plugins of one configuration, and their parts by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import ConfigError, NoiseformError, PluginError, closest, nearest
from .installed import REGISTRY, normalized, why_missing
from .kinds import KINDS, NAME, kind_of
from .plugin_loading import Part, Plugin, reason_of

__all__ = ["Part", "Plugin", "Plugins"]

_MOST = 8  # parts that a message lists


class Plugins:
    """Plugins, loaded or set aside, and the parts that they give.

    Args:
        loaded: each plugin with its parts.
        prefer: ``"kind:name"`` to the distribution that wins a clash.
        defaults: what the name ``default`` stands for in a kind.
    """

    def __init__(
        self,
        loaded: Iterable[tuple[Plugin, Sequence[Part]]],
        *,
        prefer: Mapping[str, str],
        defaults: Mapping[str, str],
    ) -> None:
        self._prefer = prefer
        self._defaults = defaults
        self.plugins: list[Plugin] = []
        self._parts: dict[str, dict[str, list[Part]]] = {kind: {} for kind in KINDS}
        for plugin, parts in loaded:
            self.plugins.append(plugin)
            for part in parts:
                rivals = self._parts[part.kind].setdefault(part.name, [])
                # Two entry points of one distribution may lead to one part: that is no clash.
                if not any(part.full_name == rival.full_name and _same(part.target, rival.target) for rival in rivals):
                    rivals.append(part)

    def parts(self, kind: str | None = None) -> list[Part]:
        """Return the usable parts, of one kind or of all, by kind and name.

        Raises:
            ConfigError: there is no such kind.
        """
        kinds = list(KINDS) if kind is None else [kind_of(kind).name]
        named = [rivals for each in kinds for _, rivals in sorted(self._parts[each].items())]
        return [part for rivals in named for part in rivals if part.plugin.usable]

    def clashes(self) -> list[tuple[Part, ...]]:
        """Return the parts whose short name is claimed more than once, where no preference settles it."""
        named = [rivals for kind in self._parts.values() for rivals in kind.values()]
        settled = [self._preferred([part for part in rivals if part.plugin.usable]) for rivals in named]
        return [tuple(rivals) for rivals in settled if len(rivals) > 1]

    def _preferred(self, rivals: list[Part]) -> list[Part]:
        if len(rivals) < 2:
            return rivals
        owner = normalized(self._prefer.get(f"{rivals[0].kind}:{rivals[0].name}", ""))
        return [part for part in rivals if part.plugin.distribution == owner] or rivals

    def find(self, kind: str, name: str, *, owners: Sequence[str] = (), also: Iterable[str] = ()) -> Part:
        """Return the part of a short name, of ``distribution/name``, or of ``default``.

        Args:
            kind: the kind of part.
            name: its name.
            owners: distributions one of whose parts a short name means, whoever else claims it; first to last.
            also: more names that the message for an unknown one may offer.

        Raises:
            PluginError: two distributions claim the short name, or the plugin that has the part was set aside or is
                not installed.
            ConfigError: there is no such part.
        """
        kind_of(kind)
        if name == "default":
            name, owners = self._defaults.get(kind, name), ()
        rivals = self._claiming(kind, name)
        usable = [part for part in rivals if part.plugin.usable]
        own = [[part for part in usable if _of(part.plugin, each)] for each in owners]
        usable = next((parts for parts in own if parts), []) or self._preferred(usable)
        if len(usable) > 1:
            raise PluginError(_clash(usable))
        if usable:
            return usable[0]
        raise self._aside(kind, name, rivals) or self._unknown(kind, name, also)

    def why_unknown(self, kind: str, name: str, *, also: Iterable[str] = ()) -> str:
        """Return why no plugin has a part of that name, usable or not; nothing where one has, or may have; see find."""
        rivals = self._claiming(kind, name)
        return "" if rivals or self._aside(kind, name, rivals) else str(self._unknown(kind, name, also))

    def _claiming(self, kind: str, name: str) -> list[Part]:
        """Return the parts, usable or not, that a short name or ``distribution/name`` may mean."""
        owner, slash, short = name.rpartition("/")
        return [part for part in self._parts[kind].get(short, ()) if not slash or _of(part.plugin, owner)]

    def _aside(self, kind: str, wanted: str, having: Iterable[Part]) -> PluginError | None:
        """Return the error for a part of an unusable plugin, None where it is of none; ``having`` would be it."""
        owner, _, short = wanted.rpartition("/")
        # Of a plugin that failed at import the parts are not known, so its own name has to do.
        namesakes = [
            plugin
            for plugin in self.plugins
            if not plugin.usable
            and (normalized(owner) if owner else short) in {plugin.distribution, plugin.candidate.name}
        ]
        for plugin in (*(part.plugin for part in having), *namesakes):
            why = f"plugin {plugin.label} is {plugin.state}: {plugin.reason}"
            absent = PluginError(f"{kind} {wanted!r}: {why}; see noiseform plugins list")
            absent.__cause__ = plugin.error  # whose traceback --debug shows
            return absent
        return None

    def _unknown(self, kind: str, wanted: str, also: Iterable[str]) -> NoiseformError:
        """Return the error for a name that no part has, whether the distribution that it names is there or not."""
        owner, _, short = wanted.rpartition("/")
        what, listing = f"unknown {kind} {wanted!r:.200}", f"noiseform list {kind}"
        if any(plugin.usable and _of(plugin, owner) for plugin in self.plugins):
            return ConfigError(f"{what}; {self._had_by(owner, kind, short)}")
        aside = [plugin.label for plugin in self.plugins if plugin.state == "set aside"]
        note = f"; set aside: {', '.join(aside)} (noiseform plugins list says why)" if aside else ""
        near = closest(wanted, {part.full_name for part in self.parts(kind)}) if owner else None
        # A pipeline's name may as well be the path of a folder, for which nobody should install anything.
        if kind != "pipeline" and NAME.fullmatch(normalized(owner)):
            hint = f"or did you mean {near!r}?" if near else "or choose another"
            return PluginError(f"{what}: {why_missing(owner)}, {hint} ({listing} shows all){note}")
        known = {near} if near else {*(part.name for part in self.parts(kind)), *also}
        return ConfigError(f"{what}; {nearest(wanted, known, listing=listing)}{note}")

    def _had_by(self, owner: str, kind: str, short: str) -> str:
        """Return what a distribution has where it lacks a part: those of the kind, the nearest of many, or others."""
        own = [part for part in self.parts() if _of(part.plugin, owner)]
        names = list(dict.fromkeys(part.name for part in own if part.kind == kind))
        if not names:
            others = [f"{part.kind}/{part.name}" for part in own]
            has = ", ".join(others[:_MOST]) + (", …" if len(others) > _MOST else "")
            return f"{owner} has no {kind}" + (f", but {has}" if has else "")
        if len(names) <= _MOST:
            return f"{owner} has: {', '.join(names)}"
        near, listing = closest(short, names), f"noiseform list {kind}"
        return (
            f"did you mean {f'{owner}/{near}'!r}? ({listing} shows all)"
            if near
            else nearest("", names, listing=listing)
        )

    def version_of(self, kind: str, name: str, distribution: str) -> str | None:
        """Return the installed version of the distribution that has a part; None where it cannot be had."""
        for part in self._parts.get(kind, {}).get(name, ()):
            if part.plugin.usable and _of(part.plugin, distribution):
                return part.plugin.candidate.version
        return None

    def why_absent(self, kind: str, distribution: str, version: str) -> str:
        """Return why a part cannot be had though its distribution is installed; nothing where that is not so.

        Args:
            kind: the kind of part.
            distribution: that it came from.
            version: that it came from.
        """
        own = [plugin for plugin in self.plugins if _of(plugin, distribution)]
        told = [f"plugin {plugin.label} is {plugin.state}: {plugin.reason}" for plugin in own if not plugin.usable]
        if told:
            return f"{'; '.join(told[:3])}; see noiseform plugins doctor"
        if not own or normalized(distribution) == REGISTRY:
            return ""
        names = sorted({part.name for part in self.parts(kind) if _of(part.plugin, distribution)})
        has = ", ".join(names[:12]) + (", …" if len(names) > 12 else "") or "none"
        other = own[0].candidate.version != version
        cure = f"install {distribution}=={version} if you trust it" if other else "its author says what became of it"
        return f"{own[0].owner} is installed but has no such part (it has {has}); {cure}"

    def observers(self, hook: str, run: object) -> tuple[Any, ...]:
        """Return the observers that plugins give for one run.

        Args:
            hook: ``noiseform_sampling_observers`` or ``noiseform_training_observers``.
            run: the run that is about to begin.

        Raises:
            PluginError: a plugin's hook raises.
        """
        found: list[object] = []
        for plugin in self.plugins:
            function = plugin.run_hooks.get(hook)
            if function is None or not plugin.usable:
                continue
            try:
                given = function(run) if inspect.signature(function).parameters else function()
            except (NoiseformError, KeyboardInterrupt):
                raise
            except BaseException as error:
                why = f"hook {hook} raised {reason_of(error)}"
                raise PluginError(f"plugin {plugin.label}: {why}; disable it or report it to its author") from error
            observers = given if isinstance(given, list | tuple) else [given] if given is not None else []
            for observer in observers:
                every = getattr(observer, "every", 1)
                if not callable(observer) or not isinstance(every, int) or every < 1:
                    raise PluginError(
                        f"plugin {plugin.label}: hook {hook} gave {observer!r:.80}, expected a function whose `every`, "
                        "if it has one, is a whole number from 1; report it to its author"
                    )
            found += observers
        return tuple(found)


def _same(one: object, other: object) -> bool:
    """Return whether two targets are one; what compares them may be foreign code."""
    try:
        return one is other or bool(one == other)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return False


def _of(plugin: Plugin, owner: str) -> bool:
    """Return whether a plugin is an owner's: a distribution's, or the registry's, though a distribution has it too."""
    name = normalized(owner)
    return plugin.distribution == name or (name == REGISTRY and bool(plugin.candidate.also))


def _clash(rivals: list[Part]) -> str:
    kind, name = rivals[0].kind, rivals[0].name
    if len({part.plugin.distribution for part in rivals}) < len(rivals):
        listed = " and ".join(part.plugin.label for part in rivals)
        return f"{kind} {name!r} is claimed by {listed}; disable one in registry.toml: [plugins] disable = [...]"
    listed = " and ".join(part.plugin.owner for part in rivals)
    full = " or ".join(repr(part.full_name) for part in rivals)
    prefer = f'[plugins] prefer = {{ "{kind}:{name}" = "{rivals[0].plugin.distribution}" }}'
    return f"{kind} {name!r} is claimed by {listed}; write {full}, or settle it in registry.toml: {prefer}"
