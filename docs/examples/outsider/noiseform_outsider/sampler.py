"""A sampler: how one step is made. It never learns which process, prediction, guidance or medium it serves."""

from __future__ import annotations


class AB2:
    """Adams and Bashforth's second-order method for ``d(x / alpha) / d(nsr) = eps``, nsr = sigma / alpha.

    Order 2, 1 NFE per step, deterministic; its state is the last step's eps and width.
    """

    order = 2
    stochastic = False
    nfe_per_step = 1

    def init(self, x):
        return None

    def step(self, x, here, next, denoise, noise, state):
        x0 = denoise(x, here)
        eps = (x - here.alpha * x0) / here.sigma
        there = next.alpha * x0 + next.sigma * eps  # Euler's step
        if here.alpha == 0:  # pure noise: nsr is infinite, so this step says nothing about how eps changes
            return there, None
        width = next.sigma / next.alpha - here.sigma / here.alpha
        if state is not None:
            eps_before, width_before = state
            there = there + next.alpha * width**2 / (2 * width_before) * (eps - eps_before)
        return there, (eps, width)
