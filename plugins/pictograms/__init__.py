"""The demonstration model ``pictograms``, and the same made larger: see CARD.md beside this file."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_pipelines() -> dict[str, dict[str, object]]:
    weights = f"{__name__}:weights"
    return {
        "pictograms": {
            "modality": "image",
            "summary": "one pictogram, 64 x 64, in colour, by its description",
            "weights": weights,
        },
        "pictograms-large": {
            "modality": "image",
            "summary": "one pictogram, 128 x 128, in colour, by its description",
            "stages": [
                {"name": "base", "weights": weights},
                {
                    "name": "large",
                    "weights": "noiseform.plugins.photographs_x2:weights",
                    "media": {"height": 128, "width": 128},
                },
            ],
        },
    }
