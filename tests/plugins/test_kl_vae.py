"""The learnt codec: its shapes, its tiles, its loss, its training, and the pipelines that live in its latents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from noiseform import ConfigError, MediaSpec, audio, build
from noiseform.core.errors import CheckpointError
from noiseform.core.pipeline.pretrained import pretrained_codec
from noiseform.core.registration.build import build_part
from noiseform.core.registration.config import PartConfig
from noiseform.core.registration.toml_file import read_toml
from noiseform.core.storage.model_folder import load_model_folder
from noiseform.plugins.codecs.reconstruction import Reconstruction

SMALL = {"channels": [8, 16], "latent_channels": 3, "patch": 2}
SHAPES = [(1, 203), (3, 41, 54), (2, 9, 21, 17)]


def codec(shape: tuple[int, ...], **settings: object) -> torch.nn.Module:
    torch.manual_seed(0)
    spec = MediaSpec(shape, (None,) * (len(shape) - 1), 0.0, 1.0)
    return build("codec", "kl-vae", **{**SMALL, **settings}, media=spec).eval()


@pytest.mark.parametrize("shape", SHAPES)
def test_any_size_of_any_rank(shape):
    made = codec(shape)
    media = torch.rand(2, *shape)
    latent = made.encode(media)
    assert tuple(latent.shape[1:]) == made.shape(shape) == (3, *(-(-size // 4) for size in shape[1:]))
    decoded = made.decode(latent, shape)
    assert decoded.shape == media.shape
    assert 0.0 <= decoded.min() <= decoded.max() <= 1.0


@pytest.mark.parametrize("shape", [(1, 1001), (3, 150, 141)])
@pytest.mark.parametrize("blocks", [1, 3])
def test_tiles_have_no_seams(shape, blocks):
    whole, tiled = (codec(shape, channels=[8, 16, 16], blocks=blocks, patch=1, tile=tile) for tile in (4096, 16))
    latent = torch.randn(1, *whole.shape(shape))
    assert max(latent.shape[2:]) > 16
    torch.testing.assert_close(tiled.decode(latent, shape), whole.decode(latent, shape), atol=1e-5, rtol=0)


def test_a_tile_needs_its_margin():
    made = codec((1, 1001), patch=1, tile=16)
    latent = torch.randn(1, *made.shape((1, 1001)))
    right = made.decode(latent, (1, 1001))
    made._tiling = replace(made._tiling, margin=(1,))
    assert (made.decode(latent, (1, 1001)) - right).abs().max() > 1e-4


def test_latents_are_normalised_by_what_was_measured():
    made = codec((3, 16, 16))
    media = [torch.rand(1, 3, 16, 16) for _ in range(40)]
    with torch.no_grad():
        made.measure([made.posterior(one)[0] for one in media])
    latents = torch.cat([made.encode(one) for one in media]).transpose(0, 1).flatten(1).double()
    torch.testing.assert_close(latents.mean(1), torch.zeros(3).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(latents.std(1), torch.ones(3).double(), atol=1e-5, rtol=0)


def test_divergence_is_that_of_two_normals():
    made = codec((1, 16))
    media, eps = torch.rand(4, 1, 16), torch.zeros(4, *made.shape((1, 16)))
    mean, log_variance = made.posterior(media)
    ours, theirs = torch.distributions.Normal(mean, (0.5 * log_variance).exp()), torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(ours, theirs).mean()
    with_it, without = (
        next(Reconstruction(kl=kl, channels=1, rank=1).updates(made, media, eps, 0))[1] for kl in (0.5, 0.0)
    )
    torch.testing.assert_close((with_it - without) / 0.5, expected, atol=1e-5, rtol=1e-4)


def test_discriminator_counts_as_much_as_it_is_told_to():
    made = codec((3, 32, 32))
    loss = Reconstruction(adversarial=0.5, adversarial_from=3, discriminator=8, channels=3, rank=2)
    media, eps = torch.rand(2, 3, 32, 32), torch.randn(2, *made.shape((3, 32, 32)))
    assert [name for name, _ in loss.updates(made, media, eps, 2)] == ["model"]
    last = made.decoder[-1].weight

    def gradient(step: int) -> torch.Tensor:
        name, value = next(loss.updates(made, media, eps, step))
        assert name == "model"
        return torch.autograd.grad(value, last)[0]

    plain = gradient(0)
    flattery = gradient(3) - plain
    # The pull on the latents does not reach the last layer, so `plain` is the reconstruction's gradient there.
    torch.testing.assert_close(flattery.norm(), 0.5 * plain.norm(), rtol=1e-3, atol=0)
    assert [name for name, _ in loss.updates(made, media, eps, 3)] == ["model", "discriminator"]


TRAINING = """\
adversarial_from = 20
[training]
steps = 60
batch_size = 8
warmup = 5
learning_rate = 3e-3
ema = 0.9
checkpoint_every = 20
sample_every = 30
samples = 2
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory, losses_of, tiny_codec, tones) -> Path:
    """Give the run folder of a small codec."""
    folder = tmp_path_factory.mktemp("codec")
    (folder / "recipe.toml").write_text(tiny_codec + TRAINING)
    losses = losses_of(folder / "recipe.toml", tones, folder / "codec")
    assert sum(losses[15:20]) < 0.7 * sum(losses[:5])
    return folder / "codec"


def test_trained_codec_gives_back_what_it_is_given(trained, tones):
    assert sorted(path.name for path in (trained / "samples").iterdir()) == ["step-00000030.png", "step-00000060.png"]
    given = pretrained_codec(PartConfig.model_validate({"use": "kl-vae", "weights": str(trained)}))
    assert given is not None
    made = build_part(given.config, "codec", media=MediaSpec((1, 64), (1000.0,), -1.0, 1.0))
    given.fill(made)
    clip = audio.read(tones / "low" / "0.wav").samples.unsqueeze(0)
    error = (made.decode(made.encode(clip), (1, 64)) - clip).abs().mean()
    assert error < 0.5 * clip.abs().mean()


def test_interrupted_training_of_a_codec_goes_on_to_the_last_bit(losses_of, trained, tones, tmp_path):
    recipe = trained.parent / "recipe.toml"
    torn: list[float] = []
    for until in (13, 31, None):
        torn += losses_of(recipe, tones, tmp_path / "torn", resume=True, until=until)
    assert (tmp_path / "torn" / "log.jsonl").read_bytes() == (trained / "log.jsonl").read_bytes()
    assert (tmp_path / "torn" / "manifest.json").read_bytes() == (trained / "manifest.json").read_bytes()


def test_pipeline_in_its_latents(losses_of, trained, tones, tiny_recipe, tmp_path):
    setting = f"stages.0.codec={{use='kl-vae', weights='{trained}'}}"
    losses_of(tiny_recipe, tones, tmp_path / "run", setting, "stages.0.network.patch=1", "training.steps=4")
    table = read_toml(tmp_path / "run" / "pipeline.toml").table
    assert table["stages"][0]["codec"] == read_toml(trained / "pipeline.toml").table["codec"]
    _, weights = load_model_folder(tmp_path / "run")
    _, before = load_model_folder(trained)
    assert weights.keys() == {"base", "base.codec"}
    assert all(torch.equal(weights["base.codec"][name], value) for name, value in before["codec"].items())
    (one,) = audio.generate(tmp_path / "run", label="low", seed=1)
    same, _ = audio.generate(tmp_path / "run", label="low", seed=1, count=2)
    assert torch.equal(one.samples, same.samples)
    assert one.record["weights"].keys() == {"base", "base.codec"}

    setting = f"stages.0.codec={{use='kl-vae', weights='{tmp_path / 'run'}'}}"  # the whole model gives its codec too
    start = f"training.start='{tmp_path / 'run'}'"
    losses_of(tiny_recipe, tones, tmp_path / "next", setting, start, "stages.0.network.patch=1", "training.steps=1")
    _, after = load_model_folder(tmp_path / "next")
    assert all(torch.equal(after["base.codec"][name], value) for name, value in weights["base.codec"].items())


def test_what_a_recipe_may_not_say_of_a_codec(losses_of, trained, tones, tiny_recipe, tiny_model, tmp_path):
    wrong = {
        "{use='kl-vae'}": (ConfigError, "has to be trained first"),
        f"{{use='kl-vae', weights='{trained}', latent_channels=5}}": (ConfigError, "was trained with 4; leave it out"),
        f"{{use='stft', weights='{trained}'}}": (ConfigError, "holds a codec 'kl-vae'"),
        f"{{use='kl-vae', weights='{tiny_model}'}}": (CheckpointError, "holds no codec"),
        "{use='kl-vae', weights='nowhere'}": (ConfigError, "there is no such folder"),
    }
    for table, (error, why) in wrong.items():
        with pytest.raises(error, match=why):
            losses_of(tiny_recipe, tones, tmp_path / "run", f"stages.0.codec={table}")
    with pytest.raises(ConfigError, match="a codec, which makes nothing by itself"):
        audio.generate(trained)
    with pytest.raises(ConfigError, match="only a recipe's codec names them"):
        losses_of(tiny_recipe, tones, tmp_path / "run", "stages.0.sampler={use='ddim', weights='x'}")
    recipe = trained.parent / "recipe.toml"
    with pytest.raises(ConfigError, match="codec 'identity' has nothing to learn"):
        losses_of(recipe, tones, tmp_path / "run", "codec={use='identity'}")
    with pytest.raises(ConfigError, match="unknown parameter 'k1'"):
        losses_of(recipe, tones, tmp_path / "run", "loss={k1=2}")
