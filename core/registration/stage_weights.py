"""Stages of a cascade that were trained apart: each takes what it does not say from a model folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..naming import printable
from .toml_file import read_toml
from .weights_reference import resolve_weights

__all__ = ["completed", "entry_of"]


def completed(stage: Mapping[str, Any], base: Path | None, *, where: str) -> dict[str, Any]:
    """Return the table of a stage that names its ``weights`` with all that its model folder says and it does not.

    Args:
        stage: the table, with ``weights``.
        base: what a relative path starts from.
        where: pipeline, for messages.

    Raises:
        ConfigError: there is no such folder, or it holds none or several stages and none of this name.
        PluginError: its package cannot be imported.
    """
    folder = resolve_weights(str(stage["weights"]), base=base)
    try:
        model = read_toml(folder / "pipeline.toml").table
    except FileNotFoundError:
        raise ConfigError(
            f"{where}: weights: {printable(folder)}: no model folder; name one that `noiseform train` made"
        ) from None
    tables: list[dict[str, Any]] = model.get("stages", [])  # type: ignore[assignment]
    names = [str(one.get("name", "base")) for one in tables]
    trained = tables[names.index(entry_of(names, stage.get("name"), where=f"{where}: weights: {printable(folder)}"))]
    media = {**model.get("media", {}), **trained.get("media", {}), **stage.get("media", {})}  # type: ignore[dict-item]
    return {**trained, **stage, "name": stage.get("name", trained.get("name", "base")), "media": media}


def entry_of(names: list[str], wanted: str | None, *, where: str) -> str:
    """Return which of a model's stages is meant: the one of this name, or the only one.

    Raises:
        ConfigError: there is none, or there are several and none of this name.
    """
    if wanted in names:
        return str(wanted)
    if len(names) != 1:
        told = ", ".join(names) or "none"
        raise ConfigError(f"{where}: it has no stage {wanted!r}; its stages: {told}; name the stage as one of them")
    return names[0]
