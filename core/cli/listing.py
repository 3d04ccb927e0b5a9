"""``noiseform list``: the parts that plugins provide, told without importing any of them."""

from __future__ import annotations

from collections.abc import Mapping

import click

from ..registration.kinds import KINDS
from ..registration.registry import Registry, current
from .rows import print_json, print_rows

__all__ = ["list_parts"]


@click.command("list")
@click.argument("kind", required=False, metavar="[KIND]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_parts(kind: str | None, as_json: bool) -> None:
    """List the parts of a KIND, or of all kinds.

    Kinds: process objective grid sampler guidance network codec conditioner modality metric pipeline
    converter command.
    """
    entries = _entries(current(), kind)
    if as_json:
        print_json(entries)
        return
    print_rows(
        ("KIND", "NAME", "DISTRIBUTION", "VERSION", "PLUGIN", "NOTE"),
        [
            [str(entry[key]) for key in ("kind", "name", "distribution", "version", "plugin", "note")]
            for entry in entries
        ],
    )


def _entries(registry: Registry, kind: str | None) -> list[dict[str, object]]:
    plugins = registry.plugins
    clashing = {part.full_name for rivals in plugins.clashes() for part in rivals}
    entries: list[dict[str, object]] = []
    for part in plugins.parts(kind):
        note = "the default" if registry.defaults.get(part.kind) == part.name else ""
        if part.kind == "pipeline":
            note = _summary(registry.pipelines.get(part.name, {}))
        if part.full_name in clashing:
            note = f"claimed by several: write {part.full_name}"
        candidate = part.plugin.candidate
        entries.append(
            {
                "kind": part.kind,
                "name": part.name,
                "full_name": part.full_name,
                "distribution": candidate.distribution,
                "version": candidate.version,
                "plugin": candidate.name,
                "note": note,
            }
        )
    if kind in {None, "pipeline"}:  # those of the user's own files come with no plugin
        known = {entry["name"] for entry in entries if entry["kind"] == "pipeline"}
        for name in registry.pipelines.keys() - known:
            note = "; ".join(
                filter(None, (_summary(registry.pipelines[name]), str(registry.origin(("pipelines", name)))))
            )
            own = {"distribution": "registry", "version": "", "plugin": "", "note": note}
            entries.append({"kind": "pipeline", "name": name, "full_name": name, **own})
    order = list(KINDS)
    return sorted(entries, key=lambda entry: (order.index(str(entry["kind"])), str(entry["name"])))


def _summary(pipeline: Mapping[str, object]) -> str:
    """Return what a pipeline makes, in its own words."""
    return ": ".join(str(pipeline[key]) for key in ("modality", "summary") if pipeline.get(key))
