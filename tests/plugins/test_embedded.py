"""What every embedded model keeps: small weights, named by its card, and room for others."""

from __future__ import annotations

from pathlib import Path

import pytest
from noiseform.core.registration.registry import current

ROOT = Path(__file__).resolve().parents[2]
MODELS = (
    "garments",
    "photographs-x2",
    "pictograms",
    "speech-vocoder",
    "speech-x2",
    "spoken-digits",
    "spoken-digits-wave",
    "turning-fruit",
)


@pytest.mark.parametrize("name", MODELS)
def test_the_weights_are_small_and_the_card_says_which(name):
    folder = current().model_folder(name)
    files = sorted(folder.glob("*.safetensors"))
    assert files
    assert all(one.stat().st_size <= 8_000_000 for one in files)
    card = (folder.parent / "CARD.md").read_text("utf-8")
    assert all(one.stem.rpartition("-")[2] in card for one in files)


def test_all_embedded_models_fit_into_40_megabytes_their_judges_into_one_and_every_model_is_looked_at():
    models, judges = (list((ROOT / place).rglob("*.safetensors")) for place in ("plugins", "docs"))
    assert sum(one.stat().st_size for one in models) <= 40_000_000
    assert sum(one.stat().st_size for one in judges) <= 1_000_000
    assert {one.parent for one in models} == {Path(current().model_folder(name)) for name in MODELS}
