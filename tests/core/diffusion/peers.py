"""Runs of ours and of a peer's, step by step from the same noise, and what they are compared by.

At each step each side hands its own x to the same network, a smooth function of x and of the number of the call, so a
deviation anywhere shows.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from noiseform import build
from noiseform.core.diffusion.process import complete, levels_at
from torch.testing import assert_close

TABLES = {
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
    "scaled-linear": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
}
PREDICTIONS = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}
SHAPE = (2, 3, 4)


def network(x, call):
    """Say something smooth of x, another thing at each call."""
    return torch.sin(1.3 * x / (1 + x.abs().mean()) + 0.7 * call) - 0.2 * torch.cos(x + call)


def ours(process, sampler, levels, x, *, use="eps", seed=0):
    """Return x after each step; noise comes from torch's generator, in the order in which the steps ask for it."""
    prediction, generator, calls, made = build("objective", use).prediction, torch.Generator().manual_seed(seed), 0, []

    def denoise(x, level):
        nonlocal calls
        calls += 1
        return prediction.x0(network(x, calls - 1), x, level)

    def noise(purpose="step"):
        return torch.randn(SHAPE, generator=generator, dtype=torch.float64)

    state = sampler.init(x)
    for here, there in pairwise(levels):
        x, state = sampler.step(x, here, there, denoise, noise, state)
        made.append(x)
    return made


def theirs(scheduler, x, **options):
    """Return x after each call of a scheduler."""
    made = []
    for call, timestep in enumerate(scheduler.timesteps):
        x = scheduler.step(network(x.double(), call), timestep, x, **options).prev_sample.double()
        made.append(x)
    return made


def agree(one, other, *, tolerance=1e-5):
    """Compare step by step, relative to how large x is at the step."""
    assert len(one) == len(other)
    for x, peer in zip(one, other, strict=True):
        assert_close(x, peer, rtol=0, atol=tolerance * max(1.0, peer.abs().max().item()))


def under_edm(sigmas):
    """Return EDM's process and its levels at given noise levels, of which the last is 0."""
    process = complete(build("process", "edm", sigma_max=200.0))
    return process, levels_at(process, sigmas.double() / 200)
