"""A pipeline told: what it makes, on which conditions, in which stages, and every path that ``--set`` takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import click

from ..naming import printable
from ..registration.registry import current
from .registry import flattened
from .rows import print_facts, print_rows

if TYPE_CHECKING:
    from ..registration.config import PartConfig, PipelineConfig, StageConfig

__all__ = ["pipeline_entry", "print_configuration", "print_pipeline", "print_settings"]

_KINDS = ("process", "objective", "network", "codec", "guidance", "sampler", "grid")
_LONGEST = 4000


def pipeline_entry(name: str) -> dict[str, object]:
    """Return what is known of a pipeline, its settings by the paths that ``--set`` takes."""
    pipeline = current().pipeline(name)
    return {
        "part": f"pipeline/{name}",
        "summary": pipeline.summary,
        **_owner(name),
        "example": _example(name, pipeline),
        "settings": flattened(pipeline.model_dump(exclude_none=True)),
    }


def print_pipeline(name: str) -> None:
    """Print a pipeline of the registry: its facts, a table of its stages, and its settings."""
    pipeline = current().pipeline(name)
    facts = [("weights", pipeline.weights or "")]
    facts += [(key, str(value)) for key, value in _owner(name).items()]
    facts += [("example", _example(name, pipeline))]
    print_configuration(("part", f"pipeline/{name}"), pipeline, facts)


def print_configuration(named: tuple[str, str], pipeline: PipelineConfig, facts: Iterable[tuple[str, str]]) -> None:
    """Print what a pipeline is called and makes, further facts, a table of its stages, and its settings."""
    conditions = [_condition(one) for stage in pipeline.stages for one in stage.conditioners]
    makes = [("summary", pipeline.summary), ("modality", pipeline.modality), ("media", _settings(pipeline.media))]
    makes += [("conditions", "; ".join(dict.fromkeys(conditions)))]
    print_facts([named, *makes, *facts], longest=_LONGEST)
    click.echo()
    rows = [row for stage in pipeline.stages for row in _rows(stage)]
    print_rows(("STAGE", "KIND", "USE", "PARAMETERS"), rows, longest=_LONGEST)
    click.echo("\nWhat --set PATH=VALUE changes for one run; what the weights were trained with has to stay:")
    print_settings(pipeline.model_dump(exclude_none=True))


def print_settings(table: Mapping[str, object]) -> None:
    """Print the leaves of a table, each in a line with its path."""
    from ..registration.example import inline

    click.echo()
    for path, value in flattened(table).items():
        click.echo(printable(f"{path} = {inline(value)}", _LONGEST))


def _rows(stage: StageConfig) -> Iterator[tuple[str, str, str, str]]:
    """Give the rows of a stage: each part with its parameters, and the number of steps."""
    for kind in _KINDS[:4]:
        yield stage.name, kind, *_part(getattr(stage, kind))
    for conditioner in stage.conditioners:
        yield stage.name, "conditioner", *_part(conditioner)
    for kind in _KINDS[4:]:
        yield stage.name, kind, *_part(getattr(stage, kind))
    yield stage.name, "steps", str(stage.steps), ""
    if stage.media:
        yield stage.name, "media", "", _settings(stage.media)


def _part(table: PartConfig) -> tuple[str, str]:
    return table.use, _settings(table.model_extra or {})


def _settings(table: object) -> str:
    """Return a table's keys and values in one line."""
    from ..registration.example import inline

    return inline(table).removeprefix("{").removesuffix("}").strip()


def _condition(table: PartConfig) -> str:
    """Return what may be asked for by a conditioner: its labels, or its own name."""
    names = table.params.get("names")
    return f"{table.use}: {', '.join(map(str, names))}" if isinstance(names, list) else table.use


def _owner(name: str) -> dict[str, object]:
    """Return where a pipeline comes from: the plugin that brings it, or the file and line that name it."""
    registry = current()
    short = name.rpartition("/")[2]
    found: dict[str, object] = {}
    if any(short == part.name for part in registry.plugins.parts("pipeline")):
        plugin = registry.plugins.find("pipeline", name).plugin
        found = {"plugin": plugin.candidate.name, "distribution": plugin.distribution}
        found |= {"version": plugin.candidate.version, "file": plugin.file}
    if short == name and registry.origin(("pipelines", name)).line:
        found["named in"] = str(registry.origin(("pipelines", name)))
    return found


def _example(name: str, pipeline: PipelineConfig) -> str:
    return f"noiseform generate {pipeline.modality} {name}"
