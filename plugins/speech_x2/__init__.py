"""The demonstration model ``speech-x2``: see CARD.md beside this file."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_pipelines() -> dict[str, dict[str, str]]:
    summary = "speech at 4 kHz made into speech at 8 kHz"
    return {"speech-x2": {"modality": "audio", "summary": summary, "weights": f"{__name__}:weights"}}
