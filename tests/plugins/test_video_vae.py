"""The codec of films: that of pictures until its layers of time are trained, chunks without joints, kept latents."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from noiseform import ConfigError, MediaSpec, build
from noiseform.core.storage.model_folder import load_model_folder
from noiseform.core.training.recipe import read_recipe
from noiseform.core.training.trainer import train
from noiseform.plugins.codecs.film_reconstruction import FilmReconstruction
from noiseform.plugins.codecs.kl_vae import KLVAE
from noiseform.plugins.codecs.reconstruction import Reconstruction
from noiseform.plugins.codecs.video_vae import VideoVAE
from torch import Tensor

SMALL = {"channels": [8, 16], "latent_channels": 3, "patch": 2}
PICTURE = MediaSpec((3, 18, 13), (None, None), 0.0, 1.0)


def films(frames: int = 7, height: int = 18, width: int = 13) -> MediaSpec:
    return MediaSpec((3, frames, height, width), (8.0, None, None), 0.0, 1.0)


def of_pictures() -> KLVAE:
    torch.manual_seed(0)
    return build("codec", "kl-vae", **SMALL, media=PICTURE).eval()


def of_films(spec: MediaSpec, *, trained: bool = False, **settings: object) -> VideoVAE:
    """Return one with the weights of the codec of pictures, and layers of time as if trained or not."""
    pictures = of_pictures()
    torch.manual_seed(1)
    made = build("codec", "video-vae", **SMALL, **settings, media=spec).eval()
    lacking = made.load_state_dict(pictures.state_dict(), strict=False)
    assert (set(lacking.missing_keys), lacking.unexpected_keys) == (set(made.additions[0]), [])
    if trained:
        for layer in made.temporal.values():
            torch.nn.init.normal_(layer.mix.weight, generator=torch.Generator().manual_seed(1))
    return made


def frames_of(decode, latent: Tensor) -> Tensor:
    return torch.stack([decode(one) for one in latent.unbind(2)], 2)


@pytest.mark.parametrize("chunk", [3, 16])
def test_untrained_it_is_the_codec_of_pictures_frame_by_frame(chunk):
    made, pictures, film = of_films(films(), chunk=chunk), of_pictures(), torch.rand(2, 3, 7, 18, 13)
    latent = made.encode(film)
    assert tuple(latent.shape[1:]) == made.shape((3, 7, 18, 13)) == (3, 7, 5, 4)
    torch.testing.assert_close(latent, frames_of(pictures.encode, film), atol=1e-6, rtol=0)
    expected = frames_of(lambda one: pictures.decode(one, (3, 18, 13)), latent)
    torch.testing.assert_close(made.decode(latent, (3, 7, 18, 13)), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("chunk", [1, 5, 16])
def test_chunks_of_frames_have_no_joints(chunk):
    spec = films(23)
    whole, chunked = (of_films(spec, trained=True, chunk=frames) for frames in (4096, chunk))
    film = torch.rand(1, 3, 23, 18, 13)
    latent = whole.encode(film)
    torch.testing.assert_close(chunked.encode(film), latent, atol=1e-6, rtol=0)
    torch.testing.assert_close(chunked.decode(latent, spec.shape), whole.decode(latent, spec.shape), atol=1e-6, rtol=0)


def test_chunks_and_tiles_go_together():
    spec = films(9, 80, 76)
    whole, tiled = (of_films(spec, trained=True, **sizes) for sizes in ({"tile": 4096}, {"tile": 16, "chunk": 4}))
    latent = torch.randn(1, *whole.shape(spec.shape))
    torch.testing.assert_close(tiled.decode(latent, spec.shape), whole.decode(latent, spec.shape), atol=1e-5, rtol=0)


def test_what_is_decoded_at_a_time_is_a_chunk_with_its_neighbourhood():
    made = of_films(films(64), chunk=8)
    sizes: list[int] = []
    inner = made._decoded
    made._decoded = lambda latent: sizes.append(latent.shape[2]) or inner(latent)
    made.decode(torch.randn(1, *made.shape(films(64).shape)), films(64).shape)
    assert len(sizes) == 8
    assert max(sizes) == 8 + 2 * made._tiling.margin[0] < 64


def test_trained_layers_of_time_hear_the_frames_beside_and_a_still_passes_them_by():
    made, pictures = of_films(films(), trained=True), of_pictures()
    latent = torch.randn(1, 3, 7, 5, 4)
    other = latent.clone()
    other[:, :, 3] += 1
    shape = (3, 7, 18, 13)
    changed = (made.decode(latent, shape) - made.decode(other, shape)).abs().amax((0, 1, 3, 4))
    assert (changed > 1e-4).sum() > 1
    still = made.decode(latent[:, :, :1], (3, 1, 18, 13))
    torch.testing.assert_close(still[:, :, 0], pictures.decode(latent[:, :, 0], (3, 18, 13)), atol=1e-6, rtol=0)


def test_error_of_motion_is_that_of_the_differences_between_frames():
    plain, moving = (kind(channels=3, rank=3) for kind in (Reconstruction, FilmReconstruction))
    film, made = torch.rand(2, 3, 5, 8, 8), torch.rand(2, 3, 5, 8, 8)
    differences = (made[:, :, 1:] - made[:, :, :-1]) - (film[:, :, 1:] - film[:, :, :-1])
    torch.testing.assert_close(moving.error(made, film), plain.error(made, film) + differences.abs().mean())
    still = film[:, :, :1], made[:, :, :1]
    torch.testing.assert_close(moving.error(*still), plain.error(*still))


def test_pictures_are_refused():
    with pytest.raises(ConfigError, match=r"films have \(channels, frames, height, width\).*use kl-vae"):
        build("codec", "video-vae", media=PICTURE)


PICTURES = """
modality = "image"
[media]
height = 16
width = 16
[codec]
use = "kl-vae"
channels = [8, 16]
latent_channels = 3
[data]
labels = "none"
include = ["*.png"]
[training]
steps = 12
batch_size = 4
warmup = 0
ema = 0.5
weights = "fp32"
sample_every = 0
"""

FILMS = """
modality = "video"
[media]
height = 16
width = 16
fps = 8
frames = 4
[codec]
use = "video-vae"
channels = [8, 16]
latent_channels = 3
[loss]
kl = 0.0
adversarial = 0.1
adversarial_from = 4
discriminator = 8
[data]
labels = "none"
[training]
start = "{start}"
freeze = true
steps = 12
batch_size = 2
warmup = 0
ema = 0.5
weights = "fp32"
sample_every = 12
samples = 2
"""


def run(text: str, data: Path, folder: Path) -> Path:
    recipe = folder.with_suffix(".toml")
    recipe.write_text(text, encoding="utf-8")
    wanted = read_recipe(recipe)
    modality = build("modality", wanted.modality)
    return train(wanted, modality.dataset(data, modality.spec(wanted.media), wanted.data), modality, folder)


def test_it_learns_time_from_a_codec_of_pictures_whose_latents_stay(tmp_path, motions, patterns):
    start = run(PICTURES, patterns, tmp_path / "pictures")
    folder = run(FILMS.format(start=start), motions, tmp_path / "films")
    before, after = (load_model_folder(one)[1]["codec"] for one in (start, folder))
    added = {name for name in after if name.startswith("temporal.")}
    assert after.keys() - before.keys() == added
    for name, tensor in before.items():  # the figures of the latents too
        assert torch.equal(tensor, after[name]), name
    assert any(bool(after[name].any()) for name in added if name.endswith("mix.weight"))
    assert (folder / "samples" / "step-00000012.png").stat().st_size > 0
