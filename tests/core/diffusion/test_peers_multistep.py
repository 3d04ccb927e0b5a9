"""Samplers of higher order against diffusers' schedulers and k-diffusion's samplers, step by step.

All in float64: diffusers' sigmas, which are float32, are widened before the run, and ours are made of them.
"""

from __future__ import annotations

import math

import pytest
import torch
from noiseform import build
from noiseform.core.diffusion.level import Level
from noiseform.core.diffusion.process import complete, levels_at

from .peers import PREDICTIONS, TABLES, agree, network, ours, theirs

# The peers' own: numpy 2 warns of how diffusers turns tensors into arrays.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning"),
]

EXACT = 1e-9
RUNS = [
    *((kind, "epsilon") for kind in ("linspace", "leading", "trailing", "karras", "exponential")),
    *((kind, "v_prediction") for kind in ("trailing", "karras")),
    ("flow", "flow_prediction"),
]
"""Spacings of diffusers' table of times, families of sigmas that stand apart from it, a flow's; what is predicted."""


def scheduled(scheduler, kind, steps=12, **options):
    """Return one of diffusers' schedulers, set to some steps and widened, and our process, prediction and levels.

    The first sigma may lie a rounding beyond the end of our table, so levels are made of the sigmas alone.
    """
    flow = kind == "flow"
    if flow:
        options |= {"use_flow_sigmas": True}
    else:
        options |= TABLES["scaled-linear"]
        options |= {f"use_{kind}_sigmas": True} if kind in ("karras", "exponential") else {"timestep_spacing": kind}
    scheduler = scheduler(**options)
    scheduler.set_timesteps(steps)
    scheduler.sigmas = scheduler.sigmas.double()
    process = complete(build("process", "flow" if flow else "vp-cosine"))
    slopes = (-1.0, 1.0) if flow else (0.0, 0.0)  # which predictions of eps, v and x0 do not ask for
    (end,) = levels_at(process, torch.zeros(1))
    levels = []
    for sigma in scheduler.sigmas.tolist():
        alpha, sigma = (1 - sigma, sigma) if flow else (1 / math.hypot(1, sigma), sigma / math.hypot(1, sigma))
        log_snr = 2 * math.log(alpha / sigma) if sigma else math.inf
        levels.append(Level(0.5, alpha, sigma, *slopes, log_snr, moments=end.moments))
    use = "velocity" if flow else PREDICTIONS[options.get("prediction_type", "epsilon")]
    return scheduler, process, use, levels


class Lowered:
    """UniPC as diffusers runs it by default: no more points than there are steps left."""

    def __init__(self, steps, **settings):
        self._left, self._settings = steps, settings

    def init(self, x):
        return build("sampler", "unipc", **self._settings).init(x)

    def step(self, x, here, there, denoise, noise, state):
        settings = {**self._settings, "points": min(self._settings["points"], self._left)}
        self._left -= 1
        return build("sampler", "unipc", **settings).step(x, here, there, denoise, noise, state)


@pytest.mark.parametrize(("kind", "prediction"), RUNS)
def test_dpmpp_3m_as_released(diffusers, start, kind, prediction):
    options = {"solver_order": 3, "solver_type": "heun", "lower_order_final": False, "final_sigmas_type": "zero"}
    scheduler, process, use, levels = scheduled(
        diffusers.DPMSolverMultistepScheduler, kind, prediction_type=prediction, **options
    )
    made = ours(process, build("sampler", "dpmpp-3m", variant="released"), levels, start, use=use)
    agree(made, theirs(scheduler, start), tolerance=1e-6)  # which turns x to float32


def test_dpmpp_3m_leaves_the_released_one_after_its_first_step(start):
    """What differs: the first step is made good in the second, the second difference counts in full from the third."""
    process = complete(build("process", "vp-linear"))
    levels = levels_at(process, build("grid", "log-snr").times(process, 12))
    exact, released = (
        ours(process, build("sampler", "dpmpp-3m", variant=variant), levels, start) for variant in ("exact", "released")
    )
    agree(exact[:1], released[:1], tolerance=0)
    assert all((one - other).abs().max() > 1e-6 for one, other in zip(exact[1:], released[1:], strict=True))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_dpmpp_2s(diffusers, start, prediction):
    """diffusers' middle is the next time of its grid: halfway in lambda where nsr falls by equal factors."""
    scheduler, process, use, levels = scheduled(
        diffusers.DPMSolverSinglestepScheduler,
        "exponential",
        steps=13,
        solver_order=2,
        lower_order_final=True,
        final_sigmas_type="zero",
        prediction_type=prediction,
    )
    made = ours(process, build("sampler", "dpmpp-2s"), [*levels[:-1:2], levels[-1]], start, use=use)
    peer = theirs(scheduler, start)
    agree(made, [*peer[1:-1:2], peer[-1]], tolerance=1e-6)  # equal factors in float32 alone


@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("points", [1, 2, 3])
@pytest.mark.parametrize("kind", ["linspace", "leading", "trailing"])
def test_unipc(diffusers, start, kind, points, variant):
    """To the first entry of the table, all steps of full order."""
    scheduler, process, use, levels = scheduled(
        diffusers.UniPCMultistepScheduler,
        kind,
        solver_order=points,
        solver_type=variant,
        final_sigmas_type="sigma_min",
        lower_order_final=False,
    )
    made = ours(process, build("sampler", "unipc", points=points, variant=variant), levels, start, use=use)
    agree(made, theirs(scheduler, start), tolerance=EXACT)


@pytest.mark.parametrize("points", [2, 3])
@pytest.mark.parametrize(("kind", "prediction"), RUNS)
def test_unipc_to_the_data(diffusers, start, kind, points, prediction):
    """As diffusers has it by default, with lower orders at the end. (Its bh1 gives NaN there.)"""
    scheduler, process, use, levels = scheduled(
        diffusers.UniPCMultistepScheduler,
        kind,
        solver_order=points,
        final_sigmas_type="zero",
        prediction_type=prediction,
    )
    made = ours(process, Lowered(12, points=points), levels, start, use=use)
    agree(made, theirs(scheduler, start), tolerance=EXACT)


@pytest.mark.parametrize("points", [1, 2, 3])
@pytest.mark.parametrize(("kind", "prediction"), RUNS)
def test_deis(diffusers, start, kind, points, prediction):
    scheduler, process, use, levels = scheduled(
        diffusers.DEISMultistepScheduler,
        kind,
        solver_order=points,
        lower_order_final=False,
        prediction_type=prediction,
    )
    made = ours(process, build("sampler", "deis", points=points), levels[:-1], start, use=use)
    peer = theirs(scheduler, start)[:-1]  # the last step ends at the table's first entry, or where it began
    agree(made, peer, tolerance=EXACT)


@pytest.mark.parametrize("table", [name for name in TABLES if name != "sigmoid"])  # which PNDM does not know
@pytest.mark.parametrize("steps", [2, 3, 4, 20, 50])
def test_plms(diffusers, start, table, steps):
    """PNDM without its Runge-Kutta steps: the second time is shown twice, of which the first is no step of ours."""
    scheduler = diffusers.PNDMScheduler(
        **TABLES[table], skip_prk_steps=True, timestep_spacing="leading", set_alpha_to_one=True
    )
    scheduler.set_timesteps(steps)
    process = build("process", "discrete-vp", schedule=table)
    nodes = (torch.arange(1000, dtype=torch.float64) + 1) / 1000
    scheduler.alphas_cumprod = process.alpha(nodes) ** 2  # its own are a product in float32
    scheduler.final_alpha_cumprod = torch.ones((), dtype=torch.float64)
    levels = levels_at(process, build("grid", "leading").times(process, steps))
    agree(ours(process, build("sampler", "ipndm", start="heun"), levels, start), theirs(scheduler, start)[1:])


def test_plms_of_stable_diffusion(diffusers, start):
    """Its times are one later, and the last step ends at the table's first entry."""
    scheduler = diffusers.PNDMScheduler(
        **TABLES["scaled-linear"], skip_prk_steps=True, timestep_spacing="leading", steps_offset=1
    )
    scheduler.set_timesteps(20)
    process = build("process", "discrete-vp", schedule="scaled-linear")
    levels = levels_at(process, build("grid", "leading", offset=1, to_zero=False).times(process, 20))
    agree(ours(process, build("sampler", "ipndm", start="heun"), levels, start), theirs(scheduler, start)[1:])


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 20])
def test_ipndm(diffusers, start, steps):
    """Its network tells v, at noise sin(pi t / 2)**2. Not from t = 1: there it takes 0 for x0, whatever v is."""
    sigmas = torch.sin(torch.linspace(0.97, 0, steps + 1, dtype=torch.float64) * math.pi / 2) ** 2
    scheduler = diffusers.IPNDMScheduler(trained_betas=sigmas.tolist())
    scheduler.set_timesteps(steps)
    scheduler.betas, scheduler.alphas = sigmas, (1 - sigmas**2).sqrt()
    levels = [
        Level(0.0, alpha, sigma, 0.0, 0.0, 2 * math.log(alpha / sigma) if sigma else math.inf)
        for alpha, sigma in zip(scheduler.alphas.tolist(), sigmas.tolist(), strict=True)
    ]
    agree(ours(None, build("sampler", "ipndm"), levels, start, use="v"), theirs(scheduler, start), tolerance=EXACT)


@pytest.mark.parametrize(
    ("name", "settings", "peer"),
    [("dpmpp-2s", {}, "dpmpp_2s_ancestral"), ("dpmpp-3m", {"variant": "released"}, "dpmpp_3m_sde")],
)
@pytest.mark.parametrize("steps", [2, 5, 18, 40])
def test_k_diffusion_without_noise(k_diffusion, start, name, settings, peer, steps):
    process = complete(build("process", "edm"))
    levels = levels_at(process, build("grid", "karras").times(process, steps))
    sigmas, calls, seen = torch.tensor([level.sigma for level in levels], dtype=torch.float64), 0, []

    def denoise(x, sigma):
        nonlocal calls
        calls += 1
        return x - sigma.reshape(-1, 1, 1) * network(x, calls - 1)

    last = getattr(k_diffusion, f"sample_{peer}")(
        denoise,
        80 * start,
        sigmas,
        eta=0.0,
        noise_sampler=lambda here, there: torch.zeros_like(start),
        disable=True,
        callback=lambda step: seen.append(step["x"]),
    )
    made = ours(process, build("sampler", name, **settings), levels, 80 * start)
    agree(made, [*seen[1:], last], tolerance=1e-10)
