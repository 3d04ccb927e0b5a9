"""diffusers' samplers, asked for as many calls as ours and with the exact denoiser of their own noise levels."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from functools import cache

from mixtures import Errors, Problem

__all__ = ["diffusers_errors", "diffusers_names"]

_TABLE = {"num_train_timesteps": 1000, "beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}
_SPACINGS = {
    "linspace": {"timestep_spacing": "linspace"},
    "trailing": {"timestep_spacing": "trailing"},
    "Karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},  # equal steps of log-SNR
}


@cache
def _all() -> dict[str, Callable[[], object]]:
    if importlib.util.find_spec("diffusers") is None:
        return {}
    import diffusers
    from diffusers.utils import logging

    logging.set_verbosity_error()
    makers: dict[str, Callable[[], object]] = {}

    def add(name: str, kind: str, **settings: object) -> None:
        makers[name] = lambda: getattr(diffusers, f"{kind}Scheduler")(**_TABLE, **settings)

    for spaced, spacing in _SPACINGS.items():
        for order in (2, 3):
            zero = {"solver_order": order, "final_sigmas_type": "zero", **spacing}
            add(f"DPM-Solver++ {order}M, {spaced}", "DPMSolverMultistep", **zero)
            add(f"UniPC {order}, {spaced}", "UniPCMultistep", **zero)
            add(f"DEIS {order}, {spaced}", "DEISMultistep", solver_order=order, **spacing)
    for spaced in ("leading", "trailing"):
        add(f"PNDM, {spaced}", "PNDM", skip_prk_steps=True, timestep_spacing=spaced)
        add(f"DDIM, {spaced}", "DDIM", clip_sample=False, timestep_spacing=spaced)
    return makers


def diffusers_names() -> tuple[str, ...]:
    """Return the samplers and spacings that are tried; none where diffusers is not installed."""
    return tuple(_all())


def diffusers_errors(problem: Problem, name: str, nfe: int) -> Errors:
    """Return the errors of one of them with exactly ``nfe`` calls of the denoiser."""
    scheduler = _all()[name]()
    scheduler.set_timesteps(nfe - name.startswith("PNDM"))  # its first step takes two calls
    assert len(scheduler.timesteps) == nfe, f"{name}: {len(scheduler.timesteps)} calls in place of {nfe}"
    x = problem.starts
    for index, t in enumerate(scheduler.timesteps):
        if hasattr(scheduler, "sigmas"):  # sigma / alpha, which between two entries of the table no t stands for
            nsr = float(scheduler.sigmas[index])
        else:
            bar = scheduler.alphas_cumprod[int(t)].double().item()
            nsr = math.sqrt((1 - bar) / bar)
        alpha = 1 / math.hypot(1, nsr)
        sigma = nsr * alpha
        eps = (x - alpha * problem.denoise(x, alpha, sigma)) / sigma
        x = scheduler.step(eps, t, x).prev_sample.double()
    return problem.errors(x)
