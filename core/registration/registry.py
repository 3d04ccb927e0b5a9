"""The registry: what noiseform consists of, merged from layers, each key with the file and line that set it.

Layers, low to high: built-in < pipelines of plugins < user (the platform's configuration folder) < ``--registry FILE``
or ``$NOISEFORM_REGISTRY`` < ``--set``. Tables merge key by key; arrays and values replace. The current folder is never
read unasked, since a registry names code to run.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..errors import ConfigError, PluginError
from .installed import REGISTRY, Candidate, allowed, installed, named_once
from .pipeline_table import pipeline_table
from .plugin_loading import Part, Plugin, load_plugin
from .plugin_warnings import tell_unmatched, tell_warnings
from .plugins import Plugins
from .registry_layer import Layer, Origin, check_layer, merged, section, value_at
from .settings import apply_settings
from .stage_weights import completed
from .targets import PACKAGE
from .toml_file import KeyPath, read_toml
from .unmatched_names import Unmatched, not_allowed, not_settled
from .weights_reference import resolve_weights

if TYPE_CHECKING:
    from .config import PipelineConfig

__all__ = ["Registry", "current", "load_registry", "use_registry", "user_folder", "using_registry"]


class Registry:
    """The merged registry of one set of layers, and the plugins that it names.

    Args:
        layers: from low to high, the built-in one first; the registry itself adds those of the plugins' pipelines.
        environ: environment variables; ``NOISEFORM_PLUGINS`` is read.

    Attributes:
        held_back: targets of plugins that must not be imported, each with the reason; for ``plugins doctor`` to fill
            before the plugins are loaded.

    Raises:
        ConfigError: a layer has an unknown key or a value of a wrong type.
    """

    def __init__(self, layers: Sequence[Layer], *, environ: Mapping[str, str] = os.environ) -> None:
        for layer in layers:
            check_layer(layer)
        self._files = tuple(layers)
        self._environ = environ
        self._settled = merged(layer.table for layer in layers)
        self.held_back: dict[str, str] = {}

    @property
    def defaults(self) -> Mapping[str, str]:
        """What ``default`` stands for in a kind of parts, and the pipeline of a modality when none is named."""
        return cast("Mapping[str, str]", section(self._settled, "defaults"))

    def default(self, key: str) -> str | None:
        """Return what is meant where a kind's part, or a modality's pipeline, is not named; None where nothing is.

        What the built-in layer says means noiseform's own, whoever else claims the name.
        """
        name = self.defaults.get(key)
        ours = name is not None and self.origin(("defaults", key)).layer == "built-in"
        return f"noiseform/{name}" if ours else name

    def default_pipeline(self, modality: str) -> str | None:
        """Return the pipeline that makes a modality where none is named, by its short name where that suffices."""
        name = self.defaults.get(modality)
        claimed = [part for part in self.plugins.parts("pipeline") if part.name == name]
        return self.default(modality) if len(claimed) > 1 else name

    @functools.cached_property
    def candidates(self) -> tuple[tuple[Candidate, str], ...]:
        """The plugins that are named, before anything of them is imported, each with what disables it, if it is."""
        table = section(self._settled, "plugins")
        named = [self._named(name, str(target)) for name, target in table.items() if name not in {"disable", "prefer"}]
        return named_once((candidate, self._disabled(candidate)) for candidate in (*named, *installed()))

    @functools.cached_property
    def plugins(self) -> Plugins:
        """The plugins, imported and asked for their parts at the first use."""
        tell_warnings(self._loaded.plugins)
        tell_unmatched(self.unmatched)
        return self._loaded

    @functools.cached_property
    def unmatched(self) -> tuple[Unmatched, ...]:
        """The names in registry files and in ``NOISEFORM_PLUGINS`` that nothing installed has."""
        candidates = [candidate for candidate, _ in self.candidates]
        return (
            *not_settled(self._settled, self.origin, candidates, self._loaded),
            *not_allowed(self._environ.get("NOISEFORM_PLUGINS", ""), candidates),
        )

    @functools.cached_property
    def _loaded(self) -> Plugins:
        loaded = [self._load(candidate, disabled) for candidate, disabled in self.candidates]
        prefer = cast("Mapping[str, str]", section(section(self._settled, "plugins"), "prefer"))
        defaults = {key: str(self.default(key)) for key in self.defaults}
        return Plugins([self._own_pipelines(), *loaded], prefer=prefer, defaults=defaults)

    def _named(self, name: str, target: str) -> Candidate:
        """Return the plugin that a key of ``[plugins]`` names."""
        origin = self.origin(("plugins", name))
        builtin = origin.layer == "built-in"
        # What a user's own file names comes with no distribution, so its owner is the registry itself.
        owner, version = ("noiseform", _version()) if builtin else (REGISTRY, "")
        return Candidate(name, target, owner, version, str(origin), builtin=builtin)

    def _disabled(self, candidate: Candidate) -> str:
        disabled = cast("list[str]", section(self._settled, "plugins").get("disable", []))
        if not candidate.names.isdisjoint(disabled):
            return f"by {self.origin(('plugins', 'disable'))}"
        if not candidate.builtin and not allowed(self._environ.get("NOISEFORM_PLUGINS", ""), candidate.distribution):
            return "by the environment variable NOISEFORM_PLUGINS"
        return ""

    def _load(self, candidate: Candidate, disabled: str) -> tuple[Plugin, list[Part]]:
        if disabled:
            return Plugin(candidate, "disabled", disabled), []
        if candidate.target in self.held_back:
            return Plugin(candidate, "set aside", self.held_back[candidate.target]), []
        return load_plugin(candidate)

    def _own_pipelines(self) -> tuple[Plugin, list[Part]]:
        """Return the pipelines of the built-in layer as parts, so that no plugin shadows one unnoticed."""
        lowest = self._files[0]
        origin = lowest.origin(("pipelines",))
        plugin = Plugin(Candidate("registry", "", "noiseform", _version(), str(origin), builtin=True), file=origin.file)
        tables = section(lowest.table, "pipelines")
        return plugin, [Part("pipeline", name, table, plugin) for name, table in tables.items()]

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, low to high, with the pipelines of plugins above the built-in layer."""
        kept: dict[str, object] = {}
        given: list[Layer] = []
        for name in sorted({part.name for part in self.plugins.parts("pipeline")}):
            try:
                part = self.plugins.find("pipeline", name)
                table = pipeline_table(part)
            except PluginError:  # raised again when that pipeline is asked for
                continue
            if part.target is table and part.plugin.file == self._files[0].origin(()).file:
                kept[name] = table
            else:
                given.append(Layer("plugins", {"pipelines": {name: table}}, f"plugin {part.plugin.label}"))
        lowest = self._files[0]
        lowest = Layer(lowest.name, {**lowest.table, "pipelines": kept}, lowest.source)
        return (lowest, *given, *self._files[1:])

    @functools.cached_property
    def table(self) -> Mapping[str, object]:
        """Everything that the layers say, merged."""
        return merged(layer.table for layer in self.layers)

    @property
    def pipelines(self) -> Mapping[str, Mapping[str, object]]:
        """The usable pipelines by name, as tables."""
        return cast("Mapping[str, Mapping[str, object]]", section(self.table, "pipelines"))

    def pipeline(self, name: str, *, settings: Sequence[str] = ()) -> PipelineConfig:
        """Return a pipeline's configuration, checked.

        Args:
            name: the pipeline's name, or ``distribution/name``.
            settings: ``path=value`` inside the pipeline, such as ``stages.base.steps=30``.

        Raises:
            ConfigError: there is no such pipeline, a setting leads nowhere, or the table is wrong.
            PluginError: the pipeline's plugin fails, or two claim the name.
        """
        from .config import PipelineConfig, checked  # here, since pydantic takes longer to import than a listing may

        own, root = self._pipeline(name)
        table = own if "stages" in own else merged((self._trained(name), own))
        table = self._with_stages_completed(name, table)
        changed = apply_settings(table, settings)

        def where(path: KeyPath) -> str:
            if value_at(changed, path) is not value_at(table, path):
                return "--set"
            return str(self.origin((*root, *path))) if root else ""

        return checked(PipelineConfig, changed, what=f"pipeline {name!r}", where=where)

    def owners(self, name: str) -> tuple[str, ...]:
        """Return whose parts the short names of a pipeline mean: those of the plugin that brings it, then noiseform's.

        Empty for a pipeline whose stages stand in a file of the user's, who means what is unique.
        """
        root = self._pipeline(name)[1]
        if root and self.origin((*root, "stages")).layer in {"user", "file"}:
            return ()
        part = self.plugins.find("pipeline", name)
        return part.plugin.distribution, "noiseform"

    def model_folder(self, name: str) -> Path:
        """Return the model folder that a pipeline names as its ``weights``.

        Raises:
            ConfigError: there is no such pipeline, or it names no weights, or there is no such folder.
            PluginError: the pipeline's plugin fails, two claim the name, or the package of the weights is not there.
        """
        table, root = self._pipeline(name)
        reference = table.get("weights")
        if not isinstance(reference, str):
            raise ConfigError(f"pipeline {name!r}: it names no weights; add weights = FOLDER, or train it")
        origin = self.origin((*root, "weights")) if root else None
        # A path in a registry file is relative to that file.
        return resolve_weights(reference, base=Path(origin.file).parent if origin and origin.line else None)

    def stage_folders(self, name: str, config: PipelineConfig) -> dict[str, Path]:
        """Return the model folder of each stage: the one that it names, or the pipeline's.

        Args:
            name: of the pipeline.
            config: of it, with settings, which may name other folders.

        Raises: what :meth:`model_folder` raises.
        """
        base = self._weights_base(name)
        return {
            stage.name: resolve_weights(stage.weights, base=base) if stage.weights else self.model_folder(name)
            for stage in config.stages
        }

    def _with_stages_completed(self, name: str, table: Mapping[str, object]) -> Mapping[str, object]:
        """Return a pipeline's table whose stages say all that the model folders which they name say of them."""
        given = table.get("stages")
        if not isinstance(given, list) or not any(isinstance(one, Mapping) and "weights" in one for one in given):
            return table
        base, where = self._weights_base(name), f"pipeline {name!r}"
        stages = [
            completed(one, base, where=where) if isinstance(one, Mapping) and "weights" in one else one for one in given
        ]
        return {**table, "stages": stages}

    def _weights_base(self, name: str) -> Path | None:
        """Return the folder that paths of a pipeline's weights are relative to: that of its registry file."""
        root = self._pipeline(name)[1]
        origin = self.origin((*root, "stages")) if root else None
        return Path(origin.file).parent if origin and origin.line else None

    def _pipeline(self, name: str) -> tuple[Mapping[str, object], KeyPath]:
        """Return a pipeline's table, and where it stands in the merged registry, if it does."""
        table = self.pipelines.get(name)
        if table is not None:
            return table, ("pipelines", name)
        return pipeline_table(self.plugins.find("pipeline", name, also=self.pipelines)), ()

    def _trained(self, name: str) -> Mapping[str, object]:
        """Return the table inside a pipeline's model folder, for a pipeline that has no stages of its own."""
        if not isinstance(self._pipeline(name)[0].get("weights"), str):
            return {}
        file = self.model_folder(name) / "pipeline.toml"
        try:
            return read_toml(file).table
        except FileNotFoundError:
            raise ConfigError(
                f"pipeline {name!r}: {file}: no such file, and the pipeline has no stages of its own; "
                "name a model folder that `noiseform train` made as its weights"
            ) from None

    def origin(self, path: KeyPath) -> Origin:
        """Return where a key of the merged registry, or what it stands in, was set."""
        # The layers of plugins exist once the plugins are loaded, which looking up an origin must not do.
        layers = self.layers if "layers" in self.__dict__ else self._files
        for end in range(len(path), 0, -1):
            for layer in reversed(layers):
                if value_at(layer.table, path[:end]) is not None:
                    return layer.origin(path[:end])
        return Origin("", "registry", 0)


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


@contextlib.contextmanager
def using_registry(registry: Registry) -> Iterator[None]:
    """Make a registry that of this process for the length of a ``with`` block."""
    global _current
    before, _current = _current, registry
    try:
        yield
    finally:
        _current = before


def load_registry(file: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> Registry:
    """Read the layers of the registry.

    Args:
        file: the file of ``--registry``; without it, that of ``$NOISEFORM_REGISTRY``, if any.
        environ: environment variables.

    Raises:
        ConfigError: a file cannot be read, is no TOML, or has unknown keys or wrong types.
    """
    layers = [_file_layer("built-in", Path(__file__).resolve().parents[2] / "registry.toml")]
    with contextlib.suppress(FileNotFoundError):
        layers.append(_file_layer("user", user_folder() / "registry.toml"))
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
    return str(importlib.import_module(PACKAGE).__version__)
