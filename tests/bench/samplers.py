"""Samplers side by side with diffusers' at equal NFE: ``python tests/bench/samplers.py [--seed N]... [--quick]``.

The data are mixtures of Gaussians, whose ideal denoiser is known, under DDPM's linear table of 1,000. Told is the root
mean square error of the final samples against a fine Runge-Kutta solution of the probability-flow ODE from the same
x_1, and in brackets the median error over starts, and how many of them ended in another mode. RMS is decided by those;
where they are a few it is a matter of luck, and --starts takes more of them.

Ours are ``default`` on the grid ``default``; the best of all built-in samplers that add no noise, each on the grids
angle, log-snr, karras and uniform (where NFE is even, those of two calls a step make one less); and, but for --quick,
``spline`` on times computed for the mixture by starts of their own.
Theirs are DPM-Solver++, UniPC and DEIS of orders 2 and 3 on four spacings each, PNDM and DDIM on two, told the exact
noise level where their time steps are rounded; the best of them is picked for each mixture and each NFE.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Iterable, Sequence

import torch
from diffusers_samplers import diffusers_errors, diffusers_names
from mixtures import GRIDS, PROCESS, Errors, Problem, deterministic, ours
from noiseform import build, optimal_grid

NFE = (5, 10, 20, 50)
DIMENSIONS = (2, 64)
DEFAULT_GOAL = 1 / 2
BEST_GOALS = {5: 1 / 2, 10: 1 / 3, 20: 1 / 5, 50: 1 / 10}
OPTIMAL_STARTS = 300
SMOOTH = "angle, stretch 1.1"

Named = tuple[Errors, str]


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table for each mixture and the geometric means over them."""
    parser = argparse.ArgumentParser(prog="python tests/bench/samplers.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, action="append", help="of a mixture of each dimension; may be repeated")
    parser.add_argument("--mixtures", type=int, default=3, help="how many, where no seed is given: seeds by the clock")
    parser.add_argument("--quick", action="store_true", help="without computed times: half as long")
    parser.add_argument("--starts", type=int, default=512, help="from which samplers set out, of each mixture")
    parser.add_argument("--all", action="store_true", help="print every sampler of ours on every grid")
    given = parser.parse_args(arguments)
    if not diffusers_names():
        sys.exit("diffusers is not installed: there is nothing to compare with")
    torch.set_num_threads(1)
    now = time.time_ns() // 10**6 % 10**9
    seeds = given.seed or [now + number for number in range(given.mixtures)]
    print(f"seeds {' '.join(map(str, seeds))}{'' if given.seed else ', by the clock'}")
    ratios: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for dimension in DIMENSIONS:
        for seed in seeds:
            problem = Problem(dimension, seed, starts=given.starts)
            print(f"\n{dimension}-D, seed {seed}")
            for nfe in NFE:
                shares = compared(problem, nfe, optimal=not given.quick, everything=given.all)
                ratios.setdefault((dimension, nfe), []).append(shares)
    print(f"\ngeometric mean of the ratios over {len(seeds)} mixtures, and the largest")
    for (dimension, nfe), shares in ratios.items():
        default, best = zip(*shares, strict=True)
        told = [
            f"{name} {statistics.geometric_mean(those):.3f}, at most {max(those):.3f} {met(those, goal)}"
            for name, those, goal in (("default", default, DEFAULT_GOAL), ("best", best, BEST_GOALS[nfe]))
        ]
        print(f"{dimension:3}-D, NFE {nfe:2}: {'; '.join(told)}", flush=True)


def compared(problem: Problem, nfe: int, *, optimal: bool, everything: bool) -> tuple[float, float]:
    """Print a line for the best peer, our default and our best; return the RMS of the latter two in parts of it."""
    peer = smallest((diffusers_errors(problem, name, nfe), name) for name in diffusers_names())
    usual = build("sampler", "default"), build("grid", "default")
    default = ours(problem, *usual, nfe), "default: {} on {}".format(*(type(part).__name__ for part in usual))
    grids = {name: build("grid", name) for name in GRIDS} | {SMOOTH: build("grid", "angle", stretch=1.1)}
    septic = {"spline, septic": build("sampler", "spline", integrations=3)}
    tried = [
        (ours(problem, sampler, grid, nfe), f"{name} on {on}")
        for name, sampler in (deterministic() | septic).items()
        for on, grid in grids.items()
    ]
    if optimal:
        tried.append((computed(problem, nfe), "spline on computed times"))
    best = smallest([default, *tried])
    for errors, name in sorted(tried, key=lambda one: one[0].rms) if everything else ():
        told(nfe, errors, peer, f"  {name}")
    for errors, name in (peer, default, best):
        told(nfe, errors, peer, name)
    return default[0].rms / peer[0].rms, best[0].rms / peer[0].rms


def told(nfe: int, errors: Errors, peer: Named, name: str) -> None:
    """Print a line: RMS, median, starts that ended in another mode, and RMS in parts of the best peer's."""
    figures = f"{errors.rms:9.2e} ({errors.median:8.1e}, {errors.elsewhere:2})"
    print(f"  NFE {nfe:2}  {figures}  {errors.rms / peer[0].rms:7.3f} x  {name}", flush=True)


def computed(problem: Problem, nfe: int) -> Errors:
    """Return the errors of spline on times that runs from other starts than the problem's have chosen."""
    spline = build("sampler", "spline")
    grid = optimal_grid(
        problem.mixture,
        process=PROCESS,
        sampler=spline,
        steps=nfe,
        shape=problem.mixture.shape,
        seeds=range(OPTIMAL_STARTS),
        dtype=torch.float64,
        power=2.0,
    )
    return ours(problem, spline, grid, nfe)


def smallest(errors: Iterable[Named]) -> Named:
    """Return the one with the smallest RMS; a run that was not finite is none."""
    return min(errors, key=lambda one: one[0].rms if math.isfinite(one[0].rms) else math.inf)


def met(ratios: Sequence[float], goal: float) -> str:
    """Say whether every ratio is within the goal."""
    count = sum(ratio <= goal for ratio in ratios)
    return f"(goal {goal:.2g}: {'met' if count == len(ratios) else f'not met, on {count} of {len(ratios)} met'})"


if __name__ == "__main__":
    main(sys.argv[1:])
