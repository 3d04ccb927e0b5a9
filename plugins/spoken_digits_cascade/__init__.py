"""The demonstration model ``spoken-digits-cascade``: see CARD.md beside this file."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_pipelines() -> dict[str, dict[str, object]]:
    cascade: dict[str, object] = {
        "modality": "audio",
        "summary": "one spoken English digit, sample by sample: made at 4 kHz, then made 8 kHz",
        "stages": [
            {"name": "base", "weights": f"{__name__}:weights"},
            {
                "name": "large",
                "weights": "noiseform.plugins.speech_x2:weights",
                "conditioners": [{"use": "low-res", "factor": 2, "noise": 0.3, "consistent": False}],
            },
        ],
    }
    earlier = {**cascade, "summary": "spoken-digits-cascade by its earlier name"}
    return {"spoken-digits-cascade": cascade, "spoken-digits-wave": earlier}
