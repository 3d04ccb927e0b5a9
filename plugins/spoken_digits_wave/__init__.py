"""The demonstration model ``spoken-digits-wave``: see CARD.md beside this file."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_pipelines() -> dict[str, dict[str, str]]:
    summary = "one spoken English digit, 8 kHz, sample by sample"
    return {"spoken-digits-wave": {"modality": "audio", "summary": summary, "weights": f"{__name__}:weights"}}
