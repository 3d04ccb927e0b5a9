"""What every embedded model keeps: small weights, named by its card, and room for others."""

from __future__ import annotations

from pathlib import Path

import pytest
from noiseform.core.registration.registry import current

ROOT = Path(__file__).resolve().parents[2]
MODELS = (
    "garments",
    "photographs-x2",
    "films-x2",
    "pictograms",
    "speech-vocoder",
    "speech-x2",
    "spoken-digits",
    "spoken-digits-cascade",
    "turning-fruit",
)


@pytest.mark.parametrize("name", MODELS)
def test_the_weights_are_small_and_the_card_says_which(name):
    files = sorted(folder_of(name).glob("*.safetensors"))
    assert files
    assert all(one.stat().st_size <= 8_000_000 for one in files)
    card = (folder_of(name).parent / "CARD.md").read_text("utf-8")
    assert all(one.stem.rpartition("-")[2] in card for one in files)


def test_all_embedded_models_fit_into_40_megabytes_with_their_judges_and_every_model_is_looked_at():
    models, judges = (list((ROOT / place).rglob("*.safetensors")) for place in ("plugins", "docs"))
    assert sum(one.stat().st_size for one in models + judges) <= 40_000_000
    assert {one.parent for one in models} == set(map(folder_of, MODELS))


def test_every_stage_of_the_embedded_pipelines_is_an_embedded_model():
    registry = current()
    used = {
        one for name in registry.pipelines for one in registry.stage_folders(name, registry.pipeline(name)).values()
    }
    assert used == set(map(folder_of, MODELS))


def folder_of(name: str) -> Path:
    return ROOT / "plugins" / name.replace("-", "_") / "weights"
