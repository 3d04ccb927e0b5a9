"""Items taken back to noise: the same steps lead from there to the items again."""

from __future__ import annotations

import math

import pytest
import torch
from noiseform import GaussianMixture, build, sample
from noiseform.core.diffusion.inversion import between, inverted
from noiseform.core.diffusion.process import CompleteProcess, complete
from noiseform.core.diffusion.sampling import levels_from
from torch import Tensor

MIXTURE = GaussianMixture([[-1.0, 0.3], [0.8, -0.6], [0.2, 1.1]], [0.5, 0.6, 0.4], [0.3, 0.4, 0.3])


def items_of(process: CompleteProcess, count: int) -> Tensor:
    """Return items of the mixture, exact but for a fine ODE solver's error."""
    steps = {"sampler": "heun", "grid": "log-snr", "steps": 60}
    return sample(MIXTURE, process=process, **steps, shape=(2,), seeds=range(count), dtype=torch.float64)


def there_and_back(name: str, steps: int) -> float:
    """Return the error of items that were taken to noise and made again from it."""
    process = complete(build("process", name))
    items = items_of(process, 64)
    noise = inverted(MIXTURE, items, levels_from(process, build("grid", "log-snr"), steps))
    again = sample(MIXTURE, process=process, sampler="euler", grid="log-snr", steps=steps, x=noise, dtype=torch.float64)
    return (again - items).square().mean().sqrt().item()


@pytest.mark.parametrize("process", ["vp-linear", "vp-cosine", "discrete-vp", "flow", "ve", "edm"])
@pytest.mark.parametrize(("steps", "most"), [(20, 0.04), (40, 0.002)])
def test_the_way_back_is_the_way_there(process, steps, most):
    assert there_and_back(process, steps) < most


def test_steps_that_are_too_long_do_no_worse_than_a_plain_way_back(monkeypatch):
    kept = there_and_back("vp-cosine", 8)
    monkeypatch.setattr("noiseform.core.diffusion.inversion._ITERATIONS", 1)
    assert kept < 1.2 * there_and_back("vp-cosine", 8)


def test_the_fixed_point_is_what_does_it(monkeypatch):
    kept = there_and_back("flow", 40)
    monkeypatch.setattr("noiseform.core.diffusion.inversion._ITERATIONS", 1)
    assert there_and_back("flow", 40) > 20 * kept


def test_noise_is_of_the_process_at_its_start():
    process = complete(build("process", "vp-cosine"))
    noise = inverted(MIXTURE, items_of(process, 2000), levels_from(process, build("grid", "log-snr"), 60))
    assert noise.mean(0).abs().max() < 0.1
    torch.testing.assert_close(noise.T.cov(), torch.eye(2, dtype=torch.float64), atol=0.12, rtol=0)


def test_between_is_an_arc():
    one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    torch.testing.assert_close(between(one, other, 0.0), one)
    torch.testing.assert_close(between(one, other, 1.0), other)
    for share in (0.25, 0.5, 0.9):
        angle = share * math.pi / 2
        torch.testing.assert_close(between(one, other, share), torch.tensor([[math.cos(angle), math.sin(angle)]]))


def test_between_the_same_is_the_same():
    noise = torch.randn(2, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(between(noise, noise, 0.3), noise)
