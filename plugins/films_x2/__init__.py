"""The demonstration model ``films-x2``: see CARD.md beside this file."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_pipelines() -> dict[str, dict[str, object]]:
    summary = "a film with twice the rows and columns"
    return {"films-x2": {"modality": "video", "summary": summary, "weights": f"{__name__}:weights"}}
