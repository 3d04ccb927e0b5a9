"""The demonstration model ``garments``: see CARD.md beside this file."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_pipelines() -> dict[str, dict[str, str]]:
    summary = "one garment, 28 x 28, grey, by class"
    return {"garments": {"modality": "image", "summary": summary, "weights": f"{__name__}:weights"}}
