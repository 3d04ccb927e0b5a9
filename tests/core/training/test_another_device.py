"""Training on a device that is not the processor: the same losses, a model folder that runs anywhere, nothing mixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from noiseform import audio
from noiseform.core.pipeline.loading import load_pipeline
from noiseform.core.pipeline.overrides import Overrides
from noiseform.core.testing.tried_on.pretended_device import pretended_device

FEW = "[training]\nbatch_size = 4\nsamples = 2\n"
SHORT = ("training.steps=3", "training.sample_every=3", "training.checkpoint_every=2", "training.precision='fp32'")

RECIPES: dict[str, tuple[str, ...]] = {
    "a U-Net, with dropout": ("stages.0.network.dropout=0.3",),
    "learnt density": ("stages.0.objective.density='importance'",),
    "learnt variance": ("stages.0.objective.use='hybrid-vlb'", "stages.0.process.use='discrete-vp'"),
    "spectra": ("stages.0.codec={ use = 'stft', window = 16, hop = 8, layout = 'channels' }",),
    "transformer": ("stages.0.network={ use = 'dit', rank = 1, width = 16, depth = 1, heads = 2 }",),
}


@pytest.fixture
def both(tmp_path: Path, losses_of: Callable[..., list[float]]) -> Callable[..., tuple[Path, Path]]:
    """Return a function that trains a recipe here and elsewhere, and compares the losses."""

    def trained(recipe: Path, data: Path, *settings: str) -> tuple[Path, Path]:
        folders = tmp_path / "here", tmp_path / "elsewhere"
        here = losses_of(recipe, data, folders[0], *SHORT, *settings)
        with pretended_device() as device:
            there = losses_of(recipe, data, folders[1], *SHORT, *settings, device=device)
        assert there[0] == pytest.approx(here[0], rel=1e-6)
        assert there == pytest.approx(here, rel=1e-2)  # the steps of AdamW make much of the last digit
        assert sorted(one.name for one in (folders[1] / "samples").iterdir()) == ["step-00000003.png"]
        return folders

    return trained


@pytest.mark.parametrize("settings", RECIPES.values(), ids=RECIPES)
def test_model(both, tiny_recipe, tones, settings):
    _, there = both(tiny_recipe, tones, *settings)
    (here,) = audio.generate(there, label="low", seed=3)
    with pretended_device() as device:
        (clip,) = audio.generate(load_pipeline(str(there), "audio", device=device), label="low", seed=3)
    assert (clip.samples - here.samples).abs().max() < 1e-4


def test_codec_and_what_lives_in_it(both, losses_of, tiny_recipe, tiny_codec, tones, tmp_path):
    recipe = tmp_path / "codec.toml"
    recipe.write_text(tiny_codec + FEW)
    _, there = both(recipe, tones, "loss.adversarial_from=1")
    folder = tmp_path / "latent"
    settings = (*SHORT, f"stages.0.codec={{ use = 'kl-vae', weights = '{there}' }}")
    with pretended_device() as device:
        losses = losses_of(tiny_recipe, tones, folder, *settings, device=device)
        (clip,) = audio.generate(load_pipeline(str(folder), "audio", device=device), label="low", seed=3)
    assert len(losses) == 3
    assert (clip.samples - audio.generate(folder, label="low", seed=3)[0].samples).abs().max() < 1e-4


def test_what_is_made_larger_in_latents(both, losses_of, tiny_recipe, tiny_codec, tones, tmp_path):
    """Its conditioner shows what the codec, which lies on the device, makes of the source."""
    recipe = tmp_path / "codec.toml"
    recipe.write_text(tiny_codec + FEW)
    folder = tmp_path / "codec"
    losses_of(recipe, tones, folder, *SHORT, "loss.adversarial_from=1")
    conditioner = "[{ use = 'low-res', factor = 2, residual = 0.5 }]"
    both(
        tiny_recipe,
        tones,
        f"stages.0.codec={{ use = 'kl-vae', weights = '{folder}' }}",
        f"stages.0.conditioners={conditioner}",
        "stages.0.guidance={ use = 'none' }",
        "data.labels='none'",
    )


def test_classifier_and_what_it_guides(both, tiny_classifier, tones, tmp_path, tiny_model):
    recipe = tmp_path / "classifier.toml"
    recipe.write_text(tiny_classifier + FEW)
    _, there = both(recipe, tones)
    wishes = {"overrides": Overrides(settings=(f"stages.0.guidance={{ use = 'classifier', weights = '{there}' }}",))}
    (here,) = audio.generate(load_pipeline(str(tiny_model), "audio", **wishes), label="low", seed=3)
    with pretended_device() as device:
        (clip,) = audio.generate(load_pipeline(str(tiny_model), "audio", device=device, **wishes), label="low", seed=3)
    assert (clip.samples - here.samples).abs().max() < 1e-4


def test_resumed_run_goes_on(losses_of, tiny_recipe, tones, tmp_path):
    with pretended_device() as device:
        whole = losses_of(tiny_recipe, tones, tmp_path / "whole", *SHORT, device=device)
        torn = []
        for until in (2, None):
            torn += losses_of(tiny_recipe, tones, tmp_path / "torn", *SHORT, resume=True, until=until, device=device)
    assert whole == torn


def test_nothing_is_mixed_unseen():
    """The device itself: what lies on the CPU and what does not cannot be added up."""
    with pretended_device() as device, pytest.raises(RuntimeError, match="two devices"):
        torch.ones(2) + torch.ones(2, device=device)
