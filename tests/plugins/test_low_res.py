"""The conditioners of cascades: what they show in training is what they are given in use, and models heed it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from noiseform import build, image
from noiseform.core.cli.main import main
from noiseform.core.errors import ConfigError
from noiseform.core.media import MediaSpec
from noiseform.core.pipeline.source import SOURCE, Items, Source
from noiseform.core.registration.config import PartConfig
from noiseform.modalities.image.picture import Image
from torch import Tensor

SPEC = MediaSpec((3, 8, 8), (None, None), 0.0, 1.0)
SOUND = MediaSpec((1, 64), (1000.0,), -1.0, 1.0)


def low_res(**settings: object):
    codec = build("codec", "identity", media=SPEC)
    return build("conditioner", "low-res", **settings, media=SPEC, latent_shape=SPEC.shape, codec=codec)


def media(**settings: object):
    mel = {"use": "mel", "bins": 8, "hop": 16, "window": 64, "layout": "channels"}
    return build("conditioner", "media", codec=mel, **settings, media=SOUND, latent_shape=SOUND.shape)


def items(x: Tensor, u: float, eps: Tensor, spec: MediaSpec = SPEC, modality: str = "image") -> Items:
    chances = torch.full((len(x), 4), u)
    return Items(x, x, chances, lambda shape: eps.reshape(len(x), *shape), spec, build("modality", modality).resampled)


@pytest.mark.parametrize("noise", [0.0, 0.25])
def test_what_is_given_is_shown_as_in_training(noise):
    conditioner = low_res(noise=0.5, level=noise)
    x, eps = torch.rand(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    shown = conditioner.shown(items(x, noise / 0.5, eps))["channels"]
    resampled = build("modality", "image").resampled
    low = resampled(x, SPEC, conditioner.source).clamp(0, 1)
    large = resampled(low, conditioner.source, SPEC).clamp(0, 1)
    sources = [{SOURCE: Source(lambda row=row: large[row], lambda shape, row=row: eps[row])} for row in range(2)]
    torch.testing.assert_close(conditioner.encode(sources)["channels"], shown)
    expected = (1 - noise**2) ** 0.5 * (2 * large - 1) + noise * eps
    torch.testing.assert_close(shown[:, :3], expected)
    torch.testing.assert_close(shown[:, 3], torch.full((2, 8, 8), 1 - noise))


def test_a_residual_is_brought_to_unit_variance_whatever_the_noise():
    conditioner = low_res(noise=0.4, residual=0.2)
    for u in (0.0, 0.5, 1.0):
        low = torch.rand(400, 3, 8, 8)
        x = low + 0.1 * torch.randn(400, 3, 8, 8)  # of the media; 0.2 in the latent
        eps = torch.randn(400, 3, 8, 8)
        same = Items(2 * x - 1, low, torch.full((400, 4), u), lambda shape, eps=eps: eps, SPEC, lambda media, *_: media)
        raw = conditioner.shown(same)
        offset, scale = conditioner.offset(raw)
        torch.testing.assert_close(scale.flatten(), torch.full((400,), (0.2**2 + (0.4 * u) ** 2) ** 0.5))
        rest = ((2 * x - 1) - offset) / scale
        assert abs(rest.std().item() - 1) < 0.15


def test_without_a_residual_the_whole_item_is_made():
    conditioner = low_res()
    assert conditioner.offset(conditioner.encode([{}])) is None


def test_guidance_is_not_about_the_source():
    raw = {"channels": torch.rand(2, 4, 8, 8)}
    assert torch.equal(low_res().null(raw)["channels"], raw["channels"])


def test_a_vocoder_divides_by_the_loudness_that_its_spectrogram_tells():
    conditioner = media(envelope=0.5, noise=0.0)
    quiet = 0.01 * torch.randn(1, 1, 64)
    for factor in (1.0, 10.0, 50.0):
        x = factor * quiet
        raw = conditioner.shown(items(x, 0.0, torch.zeros(1, 8, 4), SOUND, "audio"))
        offset, scale = conditioner.offset(raw)
        assert scale.shape == (1, 1, 64)
        assert not offset.any()
        if factor == 1:
            first = x / scale
        torch.testing.assert_close(x / scale, first, rtol=0.05, atol=0.05)


def test_a_vocoder_is_corrected_until_its_spectrogram_is_the_source():
    sound = torch.sin(torch.arange(64) * 0.6)[None] * torch.linspace(0.1, 0.8, 64)
    source = Source(lambda: sound, lambda shape: torch.zeros(shape))
    made = 0.4 * torch.sin(torch.arange(64) * 0.6 + 0.2)[None]
    seen = media().encode([{SOURCE: source}])["latent"][:, :-1]
    far = [
        (media().shown(items(one[None], 0.0, torch.zeros(1, 8, 4), SOUND, "audio"))["latent"][:, :-1] - seen).norm()
        for one in (made, *(media(corrections=count).corrected(made, source) for count in (2, 16)))
    ]
    assert far[0] > 2 * far[1] > 2 * far[2]
    assert torch.equal(media().corrected(made, source), made)


def test_a_vocoder_takes_a_latent_of_a_codec_that_decodes_otherwise():
    table = {"bins": 8, "hop": 16, "window": 64, "layout": "channels"}
    sound, latent = torch.zeros(1, 64), torch.randn(8, 4)
    for own, taken in (({"iterations": 64}, True), ({"floor": 0.01}, False)):
        codec = PartConfig(use="mel", **table, **own)
        source = Source(lambda: sound, lambda shape: torch.zeros(shape), latent, codec)
        assert torch.equal(media().encode([{SOURCE: source}])["latent"][0, :-1], latent) == taken


def test_neighbours_lie_beside_what_is_blended():
    film = MediaSpec((3, 6, 4, 4), (8.0, None, None), 0.0, 1.0)
    codec = build("codec", "identity", media=film)
    settings = {"media": film, "latent_shape": film.shape, "codec": codec}
    conditioner = build("conditioner", "low-res", factor=[2, 1, 1], noise=0.0, neighbours=True, **settings)
    assert conditioner.outputs == {"channels": 10}
    x = torch.rand(2, *film.shape)
    shown = conditioner.shown(items(x, 0.0, torch.zeros(2, 9, *film.shape[1:]), film, "video"))["channels"]
    few = 2 * x[:, :, ::2] - 1
    after = torch.stack([few[:, :, 1], few[:, :, 2], few[:, :, 2]], 2)
    torch.testing.assert_close(shown[:, 3:6, 1::2], few)  # what stands before
    torch.testing.assert_close(shown[:, 6:9, ::2], after)  # and after
    torch.testing.assert_close(shown[:, :3, 1::2], (few + after) / 2)
    resampled = build("modality", "video").resampled
    large = resampled(x[:, :, ::2], conditioner.source, film)
    sources = [
        {SOURCE: Source(lambda row=row: large[row], lambda shape: None, part=lambda row=row: x[row, :, ::2])}
        for row in range(2)
    ]
    torch.testing.assert_close(conditioner.encode(sources)["channels"], shown)
    with pytest.raises(ConfigError, match="along one axis"):
        build("conditioner", "low-res", factor=[2, 2, 1], neighbours=True, **settings)


def test_media_lie_beside_every_position_and_learn():
    conditioner = media(width=3, hidden=16)
    raw = conditioner.shown(items(torch.rand(2, 1, 64) - 0.5, 0.5, torch.randn(2, 8, 4), SOUND, "audio"))
    beside = conditioner(raw)["channels"]
    assert beside.shape == (2, 3, 64)
    beside.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in conditioner.parameters())


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"codec": {"use": "mel", "bins": 8, "hop": 24, "window": 64}}, "no whole parts of the item's"),
        ({"codec": {"use": "kl-vae", "channels": [8]}}, "weights of its own"),
        ({"codec": {"use": "identity"}, "envelope": 1.0}, "tells no loudness"),
        ({"codec": {"use": "identity"}, "corrections": 4}, "fits no media"),
        ({"codec": {"use": "none-such"}}, "unknown"),
    ],
)
def test_wrong_codecs(settings, complaint):
    with pytest.raises(ConfigError, match=complaint):
        build("conditioner", "media", **settings, media=SOUND, latent_shape=SOUND.shape)


RECIPE = """\
modality = "image"
[media]
height = 8
width = 8
channels = 1
[[stages]]
name = "large"
process = { use = "flow" }
objective = { use = "velocity" }
network = { use = "unet-2d", channels = [16, 16], blocks = 1, head_width = 8, embedding = 32 }
conditioners = [{ use = "low-res", noise = 0.2, residual = RESIDUAL, consistent = false }]
steps = 4
[data]
labels = "none"
fit = "cut"
[training]
steps = 120
batch_size = 8
warmup = 10
learning_rate = 4e-3
ema = 0.9
weights = "fp32"
sample_every = 120
samples = 2
"""


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give pictures of 24 x 24 with stripes, thin and bright in the left half, which half the size has not."""
    folder = tmp_path_factory.mktemp("stripes")
    for number in range(4):
        pixels = torch.full((1, 24, 24), 0.5)
        pixels[:, number % 2 :: 2] = 0.3 + 0.1 * number
        Image(pixels).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("residual", ["0.0", "0.2"])
def test_a_stage_learns_what_its_source_lacks(stripes, residual, tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("RESIDUAL", residual), encoding="utf-8")
    run = tmp_path / "run"
    assert main(["train", str(tmp_path / "recipe.toml"), "--data", str(stripes), "-o", str(run), "--quiet"]) == 0
    assert (run / "samples" / "step-00000120.png").is_file()
    real = image.read(stripes / "0.png").pixels
    resampled = build("modality", "image").resampled
    low = resampled(
        real[None], MediaSpec((1, 24, 24), (None, None), 0.0, 1.0), MediaSpec((1, 12, 12), (None, None), 0.0, 1.0)
    )
    made = image.upscale(Image(low[0].clamp(0, 1)), run, seed=0)
    assert made.pixels.shape == (1, 24, 24)
    difference = (made.pixels[0, 1:] - made.pixels[0, :-1]).abs().mean()
    plain = resampled(
        low, MediaSpec((1, 12, 12), (None, None), 0.0, 1.0), MediaSpec((1, 24, 24), (None, None), 0.0, 1.0)
    )
    assert difference > 2 * (plain[0, 0, 1:] - plain[0, 0, :-1]).abs().mean()


def test_a_level_that_training_has_not_shown_is_refused(tmp_path, capsys):
    assert low_res(noise=0.2, level=0.2).encode([{}])["channels"].shape == (1, 4, 8, 8)
    for conditioner in (low_res, media):
        with pytest.raises(ConfigError, match=r"level: 0\.21 is more noise than training has shown; give 0 to 0\.2$"):
            conditioner(noise=0.2, level=0.21)
    Image(torch.rand(3, 8, 8)).save(tmp_path / "small.png")
    command = ["upscale", "image", str(tmp_path / "small.png"), "-o", str(tmp_path / "large.png")]
    assert main([*command, "--set", "stages.large.conditioners.0.level=0.2"]) == 2
    assert "conditioner low-res: level: 0.2 is more noise than training has shown; give 0 to 0.1" in (
        capsys.readouterr().err
    )
