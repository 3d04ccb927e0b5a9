"""The demonstration models ``speech-vocoder`` and ``spoken-digits-vocoder``: see CARD.md beside this file."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_pipelines() -> dict[str, dict[str, object]]:
    vocoder = f"{__name__}:weights"
    return {
        "speech-vocoder": {
            "modality": "audio",
            "summary": "speech at 8 kHz made into sound from its mel spectrogram",
            "weights": vocoder,
        },
        "spoken-digits-vocoder": {
            "modality": "audio",
            "summary": "one spoken English digit, 8 kHz, its spectrogram made into sound by a vocoder",
            "stages": [
                {"name": "base", "weights": "noiseform.plugins.spoken_digits:weights"},
                {"name": "vocoder", "weights": vocoder},
            ],
        },
    }
