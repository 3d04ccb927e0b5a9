"""noiseform's samplers in diffusers' pipelines: as in our own loop, and as diffusers' own schedulers make them."""

from __future__ import annotations

import copy
import subprocess
import sys
import warnings
from itertools import pairwise

import pytest
import torch
from noiseform import build, image, sample
from noiseform.core.diffusion.process import complete
from noiseform.core.errors import ConfigError, PluginError
from noiseform.core.pipeline.conversion import convert
from noiseform.core.registration.registry import current
from torch.testing import assert_close

# diffusers' own: numpy 2 warns of how it turns tensors into arrays, and it of pipelines that it deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
EXACT = {"rtol": 0, "atol": 1e-10}
CLOSE = {"rtol": 0, "atol": 1e-4}
SHAPE = (2, 3, 4)
LATENT = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def pytest_generate_tests(metafunc):
    if "sampler_name" in metafunc.fixturenames:
        parts = current().plugins.parts("sampler")
        metafunc.parametrize("sampler_name", [one.name for one in parts if one.plugin.candidate.builtin])


@pytest.fixture(scope="session")
def scheduler_class(diffusers):
    from noiseform.plugins.diffusers import Scheduler

    return Scheduler


def named(part):
    return type(part).__name__


def network(x, timestep):
    return torch.sin(1.3 * x + float(timestep) / 300) - 0.2 * torch.cos(x)


def inside(scheduler, steps, x, *, generator=None, change=lambda at, x: x, network=network, **options):
    """Run a scheduler as pipelines of diffusers do."""
    scheduler.set_timesteps(steps, **options)
    for at, timestep in enumerate(scheduler.timesteps):
        x = change(at, x)
        output = network(scheduler.scale_model_input(x, timestep), timestep)
        x = scheduler.step(output, timestep, x, generator=generator, return_dict=False)[0]
    return x


def alone(scheduler, process, prediction, sampler, grid, steps, seeds, network=network):
    """Run the same in noiseform's own loop."""
    length, first = (process.length, 1) if hasattr(process, "length") else (1000, 0)
    prediction = build("objective", prediction).prediction
    scale = 1.0 if prediction.name == "velocity" else None

    def denoise(x, level):
        shown = x * (prediction.scale(level) if scale is None else scale)
        timestep = torch.tensor(max(level.t * length - first, 0.0), dtype=torch.float32)  # as diffusers tells it
        return prediction.x0(network(shown, timestep), x, level)

    return sample(
        denoise, process=process, sampler=sampler, grid=grid, steps=steps, shape=SHAPE, seeds=seeds, dtype=torch.float64
    )


@pytest.mark.parametrize("grid", ["uniform", "karras"])
@pytest.mark.parametrize(("process", "prediction"), [("discrete-vp", "eps"), ("vp-cosine", "v"), ("flow", "velocity")])
def test_every_sampler_as_in_its_own_loop(scheduler_class, sampler_name, process, prediction, grid):
    made, sampler = build("process", process), build("sampler", sampler_name)
    scheduler = scheduler_class(made, prediction, sampler, grid, seeds=[3, 4])
    refusal = ""
    try:
        scheduler.set_timesteps(6)
    except ConfigError as error:
        refusal = f"{error}"
    if refusal:
        assert getattr(sampler, "nfe_varies", False), refusal
        assert "choose another sampler" in refusal
        return
    x = scheduler.prior((2, *SHAPE), dtype=torch.float64) * scheduler.init_noise_sigma
    expected = alone(scheduler, made, prediction, sampler, grid, 6, [3, 4])
    assert_close(inside(scheduler, 6, x), expected, **EXACT)
    assert_close(inside(scheduler, 6, x), expected, **EXACT)  # a second run is a run of its own
    if not getattr(sampler, "nfe_varies", False):
        assert len(scheduler.timesteps) <= 6 * sampler.nfe_per_step


class Euler:
    order, nfe_per_step, stochastic = 1, 1, False

    def init(self, x):
        return None

    def step(self, x, here, next, denoise, noise, state):
        ratio = next.sigma / here.sigma
        return x * ratio + denoise(x, here) * (next.alpha - ratio * here.alpha), state


class Churned(Euler):
    """Goes back to more noise before each step."""

    stochastic = True

    def step(self, x, here, next, denoise, noise, state):
        back = here.at_log_snr(here.log_snr - 0.5)
        kept = back.alpha / here.alpha if here.alpha else 1.0
        added = max(back.sigma**2 - (kept * here.sigma) ** 2, 0.0) ** 0.5
        return super().step(kept * x + added * noise("churn"), back, next, denoise, noise, state)


class Restarting(Euler):
    """Makes the steps next to the middle three times, and asks the denoiser for nothing in the last."""

    stochastic, nfe_varies = True, True

    def step(self, x, here, next, denoise, noise, state):
        if next.sigma == 0:
            return x * 0.5, state
        made, state = super().step(x, here, next, denoise, noise, state)
        for number in range(2 if here.log_snr < 1 < next.log_snr else 0):
            kept = here.alpha / next.alpha
            added = (here.sigma**2 - (kept * next.sigma) ** 2) ** 0.5
            again = kept * made + added * noise(f"restart-{number}")
            made, state = super().step(again, here, next, denoise, noise, state)
        return made, state


class Path(Euler):
    """Adds what one Brownian path does, asked in two ways that have to agree, and writes to what it was given."""

    stochastic, nfe_per_step = True, 2

    def step(self, x, here, next, denoise, noise, state):
        middle = here.at((here.t + next.t) / 2)
        half, whole = noise.between(here, middle), noise.between(here, next)
        x0 = denoise(x, here).mul_(0.5)
        x0 += 0.5 * denoise(x + 0.1 * half, middle)
        ratio = next.sigma / here.sigma
        return x * ratio + x0 * (next.alpha - ratio * here.alpha) + 0.1 * next.sigma * (whole + half), state


class Learned(Euler):
    stochastic, needs_variance = True, True

    def step(self, x, here, next, denoise, noise, state):
        made, state = super().step(x, here, next, denoise, noise, state)
        return made + denoise.variance(here, next).sqrt() * noise(), state


@pytest.mark.parametrize("sampler", [Churned(), Restarting(), Path(), build("sampler", "dpmpp-2m")], ids=named)
@pytest.mark.parametrize(("process", "prediction"), [("discrete-vp", "v"), ("flow", "velocity")])
def test_samplers_of_every_kind(scheduler_class, sampler, process, prediction):
    made = build("process", process)
    scheduler = scheduler_class(made, prediction, sampler, "log-snr", seeds=[0, 1])
    scheduler.set_timesteps(8)
    x = scheduler.prior((2, *SHAPE), dtype=torch.float64) * scheduler.init_noise_sigma
    assert_close(inside(scheduler, 8, x), alone(scheduler, made, prediction, sampler, "log-snr", 8, [0, 1]), **EXACT)
    expected = {"Churned": 8, "Restarting": 9, "Path": 16, "DPMpp2M": 8}
    assert len(scheduler.timesteps) == expected[type(sampler).__name__]


def test_calls_that_depend_on_the_items_are_refused(scheduler_class):
    class Adaptive(Euler):
        def step(self, x, here, next, denoise, noise, state):
            middle = here.at((here.t + next.t) / 2)
            if denoise(x, here).std() > 0.1:  # halve the step where the item has a shape
                x, state = super().step(x, here, middle, denoise, noise, state)
                here = middle
            return super().step(x, here, next, denoise, noise, state)

    scheduler = scheduler_class("flow", "velocity", Adaptive(), "uniform")
    with pytest.raises(ConfigError, match=r"depends on what the network says, .* choose another sampler"):
        scheduler.set_timesteps(3)


def through(scheduler, x):
    for timestep in scheduler.timesteps:
        x = scheduler.step(x, timestep, x).prev_sample


@pytest.mark.parametrize("more", [True, False])
def test_calls_that_turn_out_otherwise_are_an_error(scheduler_class, more):
    class Late(Euler):
        late = False

        def step(self, x, here, next, denoise, noise, state):
            x, state = super().step(x, here, next, denoise, noise, state)
            if self.late is more:
                denoise(x, next)
            return x, state

    scheduler = scheduler_class("flow", "velocity", Late(), "uniform")
    scheduler.set_timesteps(2)
    Late.late = True
    x = torch.ones(1, 2)
    with pytest.raises(PluginError, match="at other moments than it did when it was tried"):
        through(scheduler, x)


# Against diffusers' own schedulers.


@pytest.mark.filterwarnings("ignore:scheduler. on trailing:UserWarning")  # these steps do divide the table
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("DDIM", {}),
        ("DDIM", {"timestep_spacing": "trailing", "clip_sample": False}),
        ("DDIM", {"steps_offset": 1, "set_alpha_to_one": False, "clip_sample_range": 0.6}),
        ("DDPM", {}),
        ("DDPM", {"variance_type": "fixed_large", "clip_sample": False}),
        ("DDPM", {"timestep_spacing": "linspace"}),
        ("EulerDiscrete", {"timestep_spacing": "trailing"}),
        ("EulerDiscrete", {"timestep_spacing": "leading"}),
        ("DPMSolverMultistep", {}),
        ("DPMSolverMultistep", {"timestep_spacing": "trailing"}),
    ],
)
def test_as_diffusers_own(diffusers, scheduler_class, normal, name, options, prediction):
    own = getattr(diffusers, f"{name}Scheduler")(**LATENT, **options, prediction_type=prediction)
    own.set_timesteps(20)
    made = []
    for scheduler in (own, scheduler_class.like(own)):
        scheduler.set_timesteps(20)
        x = normal * float(scheduler.init_noise_sigma)
        made.append(inside(scheduler, 20, x, generator=torch.Generator().manual_seed(0)))
        assert scheduler.timesteps.tolist() == own.timesteps.tolist()
    assert_close(made[1], made[0], rtol=0, atol=1e-5 * max(1.0, made[0].abs().max().item()))


@pytest.fixture
def normal():
    return torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, {}),
        ({"shift": 3.0}, {}),
        ({"shift_terminal": 0.1}, {}),
        ({"use_karras_sigmas": True}, {}),
        ({"use_dynamic_shifting": True}, {"mu": 0.7}),
        ({"use_dynamic_shifting": True, "time_shift_type": "linear"}, {"mu": 0.7, "sigmas": [1.0, 0.7, 0.4, 0.1]}),
        ({}, {"sigmas": [1.0, 0.9, 0.8, 0.1]}),
    ],
)
def test_flow_as_diffusers_own(diffusers, scheduler_class, normal, options, asked):
    own = diffusers.FlowMatchEulerDiscreteScheduler(**options)
    ours, made = scheduler_class.like(own), []
    for scheduler in (own, ours):
        scheduler.scale_model_input = lambda x, timestep: x  # flow's have none
        made.append(inside(scheduler, None if "sigmas" in asked else 9, normal, **asked))
    assert_close(ours.timesteps, own.timesteps, rtol=1e-6, atol=1e-4)
    assert_close(made[1], made[0], rtol=0, atol=1e-5)


def test_flow_of_a_solver_for_both(diffusers, scheduler_class, normal):
    """Sana's: DPM-Solver++ on a flow. It tells the network whole timesteps only. Wan's: UniPC."""
    options = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}
    own = diffusers.DPMSolverMultistepScheduler(**options)
    with pytest.raises(ConfigError, match="does not know what the sampler of DPMSolverMultistepScheduler is"):
        scheduler_class.like(own)
    ours, made = scheduler_class.like(own, sampler="dpmpp-2m"), []
    for scheduler in (own, ours):
        made.append(inside(scheduler, 12, normal, network=lambda x, timestep: network(x, float(timestep) // 1)))
    assert_close(ours.timesteps // 1, own.timesteps.float(), rtol=0, atol=0)
    assert_close(made[1], made[0], rtol=0, atol=1e-4)
    other = scheduler_class.like(diffusers.UniPCMultistepScheduler(**options), sampler="dpmpp-2m")
    assert (inside(other, 12, normal) - inside(ours, 12, normal)).abs().max() < 0.1


@pytest.mark.parametrize("options", [{}, {"timestep_spacing": "trailing"}])
def test_heun_and_karras_as_diffusers_own(diffusers, scheduler_class, normal, options):
    own = diffusers.HeunDiscreteScheduler(**LATENT, use_karras_sigmas=True, **options)
    own.set_timesteps(15)

    class Visited:
        def times(self, process, steps):
            sigmas = torch.cat([own.sigmas[:1], own.sigmas[1::2]]).double()
            return complete(process).t_of_log_snr(-2 * sigmas.log()).clamp(max=1)  # theirs are float32

    ours = scheduler_class.like(own, sampler="heun", grid=Visited())
    ours.set_timesteps(15)
    assert ours.order == own.order == 2
    assert_close(ours.timesteps, own.timesteps.float(), rtol=0, atol=2.0)  # theirs are found by another interpolation
    same = [network(normal, at) for at in range(len(ours.timesteps))]
    made = []
    for scheduler in (own, ours):
        scheduler.set_timesteps(15)
        x = normal * float(scheduler.init_noise_sigma)
        for output, timestep in zip(same, scheduler.timesteps, strict=True):
            x = scheduler.step(output + 0.1 * torch.tanh(scheduler.scale_model_input(x, timestep)), timestep, x)[0]
        made.append(x)
    assert_close(made[1], made[0], rtol=0, atol=1e-3)


# In whole pipelines.


def picture(pipe, **options):
    made = pipe(output_type="np", **options).images
    return torch.from_numpy(made)[0].permute(2, 0, 1)


@pytest.mark.parametrize(("pipeline", "name"), [("DDPMPipeline", "DDPM"), ("DDIMPipeline", "DDIM")])
def test_pipelines_of_pixels(diffusers, scheduler_class, make, pipeline, name):
    pipe, _ = make(pipeline, getattr(diffusers, f"{name}Scheduler")())
    expected = picture(pipe, num_inference_steps=10, generator=torch.Generator().manual_seed(0))
    pipe.scheduler = scheduler_class.like(pipe.scheduler)
    made = picture(pipe, num_inference_steps=10, generator=torch.Generator().manual_seed(0))
    assert_close(made, expected, **CLOSE)
    assert made.std() > 0.02


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(
    "wish", [{"sampler": "dpmpp-2m", "grid": "karras"}, {"sampler": "heun", "grid": "log-snr"}, {"sampler": "ddpm"}]
)
def test_stable_diffusion_makes_our_picture(diffusers, scheduler_class, make, tmp_path, prediction, wish):
    own = diffusers.DDIMScheduler(
        **LATENT, prediction_type=prediction, steps_offset=1, clip_sample=False, set_alpha_to_one=False
    )
    pipe, folder = make("StableDiffusionPipeline", own)
    convert(folder, tmp_path / "ours")
    loaded = image.load(f"{tmp_path / 'ours'}", steps=6, **wish)
    (expected,) = image.generate(loaded, prompt="a hat", seed=5)
    scheduler = scheduler_class.like(pipe.scheduler, **wish, seeds=[5])
    pipe.scheduler = scheduler
    scheduler.set_timesteps(6)
    sigma = scheduler._levels[0].sigma  # ours starts from this, and its DDIM from 1
    latents = scheduler.prior((1, 4, 8, 8)) * (sigma / scheduler.init_noise_sigma)
    made = picture(pipe, prompt="a hat", num_inference_steps=6, latents=latents)
    assert_close(made, expected.pixels, **CLOSE)
    assert made.std() > 0.02


@pytest.mark.parametrize("name", ["DDIM", "EulerDiscrete", "DPMSolverMultistep"])
def test_stable_diffusion_makes_diffusers_picture(diffusers, scheduler_class, make, name):
    options = {"clip_sample": False, "set_alpha_to_one": False} if name == "DDIM" else {"timestep_spacing": "leading"}
    own = getattr(diffusers, f"{name}Scheduler")(**LATENT, steps_offset=1, **options)
    pipe, _ = make("StableDiffusionPipeline", own)
    wishes = {"prompt": "a hat", "num_inference_steps": 10}
    expected = picture(pipe, **wishes, generator=torch.Generator().manual_seed(0))
    pipe.scheduler = scheduler_class.like(pipe.scheduler)
    assert_close(picture(pipe, **wishes, generator=torch.Generator().manual_seed(0)), expected, **CLOSE)
    pipe.scheduler = diffusers.DDIMScheduler.from_config(pipe.scheduler.config)  # and back again
    assert pipe.scheduler.config.beta_schedule == "scaled_linear"


def test_a_pipeline_is_made_with_one(diffusers, scheduler_class, make, tmp_path):
    pipe, folder = make("StableDiffusionPipeline", diffusers.DDIMScheduler(**LATENT, clip_sample=False, steps_offset=1))
    wishes = {"prompt": "a hat", "num_inference_steps": 4}
    ours = scheduler_class.like(pipe.scheduler, sampler="dpmpp-2m")
    pipe.scheduler = ours
    expected = picture(pipe, **wishes, generator=torch.Generator().manual_seed(0))
    loaded = diffusers.StableDiffusionPipeline.from_pretrained(
        folder, scheduler=copy.deepcopy(ours), safety_checker=None
    )
    loaded.set_progress_bar_config(disable=True)
    assert loaded.scheduler is not ours
    assert torch.equal(picture(loaded, **wishes, generator=torch.Generator().manual_seed(0)), expected)
    with pytest.raises(ConfigError, match=r"is not saved with a pipeline; set pipe.scheduler to its own before"):
        pipe.save_pretrained(tmp_path / "ours")


def test_pictures_made_of_pictures(diffusers, scheduler_class, make):
    own = diffusers.DDIMScheduler(**LATENT, steps_offset=1, clip_sample=False, set_alpha_to_one=False)
    pipe, _ = make("StableDiffusionPipeline", own)
    pipe = diffusers.StableDiffusionImg2ImgPipeline.from_pipe(pipe)
    pipe.set_progress_bar_config(disable=True)
    given = {"prompt": "a hat", "image": torch.full((1, 3, 16, 16), 0.3), "strength": 0.5, "num_inference_steps": 10}

    def made():
        return picture(pipe, **given, generator=torch.Generator().manual_seed(0))

    expected = made()
    pipe.scheduler = scheduler_class.like(own)
    assert_close(made(), expected, **CLOSE)
    pipe.scheduler = scheduler_class.like(own, sampler="heun")
    assert (made() - expected).abs().max() < 0.1
    assert pipe.scheduler.step_index is None  # at the end


@pytest.fixture(scope="module")
def flows(diffusers, models):
    """Return pipelines of flow models, as SD3's and Flux's are, and words for them."""
    vae = models["vae"]
    none = {"text_encoder": None, "tokenizer": None, "text_encoder_2": None, "tokenizer_2": None}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        heads = {"attention_head_dim": 16, "num_attention_heads": 2, "joint_attention_dim": 16, "num_layers": 1}
        words = {"prompt_embeds": torch.randn(1, 5, 16), "pooled_prompt_embeds": torch.randn(1, 24)}
        against = {f"negative_{name}": torch.randn_like(value) for name, value in words.items()}
        sd3 = diffusers.StableDiffusion3Pipeline(
            transformer=diffusers.SD3Transformer2DModel(
                sample_size=8,
                in_channels=4,
                out_channels=4,
                caption_projection_dim=32,
                pooled_projection_dim=24,
                **heads,
            ).eval(),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
            vae=vae,
            text_encoder_3=None,
            tokenizer_3=None,
            **none,
        )
        flux = diffusers.FluxPipeline(
            transformer=diffusers.FluxTransformer2DModel(
                in_channels=16, num_single_layers=1, pooled_projection_dim=24, axes_dims_rope=(4, 4, 8), **heads
            ).eval(),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
            vae=vae,
            **none,
        )
    for pipe in (sd3, flux):
        pipe.set_progress_bar_config(disable=True)
    return {"sd3": (sd3, words | against), "flux": (flux, words)}


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_pipelines_of_flows(scheduler_class, flows, monkeypatch, name):
    pipe, words = flows[name]
    wishes = {**words, "height": 16, "width": 16, "output_type": "latent", "num_inference_steps": 6}

    def made():
        return pipe(**wishes, generator=torch.Generator().manual_seed(0)).images

    expected, own, seen = made(), pipe.scheduler, []
    try:
        for options in ({}, {"sampler": "heun"}, {"sampler": "euler", "grid": "karras"}):
            pipe.scheduler = scheduler_class.like(own, **options)
            seen.append(made() - expected)
    finally:
        pipe.scheduler = own
    assert seen[0].abs().max() < 1e-5
    assert all(1e-3 < one.abs().max() < 1 for one in seen[1:])


# What surrounds a run.


def test_noise_comes_from_the_generator(scheduler_class, normal):
    scheduler = scheduler_class("discrete-vp", "eps", build("sampler", "ddim", eta=1.0), "trailing")

    def made(**options):
        return inside(scheduler, 5, normal, **options)

    first = made(generator=torch.Generator().manual_seed(1))
    assert torch.equal(first, made(generator=torch.Generator().manual_seed(1)))
    assert not torch.equal(first, made(generator=torch.Generator().manual_seed(2)))
    each = made(generator=[torch.Generator().manual_seed(seed) for seed in (7, 8)])
    other = inside(scheduler, 5, normal[1:], generator=[torch.Generator().manual_seed(8)])
    assert_close(each[1:], other, rtol=0, atol=1e-6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        assert torch.equal(made(), first)  # without one it is torch's global one, as in diffusers


def test_a_path_from_the_generator(scheduler_class, normal):
    scheduler = scheduler_class("discrete-vp", "v", Path(), "trailing")
    generators = [torch.Generator().manual_seed(7), torch.Generator().manual_seed(8)]
    both = inside(scheduler, 5, normal, generator=generators)
    assert torch.equal(
        both, inside(scheduler, 5, normal, generator=[one.manual_seed(one.initial_seed()) for one in generators])
    )
    assert_close(
        inside(scheduler, 5, normal[1:], generator=torch.Generator().manual_seed(8)), both[1:], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_items_keep_their_dtype(scheduler_class, normal, dtype):
    scheduler = scheduler_class("flow", "velocity", "dpmpp-2m", "uniform")
    expected = inside(scheduler, 10, normal)
    made = inside(scheduler, 10, normal.to(dtype))
    assert made.dtype == dtype
    assert_close(made.float(), expected, rtol=0, atol={torch.float64: 1e-5, torch.float16: 1e-2}.get(dtype, 0.1))


@pytest.mark.parametrize("sampler", [build("sampler", "ddim"), build("sampler", "dpmpp-2m"), Churned()], ids=named)
@pytest.mark.parametrize("way", ["anew", "in place"])
def test_a_pipeline_that_holds_a_part(scheduler_class, normal, sampler, way):
    """Give back other items than were made, as inpainting does; the sampler goes on from those."""
    scheduler = scheduler_class("discrete-vp", "v", sampler, "leading", seeds=[0, 1])
    scheduler.set_timesteps(6)
    known, noise = torch.full_like(normal, 0.4), torch.flip(normal, [0])
    asked = []

    def hold(at, x):
        held = scheduler.add_noise(known, noise, scheduler.timesteps[at : at + 1])
        if way == "anew":
            x = torch.cat([held[..., :2], x[..., 2:]], -1)
        else:
            x[..., :2] = held[..., :2]
        asked.append(x.clone())
        return x

    made = inside(scheduler, 6, normal.clone(), change=hold)
    state, prediction = sampler.init(normal), build("objective", "v").prediction
    for at, (here, next) in enumerate(pairwise(scheduler._levels)):
        level = scheduler._calls[at].level
        x0 = prediction.x0(network(asked[at], scheduler.timesteps[at]), asked[at], level)
        if isinstance(sampler, Churned):  # from where it has gone back to
            x, state = Euler.step(sampler, asked[at], level, next, lambda x, level, x0=x0: x0, None, state)
            if next.sigma:
                continue  # to where it goes back from, which nobody is shown
        else:
            x, state = sampler.step(asked[at], here, next, lambda x, level, x0=x0: x0, None, state)
        assert_close(x[..., 2:], [*asked, made][at + 1][..., 2:], rtol=0, atol=1e-5)
    if isinstance(sampler, Churned):
        assert scheduler.timesteps[1] > scheduler._counting.of(scheduler._levels)[1] + 1


@pytest.mark.parametrize("sampler", [Euler(), Churned(), build("sampler", "heun")], ids=named)
@pytest.mark.parametrize("said", [True, False])
def test_a_run_that_begins_in_the_middle(scheduler_class, normal, sampler, said):
    scheduler = scheduler_class("discrete-vp", "v", sampler, "leading")
    scheduler.set_timesteps(8)
    first = 3 * sampler.nfe_per_step
    if said:
        scheduler.set_begin_index(first)
    x = scheduler.add_noise(torch.zeros_like(normal), normal, scheduler.timesteps[first : first + 1])
    level = scheduler._calls[first].level
    assert_close(x, level.sigma * normal, rtol=1e-5, atol=1e-6)
    timestep = scheduler.timesteps[first]
    step = scheduler.step(network(x, timestep), timestep, x, generator=torch.Generator().manual_seed(0))
    assert scheduler.step_index == first + 1
    next = scheduler._levels[4]
    ratio = next.sigma / level.sigma
    x0 = build("objective", "v").prediction.x0(network(x, timestep), x, level)
    ahead = x * ratio + x0 * (next.alpha - ratio * level.alpha)  # whatever noise came before is in x already
    if isinstance(sampler, Churned):
        back = scheduler._calls[first + 1].level
        kept = back.alpha / next.alpha
        fresh = torch.randn(normal.shape, generator=(g := torch.Generator().manual_seed(0)))
        fresh = torch.randn(normal.shape, generator=g)  # the first was for the step that it began with
        ahead = kept * ahead + (back.sigma**2 - (kept * next.sigma) ** 2) ** 0.5 * fresh
    assert_close(step.prev_sample, ahead, rtol=0, atol=1e-5)


def test_a_run_that_begins_within_a_step_is_refused(scheduler_class, normal):
    scheduler = scheduler_class("flow", "velocity", "heun", "uniform")
    scheduler.set_timesteps(4)  # its first step from pure noise is Euler's, of one call
    scheduler.set_begin_index(2)
    with pytest.raises(ConfigError, match=r"begins with timestep number 2, in the middle of a step .* 0, 1, 3, 5:"):
        scheduler.step(normal, scheduler.timesteps[2], normal)


def test_noise_is_added_as_the_process_says(diffusers, scheduler_class, normal):
    own = diffusers.DDIMScheduler(**LATENT)
    ours = scheduler_class.like(own)
    times = torch.tensor([3, 700])
    assert_close(ours.add_noise(normal, normal.flip(0), times), own.add_noise(normal, normal.flip(0), times))
    flow = scheduler_class.like(diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0))
    made = flow.scale_noise(normal, torch.tensor([250.0]), normal.flip(0))
    assert_close(made, 0.75 * normal + 0.25 * normal.flip(0))


def test_what_the_network_is_shown(scheduler_class, normal):
    """Under EDM's process x grows with the noise; the prediction says by how much the network wants it smaller."""
    scheduler = scheduler_class(build("process", "edm", sigma_max=3.0), "eps", "euler", "uniform")
    scheduler.set_timesteps(3)
    assert scheduler.init_noise_sigma == 3.0
    shown = scheduler.scale_model_input(normal, scheduler.timesteps[0])
    assert_close(shown, normal / 10**0.5)


def test_learned_variance(diffusers, scheduler_class, models, make, tmp_path, monkeypatch):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        both = diffusers.UNet2DModel.from_config(models["pixels"].config, out_channels=6).eval()
    monkeypatch.setitem(models, "pixels", both)
    pipe, _ = make("DDPMPipeline", diffusers.DDPMScheduler(variance_type="learned_range"))
    options = {"num_inference_steps": 10}
    expected = picture(pipe, **options, generator=torch.Generator().manual_seed(0))
    own = pipe.scheduler
    pipe.scheduler = scheduler_class.like(own)
    assert pipe.scheduler.config.variance_type == "learned_range"  # which pipelines look at
    assert_close(picture(pipe, **options, generator=torch.Generator().manual_seed(0)), expected, **CLOSE)
    pipe.scheduler = scheduler_class.like(own, sampler="dpmpp-2m", grid="trailing")  # which does not ask for it
    assert picture(pipe, **options).std() > 0.02


def test_clipping_is_heeded_by_every_sampler(diffusers, scheduler_class, normal):
    own = diffusers.DDIMScheduler(clip_sample_range=0.3)
    for sampler in ("ddim", "ddpm", "dpmpp-2m", "heun", Euler()):
        made = inside(scheduler_class.like(own, sampler=sampler), 8, normal)
        assert made.abs().max() <= 0.3 + 1e-6, sampler


# What cannot be heeded.


@pytest.mark.parametrize(
    ("name", "options", "chosen", "message"),
    [
        ("DDIM", {"thresholding": True}, {}, "DDIMScheduler has thresholding = True"),
        ("DDIM", {"thresholding": True}, {"sampler": "ddim", "grid": "karras"}, "thresholding = True"),
        ("DDPM", {"trained_betas": [0.1, 0.2]}, {"sampler": "ddim", "grid": "karras"}, "trained_betas"),
        ("DDPM", {"variance_type": "learned"}, {"sampler": "ddim"}, "variance_type = 'learned'"),
        ("EulerDiscrete", {"use_karras_sigmas": True}, {}, "use_karras_sigmas = True"),
        ("DPMSolverMultistep", {"solver_order": 3}, {}, "solver_order = 3"),
        ("UniPCMultistep", {}, {"sampler": "ddim"}, "UniPCMultistepScheduler cannot be translated"),
        ("UniPCMultistep", {"use_flow_sigmas": True}, {"sampler": "ddim", "grid": "karras"}, "prediction_type = 'eps"),
        ("CogVideoXDDIM", {}, {"sampler": "ddim", "grid": "karras"}, "CogVideoXDDIMScheduler cannot be translated"),
        ("FlowMatchEulerDiscrete", {"invert_sigmas": True}, {}, "invert_sigmas = True"),
        ("FlowMatchEulerDiscrete", {"stochastic_sampling": True}, {}, "stochastic_sampling = True"),
        (
            "FlowMatchHeunDiscrete",
            {},
            {"sampler": "heun"},
            "the times of FlowMatchHeunDiscreteScheduler; choose a grid",
        ),
    ],
)
def test_options_without_a_counterpart(diffusers, scheduler_class, name, options, chosen, message):
    own = getattr(diffusers, f"{name}Scheduler")(**options)
    with pytest.raises(ConfigError, match=message):
        scheduler_class.like(own, **chosen)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("EulerDiscrete", {"use_karras_sigmas": True}),
        ("DPMSolverMultistep", {"solver_order": 3, "use_lu_lambdas": True}),
        ("UniPCMultistep", {"use_karras_sigmas": True}),
        ("HeunDiscrete", {"timestep_spacing": "trailing"}),
        ("DDPM", {"variance_type": "fixed_large", "timestep_spacing": "trailing", "clip_sample": False}),
        ("FlowMatchHeunDiscrete", {}),
    ],
)
def test_options_of_what_is_replaced_do_not_matter(diffusers, scheduler_class, normal, name, options):
    flow = name.startswith("Flow")
    own = getattr(diffusers, f"{name}Scheduler")(**options, **({} if flow else LATENT))
    table = build("process", "discrete-vp", schedule="scaled-linear")
    parts = ("flow", "velocity") if flow else (table, "epsilon")
    by_hand = inside(scheduler_class(*parts, "ddim", "karras"), 5, normal)
    made = inside(scheduler_class.like(own, sampler="ddim", grid="karras"), 5, normal)
    assert_close(made, by_hand, rtol=0, atol=1e-6 * made.abs().max().item())


def test_what_is_not_quite_the_same_is_said(diffusers, scheduler_class):
    with pytest.warns(UserWarning, match="PNDM becomes dpmpp-2m"):
        scheduler_class.like(diffusers.PNDMScheduler(**LATENT, steps_offset=1))
    with warnings.catch_warnings(action="error"):
        scheduler_class.like(diffusers.PNDMScheduler(**LATENT, steps_offset=1), sampler="euler")


def test_wrong_use(diffusers, scheduler_class, normal):
    scheduler = scheduler_class("discrete-vp", "eps", "ddim", "trailing", seeds=[0])
    scheduler.set_timesteps(4)
    first = scheduler.timesteps[0]
    with pytest.raises(ConfigError, match="2 items, 1 seeds; give one seed for each"):
        scheduler.step(normal, first, normal)
    one = normal[:1]
    with pytest.raises(ConfigError, match="eta and use_clipped_model_output are the sampler's own matter"):
        scheduler.step(one, first, one, eta=0.5)
    with pytest.raises(ConfigError, match=r"the network gave \(1, 2, 4, 4\) for items \(1, 3, 4, 4\)"):
        scheduler.step(one[:, :2], first, one)
    scheduler.set_timesteps(4)
    with pytest.raises(ConfigError, match="expected timestep 999, number 0 of timesteps, got 300"):
        scheduler.step(one, 300, one)
    with pytest.raises(ConfigError, match="give num_inference_steps"):
        scheduler.set_timesteps()
    with pytest.raises(ConfigError, match="2 sigmas for 3 steps"):
        scheduler.set_timesteps(3, sigmas=[1.0, 0.5])
    with pytest.raises(ConfigError, match="sigmas were given, but the grid is noiseform's"):
        scheduler.set_timesteps(sigmas=[1.0, 0.9, 0.1])
    scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25])  # what pipelines for flow models give unasked
    assert len(scheduler.timesteps) == 4
    with pytest.raises(ConfigError, match=r"eps cannot tell the clean item at t = 1.*choose a grid that starts later"):
        scheduler_class("flow", "eps", "ddim", "uniform").set_timesteps(4)
    with pytest.raises(ConfigError, match="is not saved with a pipeline"):
        scheduler.save_pretrained("anywhere")
    with pytest.raises(ConfigError, match="expected a scheduler of diffusers, got a str"):
        scheduler_class.like("ddim")
    with pytest.raises(ConfigError, match="a network of EDM's preconditioning"):
        scheduler_class("edm", "edm")


def test_what_pipelines_ask_of_a_scheduler(diffusers, scheduler_class):
    assert scheduler_class("flow", "velocity").order == 1  # of the recommended sampler
    scheduler = scheduler_class("discrete-vp", "eps", "heun", "trailing")
    assert isinstance(scheduler, diffusers.SchedulerMixin)
    assert scheduler.compatibles == []
    assert scheduler.config.num_train_timesteps == 1000
    assert scheduler.config["prediction_type"] == "epsilon"
    assert scheduler.config.get("steps_offset", 7) == 7
    assert (len(scheduler), scheduler.order, scheduler.step_index, scheduler.begin_index) == (1000, 2, None, None)
    assert scheduler.timesteps.tolist() == [999]


def test_importing_the_plugin_is_light():
    code = (
        "import sys, noiseform.plugins.diffusers as plugin\n"
        "assert 'diffusers' not in sys.modules and 'torch' not in sys.modules, 'heavy'\n"
        "assert not hasattr(plugin, 'Schedule')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_diffusers(monkeypatch):
    class Missing:
        def find_spec(self, name, path=None, target=None):
            if name == "diffusers":
                raise ModuleNotFoundError("No module named 'diffusers'", name="diffusers")

    for name in [name for name in sys.modules if name.partition(".")[0] == "diffusers"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "noiseform.plugins.diffusers.scheduler", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    import noiseform.plugins.diffusers as plugin

    with pytest.raises(
        PluginError, match=r"needs diffusers, which is not installed; pip install 'noiseform\[diffusers"
    ):
        _ = plugin.Scheduler
