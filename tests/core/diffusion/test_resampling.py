"""Steps made again: what is held and what is new agree, as the closed form says they do."""

from __future__ import annotations

import pytest
import torch
from noiseform import build, sample
from noiseform.core.diffusion.held import Held
from noiseform.core.diffusion.process import complete
from noiseform.core.diffusion.resampling import Resampling

RHO, KNOWN, ROWS = 0.9, 1.5, 400


class Correlated:
    """The ideal denoiser of a Gaussian in the plane with unit variances and correlation RHO."""

    covariance = torch.tensor([[1.0, RHO], [RHO, 1.0]], dtype=torch.float64)

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x, level):
        self.calls += 1
        noisy = level.alpha**2 * self.covariance + level.sigma**2 * torch.eye(2, dtype=torch.float64)
        return x @ (level.alpha * self.covariance @ torch.linalg.inv(noisy)).T


def inpainted(process: str, times: int, sampler: str = "ddpm", steps: int = 25) -> torch.Tensor:
    """Return the second number of samples whose first one is known."""
    model = Correlated()
    x0, known = torch.full((ROWS, 2), KNOWN, dtype=torch.float64), torch.tensor([True, False])
    method = Resampling(build("sampler", sampler), times) if times > 1 else build("sampler", sampler)
    made = sample(
        Held(model, x0, known),
        process=process,
        sampler=method,
        grid="log-snr",
        steps=steps,
        shape=(2,),
        seeds=range(ROWS),
        dtype=torch.float64,
    )
    assert torch.allclose(made[:, 0], x0[:, 0])
    assert model.calls >= (steps - 1) * times
    return made[:, 1]


@pytest.mark.parametrize("process", ["vp-cosine", "flow", "ve"])
def test_more_chances_bring_what_is_new_to_its_conditional_mean(process):
    truth = RHO * KNOWN
    errors = [abs(inpainted(process, times).mean().item() - truth) for times in (1, 4, 16)]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.1
    assert errors[0] > 0.15


@pytest.mark.parametrize("sampler", ["euler", "ddpm", "dpmpp-2m", "heun"])
def test_once_is_the_sampler_itself(sampler):
    method = Resampling(build("sampler", sampler), 1)
    settings = {"process": "flow", "grid": "log-snr", "steps": 6, "shape": (2,), "seeds": range(8)}
    plain = sample(Correlated(), sampler=sampler, dtype=torch.float64, **settings)
    assert torch.equal(sample(Correlated(), sampler=method, dtype=torch.float64, **settings), plain)


@pytest.mark.parametrize("process", ["vp-linear", "flow", "ve", "edm"])
def test_going_back_keeps_the_marginals(process):
    """Without anything held, samples stay those of the data however often a step is made.

    The sampler is one of the ODE: what DDPM's own variance is off by would hide what the noise in between is off by.
    """
    settings = {"grid": "log-snr", "steps": 40, "shape": (2,), "seeds": range(3000), "dtype": torch.float64}
    made = sample(
        Correlated(),
        process=complete(build("process", process)),
        sampler=Resampling(build("sampler", "heun"), 3),
        **settings,
    )
    assert made.mean(0).abs().max() < 0.08
    torch.testing.assert_close(made.T.cov(), Correlated.covariance, atol=0.1, rtol=0)


def test_it_says_what_it_costs():
    method = Resampling(build("sampler", "heun"), 5)
    assert (method.nfe_per_step, method.stochastic, method.order) == (10, True, 2)
