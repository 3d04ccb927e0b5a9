"""What a step costs beside the network: ours, and the peers' that are installed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import torch
from noiseform import build, sample
from noiseform.core.diffusion.denoiser import Denoiser
from noiseform.core.registration.registry import current
from timing import Row, ratio, rounds_of, row
from torch import Tensor, nn

__all__ = ["bare", "overhead"]

SHAPE = (3, 8, 8)
STEPS = 1000  # as DDPM was published; what a run costs once counts little
GOAL = 10.0  # microseconds a step


def overhead(rounds: int) -> Iterator[Row]:
    """Measure microseconds a step with a network that does nothing, batch 1."""
    things = {**_ours(), "hand-written loop": _by_hand, **_diffusers(), **_k_diffusion()}
    with torch.no_grad():
        taken = rounds_of(things, rounds=rounds)
    for name, seconds in taken.items():
        each = 1e6 / STEPS
        met = statistics.median(seconds) * each <= GOAL
        goal = {"goal": f"<= {GOAL:.0f}", "met": met} if name.startswith("noiseform") else {}
        yield row("loop, null network", name, seconds, "us/step", each=each, **goal)


def _ours() -> dict[str, Callable[[], object]]:
    process, grid, null = build("process", "vp-linear"), build("grid", "uniform"), torch.zeros(1, *SHAPE)

    def run(name: str) -> Callable[[], object]:
        sampler = build("sampler", name)
        return lambda: sample(
            lambda x, level: null, process=process, sampler=sampler, grid=grid, steps=STEPS, shape=SHAPE, seeds=[0]
        )

    names = [part.name for part in current().plugins.parts("sampler") if part.plugin.candidate.builtin]
    return {f"noiseform {name}": run(name) for name in names}


def _by_hand() -> Tensor:
    null, x = torch.zeros(1, *SHAPE), torch.randn(1, *SHAPE)
    for _ in range(STEPS):
        x = torch.add(x * 0.9, null, alpha=0.1)
    return x


def _diffusers() -> dict[str, Callable[[], object]]:
    try:
        import diffusers
    except ImportError:
        return {}
    null = torch.zeros(1, *SHAPE)

    def run(name: str) -> Callable[[], object]:
        scheduler = getattr(diffusers, f"{name}Scheduler")()

        def loop() -> Tensor:
            x = torch.randn(1, *SHAPE)
            scheduler.set_timesteps(STEPS)
            for t in scheduler.timesteps:
                scheduler.scale_model_input(x, t)  # what goes into the network; some schedulers keep state in it
                x = scheduler.step(null, t, x).prev_sample
            return x

        return loop

    return {f"diffusers {name}": run(name) for name in ("DDPM", "DDIM", "DPMSolverMultistep", "EulerDiscrete")}


def _k_diffusion() -> dict[str, Callable[[], object]]:
    from peers import k_diffusion_sampling

    module, null = k_diffusion_sampling(), torch.zeros(1, *SHAPE)
    if module is None:
        return {}
    sigmas = module.get_sigmas_karras(STEPS, 0.002, 80.0)

    def run(name: str) -> Callable[[], object]:
        sampler = getattr(module, name)
        return lambda: sampler(lambda x, sigma: null, 80 * torch.randn(1, *SHAPE), sigmas, disable=True)

    names = {"Euler": "sample_euler", "Heun": "sample_heun", "2M": "sample_dpmpp_2m"}
    return {f"k-diffusion {short}": run(name) for short, name in names.items()}


class _Stack(nn.Module):
    """Some milliseconds of convolutions, on more channels than the item has."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        inner = (nn.Conv2d(32, 32, 3, padding=1) for _ in range(layers))
        self.layers = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), *inner, nn.Conv2d(32, 3, 3, padding=1))

    def forward(self, x: Tensor, time: Tensor, cond: object) -> Tensor:
        return self.layers(x)


def bare(rounds: int, *, steps: int = 20) -> Iterator[Row]:
    """Measure whole runs, and a loop of two operations by hand, against as many calls of a network of 3 ms or more."""
    shape, goal = (3, 32, 32), 1.01
    x, time = torch.randn(1, *shape), torch.zeros(1)

    def called(network: nn.Module) -> Callable[[], object]:
        return lambda: [network(x, time, {}) for _ in range(steps)]

    layers, seconds = 16, 0.0
    with torch.no_grad():
        while seconds < 3e-3:  # by calls in a row, as in a run: one by itself finds nothing in the caches
            layers = max(layers + 1, round(layers * 3e-3 / seconds)) if seconds else layers
            network = _Stack(layers).eval()
            seconds = min(rounds_of({"calls": called(network)}, rounds=7)["calls"]) / steps
    denoise = Denoiser(network, build("objective", "v").prediction)
    process, grid = build("process", "vp-cosine"), build("grid", "uniform")

    def by_hand() -> None:
        y = x
        for _ in range(steps):
            y = torch.add(y * 0.9, network(y, time, {}), alpha=0.1)

    def looped(name: str) -> Callable[[], object]:
        sampler = build("sampler", name)
        return lambda: sample(denoise, process=process, sampler=sampler, grid=grid, steps=steps, shape=shape, seeds=[0])

    ours = {f"noiseform {name}": looped(name) for name in ("ddim", "dpmpp-2m", "default")}
    with torch.no_grad():
        taken = rounds_of({"bare network": called(network), "by hand": by_hand, **ours}, rounds=rounds)
    group, unit, each = "loop, 3 ms network", "ms/step", 1e3 / steps
    yield row(group, "bare network", taken["bare network"], unit, each=each)
    for name in ("by hand", *ours):
        share = ratio(taken, name, "bare network")
        told = {"ratio": share, "reference": "bare network", "goal": f"<= {goal}", "met": share <= goal}
        yield row(group, name, taken[name], unit, each=each, **told)
