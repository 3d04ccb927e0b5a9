"""The registry: what noiseform consists of, merged from layers, each key with the file and line that set it.

Layers, low to high: built-in < pipelines of plugins < user (the platform's configuration folder) < ``--registry FILE`` or
``$NOISEFORM_REGISTRY`` < ``--set``. Tables merge key by key; arrays and values replace. The current folder is never read
unasked, since a registry names code to run.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ConfigError, PluginError, nearest
from .installed import Candidate, installed, normalized
from .kinds import KINDS, NAME
from .plugins import Part, Plugins, reason_of
from .settings import apply_settings
from .targets import PACKAGE
from .toml_file import KeyPath, TomlFile, read_toml

if TYPE_CHECKING:
    from .config import PipelineConfig

__all__ = ["Layer", "Origin", "Registry", "current", "load_registry", "use_registry", "user_folder"]

SCHEMA = 1
_RESERVED = ("disable", "prefer")


@dataclass(frozen=True)
class Layer:
    """One source of registry keys.

    Attributes:
        name: ``built-in``, ``plugins``, ``user``, ``file`` or ``set``.
        table: what it says.
        file: the file that says it, where it is one.
    """

    name: str
    table: Mapping[str, object]
    file: TomlFile | None = None

    def has(self, path: KeyPath) -> bool:
        """Whether the layer sets that key."""
        return _at(self.table, path) is not None

    def where(self, path: KeyPath) -> str:
        """Return ``file:line`` of a key, or the layer's name, for messages."""
        return self.file.where(path) if self.file else {"set": "--set"}.get(self.name, self.name)


@dataclass(frozen=True)
class Origin:
    """Where a key of the merged registry was set."""

    layer: str
    file: str
    line: int


class Registry:
    """The merged registry of one set of layers, and the plugins that it names.

    Args:
        layers: from low to high, without that of the plugins' pipelines, which it adds itself.
        environ: environment variables; ``NOISEFORM_PLUGINS`` is read.

    Raises:
        ConfigError: a layer has an unknown key or a value of a wrong type.
    """

    def __init__(self, layers: Sequence[Layer], *, environ: Mapping[str, str] = os.environ) -> None:
        for layer in layers:
            _check(layer)
        self._base = tuple(layers)
        self._environ = environ
        self._settled = _merged(layers)

    @property
    def defaults(self) -> Mapping[str, str]:
        """What ``default`` stands for in a kind, and the pipeline of a modality when none is named."""
        return _table(self._settled, "defaults")

    @functools.cached_property
    def plugins(self) -> Plugins:
        """The plugins, imported and asked for their parts at the first use."""
        table = _table(self._settled, "plugins")
        named = [self._candidate(name, str(target)) for name, target in table.items() if name not in _RESERVED]
        disable = frozenset(table.get("disable", ()))
        allowed = _allowed(self._environ.get("NOISEFORM_PLUGINS", ""))

        def why_not(candidate: Candidate) -> str:
            names = {candidate.name, candidate.distribution, f"{candidate.distribution}/{candidate.name}"}
            if names & disable:
                return f"disabled in {self.where(('plugins', 'disable'))}"
            if allowed is not None and not candidate.builtin and candidate.distribution not in allowed:
                return "not allowed by the environment variable NOISEFORM_PLUGINS"
            return ""

        return Plugins([*named, *installed()], disabled=why_not, prefer=table.get("prefer", {}), defaults=self.defaults)

    def _candidate(self, name: str, target: str) -> Candidate:
        path: KeyPath = ("plugins", name)
        builtin = self.origin(path).layer == "built-in"
        # What a user's own file names comes with no distribution, so its owner is the registry itself.
        owner, version = ("noiseform", _version()) if builtin else ("registry", "")
        return Candidate(name, target, owner, version, self.where(path), builtin=builtin)

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, low to high, with the pipelines of plugins in their place."""
        pipelines: dict[str, object] = {}
        for part in self.plugins.parts("pipeline"):
            try:
                pipelines[part.name] = _pipeline_table(self.plugins.find("pipeline", part.name))
            except PluginError:  # raised when that pipeline is asked for
                continue
        middle = Layer("plugins", {"pipelines": pipelines})
        return (self._base[0], middle, *self._base[1:]) if self._base else (middle,)

    @functools.cached_property
    def table(self) -> Mapping[str, object]:
        """Everything that the layers say, merged."""
        return _merged(self.layers)

    @property
    def pipelines(self) -> Mapping[str, Mapping[str, object]]:
        """The pipelines by name, as tables."""
        return _table(self.table, "pipelines")

    def pipeline(self, name: str, *, settings: Sequence[str] = ()) -> PipelineConfig:
        """Return a pipeline's configuration, checked.

        Args:
            name: the pipeline's name, or ``distribution/name`` for that of a plugin.
            settings: ``path=value`` inside the pipeline, such as ``stages.base.steps=30``.

        Raises:
            ConfigError: there is no such pipeline, or its table is wrong.
            PluginError: its plugin fails, or two claim the name.
        """
        if name in self.pipelines:
            table, root = self.pipelines[name], ("pipelines", name)
        elif "/" in name or name in {part.name for part in self.plugins.parts("pipeline")}:
            table, root = _pipeline_table(self.plugins.find("pipeline", name)), ()
        else:
            self.plugins.find("pipeline", name) if self._is_aside(name) else None
            raise ConfigError(
                f"unknown pipeline {name!r}; {nearest(name, self.pipelines, listing='noiseform list pipeline')}"
            )
        from .config import PipelineConfig, checked

        if settings:
            table = apply_settings(table, settings)
        return checked(PipelineConfig, table, what=f"pipeline {name!r}", where=lambda path: self.where((*root, *path)))

    def _is_aside(self, name: str) -> bool:
        return any(plugin.state != "loaded" and plugin.candidate.name == name for plugin in self.plugins.plugins)

    def origin(self, path: KeyPath) -> Origin:
        """Return where a key of the merged registry, or what it stands in, was set."""
        layers = self.__dict__.get("layers", self._base)  # the plugins' layer exists once plugins are loaded
        for end in range(len(path), 0, -1):
            for layer in reversed(layers):
                if layer.has(path[:end]):
                    file = layer.file
                    return Origin(layer.name, str(file.path) if file else "", file.line(path[:end]) if file else 0)
        return Origin("", "", 0)

    def where(self, path: KeyPath) -> str:
        """Return ``file:line`` of a key, or its layer, for messages."""
        layers = self.__dict__.get("layers", self._base)
        for end in range(len(path), 0, -1):
            for layer in reversed(layers):
                if layer.has(path[:end]):
                    return layer.where(path[:end])
        return "registry"

    def with_settings(self, settings: Iterable[str]) -> Registry:
        """Return this registry with one more layer on top: ``path=value``, as given by ``--set``."""
        table = apply_settings({}, settings)
        return Registry([*self._base, Layer("set", table)], environ=self._environ)


_current: Registry | None = None


def current() -> Registry:
    """Return the registry of this process, loading it at the first use."""
    global _current
    if _current is None:
        _current = load_registry()
    return _current


def use_registry(registry: Registry | None) -> None:
    """Make a registry that of this process; None has the default one loaded again at the next use."""
    global _current
    _current = registry


def load_registry(file: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> Registry:
    """Read the layers of the registry.

    Args:
        file: the file of ``--registry``; without it, that of ``$NOISEFORM_REGISTRY``, if any.
        environ: environment variables.

    Raises:
        ConfigError: a file cannot be read, is no TOML, or has unknown keys or wrong types.
    """
    layers = [_file_layer("built-in", Path(__file__).resolve().parent.parent / "registry.toml")]
    try:
        layers.append(_file_layer("user", user_folder() / "registry.toml"))
    except FileNotFoundError:
        pass
    named = file or (Path(environ["NOISEFORM_REGISTRY"]) if environ.get("NOISEFORM_REGISTRY") else None)
    if named is not None:
        try:
            layers.append(_file_layer("file", named))
        except FileNotFoundError:
            raise ConfigError(f"registry: {named}: no such file; check --registry or NOISEFORM_REGISTRY") from None
    return Registry(layers, environ=environ)


def user_folder() -> Path:
    """Return the platform's folder for the user's configuration of noiseform."""
    import platformdirs

    return Path(platformdirs.user_config_dir("noiseform", appauthor=False))


def _file_layer(name: str, path: Path) -> Layer:
    file = read_toml(path)
    return Layer(name, file.table, file)


def _version() -> str:
    import importlib

    return str(importlib.import_module(PACKAGE).__version__)


def _allowed(value: str) -> frozenset[str] | None:
    """Read ``NOISEFORM_PLUGINS``: 0 allows no outsiders, names of distributions allow those, nothing or 1 allows all."""
    if value.strip() in {"", "1"}:
        return None
    return frozenset(normalized(name.strip()) for name in value.split(",")) - {"0", ""}


def _pipeline_table(part: Part) -> Mapping[str, object]:
    given = part.load()
    if callable(given):
        try:
            given = given()
        except Exception as error:
            raise PluginError(f"{part.label} raised {reason_of(error)}") from error
    if not isinstance(given, Mapping):
        raise PluginError(f"{part.label}: expected a table, got {type(given).__name__}")
    return given


def _check(layer: Layer) -> None:
    """Check the shape of a layer down to the pipelines, which are checked when they are used."""
    _known(layer, (), layer.table, ("schema", "plugins", "defaults", "pipelines"))
    schema = layer.table.get("schema", SCHEMA)
    if schema != SCHEMA or isinstance(schema, bool):
        _fail(
            layer,
            ("schema",),
            f"schema {schema!r} is not known to this noiseform",
            f"write schema = {SCHEMA}, or upgrade",
        )
    for section in ("plugins", "defaults", "pipelines"):
        _typed(layer, (section,), layer.table.get(section, {}), "a table")
    for name, value in _table(layer.table, "plugins").items():
        path: KeyPath = ("plugins", name)
        if name == "disable":
            _typed(layer, path, value, "an array of texts")
        elif name == "prefer":
            _typed(layer, path, value, "a table of texts")
            for key in value:
                kind, _, short = key.partition(":")
                _known(layer, (*path, key), {kind: 0}, tuple(KINDS))
                if not NAME.fullmatch(short):
                    _fail(layer, (*path, key), f"{key!r} names no part", 'write "kind:name" = "distribution"')
        else:
            _typed(layer, path, value, "a text (a module)")
    for name, value in _table(layer.table, "defaults").items():
        _typed(layer, ("defaults", name), value, "a text (a name)")
    for name, value in _table(layer.table, "pipelines").items():
        if not NAME.fullmatch(name):
            _fail(layer, ("pipelines", name), f"{name!r} is no name for a pipeline", f"names match {NAME.pattern}")
        _typed(layer, ("pipelines", name), value, "a table")


def _typed(layer: Layer, path: KeyPath, value: object, expected: str) -> None:
    fits = {
        "a table": isinstance(value, Mapping),
        "a table of texts": isinstance(value, Mapping) and all(isinstance(v, str) for v in value.values()),
        "an array of texts": isinstance(value, list) and all(isinstance(v, str) for v in value),
    }.get(expected, isinstance(value, str))
    if not fits:
        _fail(layer, path, f"expected {expected}, got {value!r:.80}", "correct it")


def _known(layer: Layer, path: KeyPath, given: Iterable[str], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            _fail(layer, (*path, key), f"unknown key {key!r}", nearest(key, known))


def _fail(layer: Layer, path: KeyPath, why: str, cure: str) -> None:
    raise ConfigError(f"registry: {layer.where(path)}: {'.'.join(map(str, path))}: {why}; {cure}")


def _table(table: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = table.get(key, {})
    return value if isinstance(value, Mapping) else {}


def _at(value: object, path: KeyPath) -> object:
    for key in path:
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def _merged(layers: Iterable[Layer]) -> dict[str, object]:
    merged: dict[str, object] = {}
    for layer in layers:
        merged = _over(merged, layer.table)
    return merged


def _over(low: Mapping[str, object], high: Mapping[str, object]) -> dict[str, object]:
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
