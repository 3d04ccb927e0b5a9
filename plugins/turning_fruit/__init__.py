"""The demonstration model ``turning-fruit``: see CARD.md beside this file."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_pipelines() -> dict[str, dict[str, str]]:
    summary = "a fruit that turns, 64 x 64, in colour, by its name"
    return {"turning-fruit": {"modality": "video", "summary": summary, "weights": f"{__name__}:weights"}}
