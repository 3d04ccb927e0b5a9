"""Pipelines whose weights lie inside a plugin's package."""

from __future__ import annotations

from ..registration.toml_file import read_toml
from .weights_reference import resolve_weights

__all__ = ["embedded_pipeline"]


def embedded_pipeline(package: str, folder: str = "weights") -> dict[str, object]:
    """Return the registry table of a model folder that a package ships.

    For a plugin's hook ``noiseform_pipelines``: the folder that ``noiseform train`` made is put into the package, and
    its ``pipeline.toml`` is the table.

    Args:
        package: dotted name of the package.
        folder: name of the model folder inside it.

    Raises:
        ConfigError: there is no such folder, or its ``pipeline.toml`` is wrong.
        PluginError: the package cannot be imported.
    """
    reference = f"{package}:{folder}"
    return {**read_toml(resolve_weights(reference) / "pipeline.toml").table, "weights": reference}
