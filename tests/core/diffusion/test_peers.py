"""Our samplers and grids against diffusers' schedulers and k-diffusion's samplers, step by step.

Everything is float64 but what the peer does in float32: diffusers' tables and sigmas.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from noiseform import build
from noiseform.core.diffusion.denoiser import Denoiser
from noiseform.core.diffusion.process import complete, levels_at
from torch.testing import assert_close

from .peers import PREDICTIONS, SHAPE, TABLES, agree, network, ours, theirs, under_edm

# The peers' own: numpy 2 warns of how diffusers turns tensors into arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("steps", [1, 2, 4, 7, 10, 25, 30, 50, 333, 1000])
def test_discrete_grids_visit_the_same_times(diffusers, spacing, steps):
    scheduler = diffusers.DDIMScheduler(timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    times = build("grid", spacing).times(build("process", "discrete-vp"), steps)[:-1]
    expected = scheduler.timesteps[:steps]  # its arange gives one too many where 1000 / steps is no whole number
    if spacing == "linspace" and steps == 1:
        expected = torch.tensor([999])  # there numpy starts at the data
    assert torch.equal((times * 1000).round().long() - 1, expected)


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_the_same(diffusers, table):
    scheduler = diffusers.DDPMScheduler(**TABLES[table])
    nodes = (torch.arange(1000, dtype=torch.float64) + 1) / 1000
    alpha_bar = build("process", "discrete-vp", schedule=table).alpha(nodes) ** 2
    assert_close(alpha_bar, scheduler.alphas_cumprod.double(), rtol=2e-4, atol=1e-7)  # theirs is a product in float32


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("table", ["linear", "scaled-linear"])
def test_ddim(diffusers, start, table, spacing, eta, prediction):
    scheduler = diffusers.DDIMScheduler(
        **TABLES[table], timestep_spacing=spacing, prediction_type=prediction, clip_sample=False
    )
    scheduler.set_timesteps(20)
    process = build("process", "discrete-vp", schedule=table)
    levels = levels_at(process, build("grid", spacing).times(process, 20))
    peer = theirs(scheduler, start, eta=eta, generator=torch.Generator().manual_seed(0))
    agree(ours(process, build("sampler", "ddim", eta=eta), levels, start, use=PREDICTIONS[prediction]), peer)


@pytest.mark.parametrize("table", ["linear", "scaled-linear"])
def test_ddim_on_linspace(diffusers, start, table):
    """There diffusers visits 999, 946, 894, ... but steps to t - 50 each time. Ours, told so, does the same."""
    scheduler = diffusers.DDIMScheduler(**TABLES[table], timestep_spacing="linspace", clip_sample=False)
    scheduler.set_timesteps(20)
    process, x = build("process", "discrete-vp", schedule=table), start
    for call, timestep in enumerate(scheduler.timesteps.tolist()):
        times = torch.tensor([timestep + 1, max(timestep + 1 - 50, 0)], dtype=torch.float64) / 1000
        peer = scheduler.step(network(x, call), timestep, x).prev_sample
        here, there = levels_at(process, times)
        x0 = build("objective", "eps").prediction.x0(network(x, call), x, here)
        x, _ = build("sampler", "ddim").step(x, here, there, lambda x, level, x0=x0: x0, None, None)
        agree([x], [peer])


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("table", ["linear", "scaled-linear"])
def test_ddpm(diffusers, start, table, spacing, prediction):
    scheduler = diffusers.DDPMScheduler(
        **TABLES[table], timestep_spacing=spacing, prediction_type=prediction, clip_sample=False
    )
    scheduler.set_timesteps(20)
    process = build("process", "discrete-vp", schedule=table)
    levels = levels_at(process, build("grid", spacing).times(process, 20))
    peer = theirs(scheduler, start, generator=torch.Generator().manual_seed(0))
    agree(ours(process, build("sampler", "ddpm"), levels, start, use=PREDICTIONS[prediction]), peer)


def test_ddpm_with_the_larger_variance(diffusers, start):
    scheduler = diffusers.DDPMScheduler(variance_type="fixed_large", clip_sample=False, timestep_spacing="leading")
    scheduler.set_timesteps(20)
    process = build("process", "discrete-vp")
    levels = levels_at(process, build("grid", "leading").times(process, 20))
    peer = theirs(scheduler, start, generator=torch.Generator().manual_seed(0))
    agree(ours(process, build("sampler", "ddpm", variance="large"), levels, start), peer)


@pytest.mark.parametrize("spacing", ["leading", "linspace"])  # to "trailing" diffusers adds noise in the last step
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("steps", [5, 20, 100])
def test_ddpm_with_learned_variance(diffusers, start, table, spacing, steps):
    scheduler = diffusers.DDPMScheduler(
        **TABLES[table], variance_type="learned_range", clip_sample=False, timestep_spacing=spacing
    )
    scheduler.set_timesteps(steps)
    process = build("process", "discrete-vp", schedule=table)
    nodes = (torch.arange(1000, dtype=torch.float64) + 1) / 1000
    scheduler.alphas_cumprod = process.alpha(nodes) ** 2  # its own, in float32, lose more than the steps may differ
    levels = levels_at(process, build("grid", spacing).times(process, steps))
    prediction, calls, generator = build("objective", "hybrid-vlb").prediction, [], torch.Generator().manual_seed(0)

    def both(x, call):
        return torch.cat([network(x, call), torch.cos(3 * x + call)], 1)

    def counted(x, time, cond):
        calls.append(x)
        return both(x, len(calls) - 1)

    sampler, denoise = build("sampler", "ddpm", variance="learned"), Denoiser(counted, prediction, dtype=torch.float64)
    x, made, peer, state = start, [], [], sampler.init(start)
    for here, there in pairwise(levels):
        noise = torch.randn(SHAPE, generator=generator, dtype=torch.float64)
        x, state = sampler.step(x, here, there, denoise, lambda noise=noise: noise, state)
        made.append(x)
    x, generator = start, torch.Generator().manual_seed(0)
    for call, timestep in enumerate(scheduler.timesteps):
        x = scheduler.step(both(x.double(), call), timestep, x, generator=generator).prev_sample.double()
        peer.append(x)
    agree(made, peer, tolerance=1e-6)


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("table", ["linear", "scaled-linear"])
@pytest.mark.parametrize("karras", [False, True])
def test_dpmpp_2m_on_a_table(diffusers, start, table, spacing, karras):
    scheduler = diffusers.DPMSolverMultistepScheduler(
        **TABLES[table], timestep_spacing=spacing, use_karras_sigmas=karras, final_sigmas_type="zero"
    )
    scheduler.set_timesteps(20)
    process = build("process", "discrete-vp", schedule=table)
    times = process.t_of_log_snr(-2 * scheduler.sigmas.double().log())
    assert times[-1].item() == 0
    agree(ours(process, build("sampler", "dpmpp-2m"), levels_at(process, times), start), theirs(scheduler, start))


@pytest.mark.parametrize("table", ["linear", "scaled-linear"])
@pytest.mark.parametrize("karras", [False, True])
def test_euler(diffusers, start, table, karras):
    scheduler = diffusers.EulerDiscreteScheduler(**TABLES[table], use_karras_sigmas=karras)
    scheduler.set_timesteps(20)
    process, levels = under_edm(scheduler.sigmas)
    x = start * scheduler.sigmas[0].item()
    agree(ours(process, build("sampler", "euler"), levels, x), theirs(scheduler, x))


@pytest.mark.parametrize("table", ["linear", "scaled-linear"])
@pytest.mark.parametrize("karras", [False, True])
def test_heun(diffusers, start, table, karras):
    scheduler = diffusers.HeunDiscreteScheduler(**TABLES[table], use_karras_sigmas=karras)
    scheduler.set_timesteps(20)
    process, levels = under_edm(torch.cat([scheduler.sigmas[:1], scheduler.sigmas[1::2]]))
    x = start * scheduler.sigmas[0].item()
    peer = theirs(scheduler, x)
    agree(ours(process, build("sampler", "heun"), levels, x), [*peer[1:-1:2], peer[-1]])


def test_euler_on_a_flow(diffusers, start):
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(20)
    process = build("process", "flow")
    levels = levels_at(process, scheduler.sigmas.double())
    agree(ours(process, build("sampler", "euler"), levels, start, use="velocity"), theirs(scheduler, start))


@pytest.mark.parametrize("name", ["euler", "heun", "dpmpp-2m"])
@pytest.mark.parametrize("steps", [2, 5, 18, 40])
def test_k_diffusion_on_karras_sigmas(k_diffusion, start, name, steps):
    process = complete(build("process", "edm"))
    levels = levels_at(process, build("grid", "karras").times(process, steps))
    sigmas = k_diffusion.get_sigmas_karras(steps, 0.002, 80.0)
    assert_close(torch.tensor([level.sigma for level in levels]), sigmas, rtol=1e-5, atol=0)
    sigmas, calls, seen = torch.tensor([level.sigma for level in levels], dtype=torch.float64), 0, []

    def denoise(x, sigma):
        nonlocal calls
        calls += 1
        return x - sigma.reshape(-1, 1, 1) * network(x, calls - 1)

    sampler = getattr(k_diffusion, f"sample_{name.replace('-', '_')}")
    last = sampler(denoise, 80 * start, sigmas, disable=True, callback=lambda step: seen.append(step["x"]))
    agree(ours(process, build("sampler", name), levels, 80 * start), [*seen[1:], last], tolerance=1e-10)
