"""Our stochastic samplers against diffusers' schedulers and k-diffusion's samplers, given the same noise, step by step.

Both draw from a generator of torch's with the same seed, in the same order.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from noiseform import build
from noiseform.core.diffusion.process import complete, levels_at

from .peers import PREDICTIONS, SHAPE, TABLES, agree, network, ours, theirs, under_edm

# The peers' own: numpy 2 warns of how diffusers turns tensors into arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def generator():
    return torch.Generator().manual_seed(0)


def drawn(steps, shape=SHAPE):
    """Return the noise of so many steps, one draw each."""
    numbers = generator()
    return [torch.randn(shape, generator=numbers, dtype=torch.float64) for _ in range(steps)]


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
def test_euler_ancestral(diffusers, start, spacing):
    """On the table whose sigma ends at 15: its x is float32, and the network tells of each bit of it."""
    scheduler = diffusers.EulerAncestralDiscreteScheduler(**TABLES["scaled-linear"], timestep_spacing=spacing)
    scheduler.set_timesteps(20)
    scheduler.is_scale_input_called = True
    scheduler.sigmas = (
        scheduler.sigmas.double()
    )  # in float32 the root of a difference loses more than the steps may differ
    process, levels = under_edm(scheduler.sigmas)
    x = start * scheduler.sigmas[0].item()
    agree(ours(process, build("sampler", "euler-ancestral"), levels, x), theirs(scheduler, x, generator=generator()))


@pytest.mark.parametrize("solver", ["midpoint", "heun"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("karras", [False, True])
def test_dpmpp_2m_sde_on_a_table(diffusers, start, karras, prediction, solver):
    scheduler = diffusers.DPMSolverMultistepScheduler(
        **TABLES["scaled-linear"],
        algorithm_type="sde-dpmsolver++",
        solver_type=solver,
        prediction_type=prediction,
        use_karras_sigmas=karras,
        final_sigmas_type="zero",
    )
    scheduler.set_timesteps(20)
    process = build("process", "discrete-vp", schedule="scaled-linear")
    levels = levels_at(process, process.t_of_log_snr(-2 * scheduler.sigmas.double().log()))
    noise = drawn(20)
    peer, x = [], start
    for call, timestep in enumerate(scheduler.timesteps):  # its own noise would be float32, other numbers
        x = scheduler.step(network(x.double(), call), timestep, x, variance_noise=noise[call]).prev_sample.double()
        peer.append(x)
    sampler = build("sampler", "dpmpp-2m-sde", solver=solver)
    agree(ours(process, sampler, levels, start, use=PREDICTIONS[prediction]), peer)


def test_the_first_order_of_dpmpp_2m_sde_is_ddpm(diffusers, start):
    """The solver's first order is the ancestral step; diffusers' is both."""
    scheduler = diffusers.DPMSolverMultistepScheduler(
        **TABLES["linear"], algorithm_type="sde-dpmsolver++", solver_order=1, final_sigmas_type="zero"
    )
    scheduler.set_timesteps(20)
    process = build("process", "discrete-vp")
    levels = levels_at(process, process.t_of_log_snr(-2 * scheduler.sigmas.double().log()))
    noise = drawn(20)
    peer, x, made, one = [], start, ours(process, build("sampler", "ddpm"), levels, start), None
    sampler = build("sampler", "dpmpp-2m-sde")
    for call, timestep in enumerate(scheduler.timesteps):
        before = x
        x = scheduler.step(network(x.double(), call), timestep, x, variance_noise=noise[call]).prev_sample.double()
        peer.append(x)
        here, next = levels[call], levels[call + 1]
        x0 = build("objective", "eps").prediction.x0(network(before, call), before, here)
        one, _ = sampler.step(before, here, next, lambda x, level, x0=x0: x0, lambda call=call: noise[call], None)
        agree([one], [x])
    agree(made, peer)


def too_early(sampler, levels, x, *, use="eps"):
    """Return x after each step with the network called before the noise is raised.

    So diffusers' schedulers have it, which get its output ready-made; algorithm 2 calls it at the raised level.
    """
    prediction, numbers, made = build("objective", use).prediction, generator(), []
    for call, (here, there) in enumerate(pairwise(levels)):
        output = network(x, call)
        x, _ = sampler.step(
            x,
            here,
            there,
            lambda x, level, output=output: prediction.x0(output, x, level),
            lambda: torch.randn(SHAPE, generator=numbers, dtype=torch.float64),
            None,
        )
        made.append(x)
    return made


@pytest.mark.parametrize("s_noise", [1.0, 1.007])
@pytest.mark.parametrize(("s_tmin", "s_tmax"), [(0.0, math.inf), (0.05, 5.0)])
@pytest.mark.parametrize("s_churn", [4.0, 40.0])
def test_edm_stochastic_with_eulers_step(diffusers, start, s_churn, s_tmin, s_tmax, s_noise):
    scheduler = diffusers.EulerDiscreteScheduler(**TABLES["scaled-linear"], use_karras_sigmas=True)
    scheduler.set_timesteps(20)
    scheduler.is_scale_input_called = True
    _, levels = under_edm(scheduler.sigmas)
    x = start * scheduler.sigmas[0].item()
    churn = {"s_churn": s_churn, "s_tmin": s_tmin, "s_tmax": s_tmax, "s_noise": s_noise}
    peer = theirs(scheduler, x, generator=generator(), **churn)
    settings = {"nsr_min": s_tmin, "nsr_max": min(s_tmax, 1e6), "noise": s_noise, "solver": "euler"}
    agree(too_early(build("sampler", "edm-stochastic", churn=s_churn / 20, **settings), levels, x), peer)


@pytest.mark.parametrize("s_churn", [4.0, 40.0])
def test_edm_stochastic_as_edm_has_it(diffusers, start, s_churn):
    """EDMEulerScheduler takes x0 from the network's output as the prediction ``edm`` does, at the raised level."""
    scheduler = diffusers.EDMEulerScheduler()
    scheduler.set_timesteps(18)
    scheduler.is_scale_input_called = True
    _, levels = under_edm(scheduler.sigmas)
    x = start * scheduler.sigmas[0].item()
    peer = theirs(scheduler, x, generator=generator(), s_churn=s_churn)
    sampler = build("sampler", "edm-stochastic", churn=s_churn / 18, nsr_min=0.0, nsr_max=1e6, solver="euler")
    agree(too_early(sampler, levels, x, use="edm"), peer)


@pytest.mark.parametrize("steps", [1, 4, 8])
@pytest.mark.parametrize("table", ["linear", "scaled-linear"])
def test_lcm(diffusers, start, table, steps):
    scheduler = diffusers.LCMScheduler(**TABLES[table], clip_sample=False)
    scheduler.set_timesteps(steps)
    peer = theirs(scheduler, start, generator=generator())
    process = build("process", "discrete-vp", schedule=table)
    times = torch.cat([(scheduler.timesteps.double() + 1) / 1000, torch.zeros(1, dtype=torch.float64)])
    # What it takes of x itself, 0.25 / ((10 timestep)**2 + 0.25), is below 1e-6 at each of these.
    agree(ours(process, build("sampler", "lcm"), levels_at(process, times), start), peer)


@pytest.mark.parametrize("corrections", [1, 2])
@pytest.mark.parametrize("steps", [2, 12])
def test_predictor_corrector(diffusers, start, steps, corrections):
    """Its corrector takes means over the batch, so the batch is one. It corrects before each step, which is after the
    step before; what its pipeline does before the first one is left out.
    """
    scheduler = diffusers.ScoreSdeVeScheduler(snr=0.2, sigma_min=0.05, sigma_max=50.0)
    scheduler.set_timesteps(steps)
    scheduler.set_sigmas(steps)
    scheduler.discrete_sigmas = scheduler.discrete_sigmas.double()
    sigmas, x0 = scheduler.discrete_sigmas.flip(0), 50 * start[:1]
    calls, numbers, x, peer = 0, generator(), x0, []

    def score(x, sigma):
        nonlocal calls
        calls += 1
        return -network(x, calls - 1) / sigma

    for index, sigma in enumerate(sigmas):
        for _ in range(corrections if index else 0):
            x = scheduler.step_correct(score(x, sigma), x, generator=numbers).prev_sample
        peer.append(x)
        t = (steps - 1 - index + 0.5) / (steps - 1)  # it takes the whole part of t * (steps - 1) as the index
        made = scheduler.step_pred(score(x, sigma), t, x, generator=numbers)
        x = made.prev_sample if index < steps - 1 else made.prev_sample_mean
    peer.append(x)

    sampler = build("sampler", "predictor-corrector", predictor="reverse-diffusion", corrections=corrections, snr=0.2)
    _, levels = under_edm(torch.cat([sigmas, torch.zeros(1, dtype=torch.float64)]))
    calls, numbers, x, made = 0, generator(), x0, []
    for here, there in pairwise(levels):
        x, _ = sampler.step(
            x,
            here,
            there,
            lambda x, level: x + level.sigma**2 * score(x, level.sigma),
            lambda purpose="step": torch.randn(x0.shape, generator=numbers, dtype=torch.float64),
            None,
        )
        made.append(x)
    agree(made, peer[1:])


KARRAS = [(steps, eta) for steps in (2, 5, 18, 40) for eta in (0.0, 0.4, 1.0, 1.7)]


@pytest.fixture
def karras(start, monkeypatch):
    """Return a function of a number of steps: EDM's process and levels, k-diffusion's model for them, and x."""
    generators = generator()
    monkeypatch.setattr(torch, "randn_like", lambda x: torch.randn(x.shape, generator=generators, dtype=torch.float64))

    def at(steps):
        process = complete(build("process", "edm", sigma_max=200.0))
        sigmas = build("grid", "karras").times(complete(build("process", "edm")), steps) * 80
        calls = 0

        def model(x, sigma):
            nonlocal calls
            calls += 1
            return x - sigma.reshape(-1, 1, 1) * network(x, calls - 1)

        return process, levels_at(process, sigmas / 200), sigmas, model, 80 * start

    return at


def k_run(sampler, model, x, sigmas, **options):
    """Return x after each step of one of k-diffusion's samplers without churn."""
    seen = []
    last = sampler(model, x, sigmas, disable=True, callback=lambda step: seen.append(step["x"]), **options)
    return [*seen[1:], last]


@pytest.mark.parametrize(("steps", "eta"), KARRAS)
def test_k_diffusions_euler_ancestral(k_diffusion, karras, steps, eta):
    process, levels, sigmas, model, x = karras(steps)
    peer = k_run(k_diffusion.sample_euler_ancestral, model, x, sigmas, eta=eta)
    agree(ours(process, build("sampler", "euler-ancestral", eta=eta), levels, x), peer, tolerance=1e-10)


@pytest.mark.parametrize("solver", ["midpoint", "heun"])
@pytest.mark.parametrize(("steps", "eta"), KARRAS)
def test_k_diffusions_dpmpp_2m_sde(k_diffusion, karras, steps, eta, solver):
    process, levels, sigmas, model, x = karras(steps)
    draw = generator()
    options = {"noise_sampler": lambda here, next: torch.randn(SHAPE, generator=draw, dtype=torch.float64)}
    peer = k_run(k_diffusion.sample_dpmpp_2m_sde, model, x, sigmas, eta=eta, solver_type=solver, **options)
    agree(ours(process, build("sampler", "dpmpp-2m-sde", eta=eta, solver=solver), levels, x), peer, tolerance=1e-10)


@pytest.mark.parametrize("steps", [2, 5, 18, 40])
@pytest.mark.parametrize("s_churn", [3.0, 80.0])
@pytest.mark.parametrize("solver", ["heun", "euler"])
def test_k_diffusions_churn(k_diffusion, karras, solver, s_churn, steps):
    """Its callback shows x after the churn; only the end is compared, and steps of every number have one."""
    process, levels, sigmas, model, x = karras(steps)
    sampler = getattr(k_diffusion, f"sample_{solver}")
    last = sampler(model, x, sigmas, disable=True, s_churn=s_churn, s_noise=1.003)
    settings = {"nsr_min": 0.0, "nsr_max": 1e6, "noise": 1.003, "solver": solver}
    made = ours(process, build("sampler", "edm-stochastic", churn=s_churn / steps, **settings), levels, x)
    # Of float64's last digit 40 steps of Heun under this much churn make 1e-7; all others end within 1e-10.
    agree(made[-1:], [last], tolerance=1e-6 if (solver, s_churn, steps) == ("heun", 80.0, 40) else 1e-10)
