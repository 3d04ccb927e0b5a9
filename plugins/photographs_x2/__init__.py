"""The demonstration model ``photographs-x2``: see CARD.md beside this file."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_pipelines() -> dict[str, dict[str, object]]:
    summary = "a photograph with twice the rows and columns"
    window = {"height": 128, "width": 128}  # trained on 64 x 64; larger tiles overlap less
    return {
        "photographs-x2": {
            "modality": "image",
            "summary": summary,
            "weights": f"{__name__}:weights",
            "media": window,
        }
    }
