"""The pipeline of the model folder ``weights`` beside this file."""

from __future__ import annotations

from ...core.storage.embedded import embedded_pipeline

__all__ = ["table"]


def table() -> dict[str, object]:
    """Return the pipeline's registry table."""
    return embedded_pipeline(__package__ or __name__)
