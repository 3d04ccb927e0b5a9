"""``noiseform plugins doctor``: everything that plugins depend on, what is wrong, and what cures it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from ..errors import NoiseformError, PluginError
from ..registration.api import DEPENDENCY
from ..registration.build import parameters_of
from ..registration.import_cost import ImportCost, import_costs
from ..registration.installed import REGISTRY, came_by
from ..registration.plugin_loading import Part, Plugin, reason_of
from ..registration.registry import Registry, current, user_folder
from ..registration.targets import PACKAGE
from .lazy_group import DEBUG_KEY
from .plugin_entry import plugin_entry
from .rows import print_json, print_rows

__all__ = ["doctor"]

LIBRARIES = (
    *("torch", "torchaudio", "numpy", "soundfile", "av", "safetensors", "pydantic", "pluggy", "packaging", "click"),
    "rich",
)
IMPORT_LIMIT = 30.0
"""Seconds that a plugin's import may take; importing torch on a busy machine takes a few."""

NOTICED = 0.01
"""Seconds from which on a heavy library is told of; by taste."""

SLOW = 0.1
"""Seconds of import from which on a plugin is slow: half of what `noiseform list` may take with fifty of them."""


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Attributes:
        what: a plugin, a part, a pipeline, a library, a folder.
        why: what is wrong with it.
        cure: what to do.
        unusable: whether something cannot be used, or not by its short name.
    """

    what: str
    why: str
    cure: str
    unusable: bool = False


@click.command(short_help="Say what is wrong with plugins, and what cures it.")
@click.option("--verbose", is_flag=True, help="List the plugins of noiseform itself too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(verbose: bool, as_json: bool) -> None:
    """Look at everything that plugins depend on, and say what is wrong and what cures it.

    The import of every plugin from outside is first tried in an interpreter of its own: what it costs at every start,
    and of that each heavy library. One that does not end there is not imported here.

    Ends with 5 where a plugin, a part or a pipeline cannot be used. --debug shows the tracebacks of plugins set aside.
    """
    registry = current()
    costs = _costs(registry)
    with _torch_once() as broken:
        found = sorted(registry.plugins.plugins, key=lambda plugin: plugin.candidate.builtin)  # outsiders first
        problems = [*broken, *_aside(registry), *_clashes(registry), *_unmatched(registry)]
        problems += [] if broken else [*_broken_parts(registry), *_broken_pipelines(registry)]
        problems += [*_odd_plugins(registry, costs), *([] if broken else _odd_libraries()), *_odd_folders()]
    facts = _facts(registry)
    if as_json:
        plugins = [_told(plugin, costs.get(plugin.candidate.target)) for plugin in found]
        print_json({**facts, "plugins": plugins, "problems": [asdict(problem) for problem in problems]})
    else:
        ours = [] if verbose else [plugin for plugin in found if plugin.candidate.builtin and plugin.usable]
        listed = [_told(one, costs.get(one.candidate.target)) for one in found if all(one is not own for own in ours)]
        _print(facts, listed, len(ours), problems)
    if click.get_current_context().meta.get(DEBUG_KEY):
        for plugin in registry.plugins.plugins:
            if plugin.error is not None:
                click.echo("".join(["\n", *traceback.format_exception(plugin.error)]), err=True, nl=False)
    if any(problem.unusable for problem in problems):
        raise click.exceptions.Exit(PluginError.exit_code)


def _costs(registry: Registry) -> dict[str, ImportCost]:
    """Return what importing each plugin from outside costs; one that does not end is held back from this process."""
    outsiders = [one for one, disabled in registry.candidates if not (one.builtin or disabled or one.fault)]
    costs = import_costs(dict.fromkeys(one.target for one in outsiders), limit=IMPORT_LIMIT)
    registry.held_back |= {target: f"its import {cost.fault}" for target, cost in costs.items() if cost.fault}
    return costs


@contextlib.contextmanager
def _torch_once() -> Iterator[list[Problem]]:
    """Import torch; give the problem where that fails, and keep everybody from trying again, which crashes."""
    try:
        importlib.import_module("torch")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        cure = "install it anew: pip install --force-reinstall torch"
        problem = Problem("torch", f"cannot be imported: {reason_of(error)}", cure, unusable=True)
    else:
        yield []
        return
    sys.modules["torch"] = None  # type: ignore[assignment]  # Python's way to say that it cannot be had
    try:
        yield [problem]
    finally:
        del sys.modules["torch"]


def _facts(registry: Registry) -> dict[str, Any]:
    """Return where and with what noiseform runs."""
    package = importlib.import_module(PACKAGE)
    return {
        "noiseform": f"{package.__version__} in {Path(str(package.__file__)).parent}",
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "NOISEFORM_PLUGINS": os.environ.get("NOISEFORM_PLUGINS", "(not set: all)"),
        "registries": [{"layer": layer, "origin": origin} for layer, origin in _origins(registry)],
    }


def _origins(registry: Registry) -> list[tuple[str, str]]:
    """Return the layers and where they come from, each once: a plugin with several pipelines makes several layers."""
    return list(dict.fromkeys((layer.name, str(layer.origin(()))) for layer in registry.layers))


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _told(plugin: Plugin, cost: ImportCost | None) -> dict[str, Any]:
    """Return what is told of one plugin."""
    told = {**plugin_entry(plugin), "came_by": came_by(plugin.candidate)}
    if cost is not None:  # in a fresh process, where no other plugin has imported the same libraries before
        told |= {"seconds": cost.seconds, "libraries": dict(cost.libraries), "effects": list(cost.effects)}
    return told


def _print(facts: Mapping[str, Any], plugins: list[dict[str, Any]], ours: int, problems: list[Problem]) -> None:
    """Print facts, plugins and problems; of so many plugins of noiseform itself only that they are there."""
    origins: dict[str, list[str]] = {}
    for one in facts["registries"]:
        origins.setdefault(one["layer"], []).append(one["origin"])
    layers = [(f"registry ({layer})", ", ".join(each)) for layer, each in origins.items()]
    own = [(name, str(facts[name])) for name in ("noiseform", "python", "platform")]
    allowed = ("NOISEFORM_PLUGINS", facts["NOISEFORM_PLUGINS"])
    print_rows(("WHAT", "IS"), [*own, *facts["libraries"].items(), allowed, *layers])
    click.echo()
    keys = ("name", "distribution", "version", "state", "import", "came_by", "named_in", "file")
    for told in plugins:
        told["import"] = "-" if told["seconds"] is None else f"{told['seconds'] * 1e3:.1f} ms"
    headings = ("PLUGIN", "OWNER", "VERSION", "STATE", "IMPORT", "FROM", "NAMED IN", "FILE")
    if plugins:
        print_rows(headings, [[str(told[key]) for key in keys] for told in plugins])
    if ours:
        click.echo(f"{'and ' if plugins else ''}{ours} plugins of noiseform itself, all loaded (--verbose lists them)")
    click.echo(f"\nproblems: {len(problems) or 'none'}")
    if problems:
        print_rows(("WHAT", "WHY", "CURE"), [(one.what, one.why, one.cure) for one in problems])


def _aside(registry: Registry) -> Iterator[Problem]:
    """Give the plugins that are set aside."""
    for plugin in registry.plugins.plugins:
        if plugin.state != "set aside":
            continue
        why, candidate = plugin.reason, plugin.candidate
        leave = f'leave it out: [plugins] disable = ["{candidate.name}"] in registry.toml'
        if candidate.distribution == REGISTRY:
            cure = f"correct it, or the line {candidate.origin}"
        elif candidate.fault:
            cure = f"install it anew: pip install --force-reinstall {plugin.distribution}"
        elif isinstance(plugin.error, ImportError):
            cure = f"install what it lacks, or {leave}"
        elif isinstance(plugin.error, PluginError) and "built for" in why and "; " in why:
            why, _, cure = why.partition("; ")
        else:
            cure = f"update it, or tell its author; until then {leave}"
        yield Problem(f"plugin {plugin.label}", why, cure, unusable=True)


def _clashes(registry: Registry) -> Iterator[Problem]:
    """Give the parts that cannot be used by their short names."""
    for rivals in registry.plugins.clashes():
        kind, name, owner = rivals[0].kind, rivals[0].name, rivals[0].plugin.distribution
        names = [part.full_name for part in rivals]
        owners = " and ".join(part.plugin.label for part in rivals)
        cure = f'write {" or ".join(names)}, or [plugins] prefer = {{ "{kind}:{name}" = "{owner}" }} in registry.toml'
        if len(set(names)) < len(names):
            cure = "disable one: [plugins] disable = [...] in registry.toml"
        yield Problem(f"{kind} {name!r}", f"claimed by {owners}", cure, unusable=True)


def _unmatched(registry: Registry) -> Iterator[Problem]:
    """Give the names in registry files and in the environment that nothing has."""
    for name in registry.unmatched:
        yield Problem(name.where, name.why, name.cure, name.unusable)


def _broken_parts(registry: Registry) -> Iterator[Problem]:
    """Give the parts that nobody can make: they do not load, or their parameters cannot be read.

    Several whose module fails are told once.
    """
    broken: dict[tuple[str, str, str], list[tuple[Part, NoiseformError]]] = {}
    for part in registry.plugins.parts():
        try:
            if part.kind == "command":
                part.load()
            elif part.kind != "pipeline":
                parameters_of(part)
        except NoiseformError as error:
            target = part.target if isinstance(part.target, str) else ""
            why = str(error).removeprefix(f"{part.label}: {target} cannot be imported: ")
            broken.setdefault((part.plugin.label, target.partition(":")[0], why), []).append((part, error))
    for (label, module, reason), found in broken.items():
        part, first = found[0]
        lacks = isinstance(first.__cause__, ImportError)
        cure = "install what it lacks" if lacks else f"update {part.plugin.distribution}, or tell its author"
        names = ", ".join(f"{each.kind}/{each.name}" for each, _ in found)
        why = str(first) if len(found) == 1 else f"plugin {label}: it cannot be imported: {reason}"
        what = names if len(found) == 1 else f"module {module}: {names}"
        yield Problem(what, why.removesuffix("; see noiseform plugins doctor"), cure, unusable=True)


def _broken_pipelines(registry: Registry) -> Iterator[Problem]:
    """Give the pipelines whose tables are wrong."""
    for name in registry.pipelines:
        try:
            registry.pipeline(name)
        except NoiseformError as error:
            yield Problem(f"pipeline/{name}", str(error), "correct its table", unusable=True)


def _odd_plugins(registry: Registry, costs: Mapping[str, ImportCost]) -> Iterator[Problem]:
    """Give what is odd about plugins that work: old ones, slow ones, those that do more than name their parts."""
    for plugin in registry.plugins.plugins:
        cost = costs.get(plugin.candidate.target)
        if not plugin.usable or cost is None:
            continue
        what = f"plugin {plugin.label}"
        for warning in plugin.warnings:
            yield Problem(what, warning, f"update {plugin.distribution}, or tell its author")
        if not str(plugin.built_for) and plugin.candidate.distribution != REGISTRY:
            why = "does not say which noiseform it is built for; taken to be this one"
            yield Problem(what, why, f"its author names one in pyproject.toml: {DEPENDENCY}")
        for library, seconds in cost.libraries.items():
            if seconds < NOTICED:
                continue
            why = f"imports {library} at its top, itself or by what it imports there: {seconds:.2g} s at every start"
            yield Problem(what, why, "import it inside of the part's module, which the hook names as text")
        rest = (cost.seconds or 0.0) - sum(cost.libraries.values())
        if rest >= SLOW:
            yield Problem(what, f"takes {rest:.2g} s at every start", "do less at the top of its module")
        for effect in cost.effects:
            cure = "leave what all share as it is" if effect.startswith("changes") else "leave that to its parts"
            yield Problem(what, f"{effect} when it is imported", cure)


def _odd_libraries() -> Iterator[Problem]:
    """Give what does not fit to torch."""
    try:
        importlib.import_module("..libraries", __package__).torchaudio_module()
    except NoiseformError as error:
        yield Problem("torchaudio", str(error), "install the torchaudio that fits your torch", unusable=True)


def _odd_folders() -> Iterator[Problem]:
    """Give the folders of this machine that cannot be written."""
    for purpose, folder in (("temporary files", Path(tempfile.gettempdir())), ("your registry", user_folder())):
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        if not os.access(existing, os.W_OK):
            yield Problem(f"folder for {purpose}", f"{existing} cannot be written", "make it writable, or name another")
