"""The likelihood metric against the closed-form mixture: its figures and the space that they are of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
import torch
from noiseform import GaussianMixture, build
from noiseform.core.diffusion.noise import Key
from noiseform.core.diffusion.process import complete
from noiseform.core.media import MediaSpec
from noiseform.core.pipeline.evaluation import Real, Shown


@dataclass
class Model:
    """A model whose network is ideal for a mixture of latents."""

    data: GaussianMixture
    encoded: object = staticmethod(lambda media: media)
    spec: MediaSpec = field(default_factory=lambda: MediaSpec((1, 6), (None,), 0.0, 1.0))
    batch_size: int = 5
    process: object = field(default_factory=lambda: complete(build("process", "vp-cosine")))
    grid: object = field(default_factory=lambda: build("grid", "log-snr"))
    steps: int = 60

    def batches(self, real):
        for start in range(0, len(real), self.batch_size):
            some = real[start : start + self.batch_size]
            keys = tuple(Key(0, item=start + place) for place in range(len(some)))
            yield Shown(self.encoded(torch.stack([one.tensor for one in some])), self.data, keys)


def real_of(tensors):
    return [Real(None, one, {}, str(number)) for number, one in enumerate(tensors)]


def test_continuous_media_have_the_density_of_what_lies_from_minus_one_to_one():
    data = GaussianMixture(torch.zeros(1, 1, 6), [0.9])  # latents: 3 times the media brought to -1 to 1
    latents = data.sample(12, seed=3)
    real = real_of(latents / 6 + 0.5)
    model = Model(data, encoded=lambda media: 6 * (media - 0.5))
    figures = build("metric", "likelihood", trace="exact", rtol=1e-5, atol=1e-5).compare(model, real)
    expected = -(data.log_prob(latents) + 6 * math.log(3)) / (6 * math.log(2))
    assert set(figures) == {"bits_per_dim_density", "standard_error", "nfe"}
    assert figures["bits_per_dim_density"] == pytest.approx(expected.mean().item(), abs=2e-3)
    assert figures["standard_error"] == pytest.approx(expected.std().item() / math.sqrt(12), rel=0.01)
    assert 60 < figures["nfe"] < 400


def test_latents_of_another_shape_or_bent_are_told_as_such():
    data = GaussianMixture(torch.zeros(1, 1, 6), [0.9])
    for encoded in (lambda media: media.repeat(1, 1, 1) ** 2, lambda media: media.flip(-1)):
        real = real_of(torch.linspace(0, 1, 12).reshape(2, 1, 6) ** 1.1)
        figures = build("metric", "likelihood").compare(Model(data, encoded=encoded), real)
        assert "bits_per_dim_latent" in figures


@pytest.mark.parametrize("method", ["ode", "bound", "chain"])
def test_media_of_256_values_have_bits_of_a_value(method):
    """Pixels that a Gaussian was rounded to. The model does not know of the rounding, which its bounds pay for."""
    data = GaussianMixture(torch.zeros(1, 1, 6), [0.5])
    pixels = (data.sample(20, seed=1).clamp(-1, 1) * 127.5 + 127.5).round() / 255
    real = real_of(pixels)
    model = Model(data, encoded=lambda media: 2 * media - 1)
    start = 0.01 if method == "bound" else 1e-3
    figures = build("metric", "likelihood", method=method, start=start).compare(model, real)
    entropy = math.log2(0.5 * math.sqrt(2 * math.pi * math.e) * 127.5)
    assert figures["bits_per_dim"] > entropy - 0.3
    assert figures["bits_per_dim"] < entropy + {"ode": 0.3, "bound": 1.5, "chain": 2.0}[method]


def test_one_item_has_no_spread():
    data = GaussianMixture(torch.zeros(1, 1, 6), [0.5])
    figures = build("metric", "likelihood").compare(Model(data), real_of(torch.full((1, 1, 6), 0.123)))
    assert "standard_error" not in figures
