"""What is known of clean items is held by every sampler, and the rest heeds it."""

from __future__ import annotations

import pytest
import torch
from noiseform import GaussianMixture, sample
from noiseform.core.diffusion.held import Held

SAMPLERS = ("ddpm", "ddim", "euler", "heun", "dpmpp-2m")
PROCESSES = ("flow", "vp-cosine", "ve", "edm")


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_brings_the_known_part_to_its_place(sampler, process):
    known, x0 = torch.tensor([True, False]), torch.tensor([[0.7, 9.0]] * 3)
    data = GaussianMixture([[-1.0, -1.0], [1.0, 1.0]], [0.1, 0.1])
    denoise = Held(data, x0, known)
    made = sample(denoise, process=process, sampler=sampler, grid="log-snr", steps=30, shape=(2,), seeds=[0, 1, 2])
    torch.testing.assert_close(made[:, 0], x0[:, 0], atol=1e-4, rtol=0)
    assert bool((made[:, 1].abs() < 2).all())  # what was given where nothing is known has no say


def test_the_rest_heeds_what_is_known():
    """Of two clusters, the one near the known coordinate is chosen, though its first x_t may lie in the other."""
    data = GaussianMixture([[-1.0, -1.0], [1.0, 1.0]], [0.1, 0.1])
    seeds = range(32)
    for sign in (-1.0, 1.0):
        x0 = torch.full((32, 2), sign)
        denoise = Held(data, x0, torch.tensor([True, False]))
        made = sample(denoise, process="flow", sampler="ddpm", grid="log-snr", steps=60, shape=(2,), seeds=list(seeds))
        assert (made[:, 1].sign() == sign).double().mean() > 0.85


def test_variance_is_the_models():
    class Learnt:
        variance = "that of the model"

        def __call__(self, x, level):
            return x

    held = Held(Learnt(), torch.zeros(1, 2), torch.tensor([True, False]))
    assert held.variance == "that of the model"
    with pytest.raises(AttributeError):
        _ = Held(lambda x, level: x, torch.zeros(1, 2), torch.tensor([True, False])).variance
