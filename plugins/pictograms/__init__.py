"""The demonstration model ``pictograms``: see CARD.md beside this file."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_pipelines() -> dict[str, dict[str, str]]:
    summary = "one pictogram, 64 x 64, in colour, by its description"
    return {"pictograms": {"modality": "image", "summary": summary, "weights": f"{__name__}:weights"}}
