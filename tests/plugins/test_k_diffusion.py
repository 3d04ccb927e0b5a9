"""noiseform's samplers as functions of k-diffusion's calling convention: against its own, and against our own loop."""

from __future__ import annotations

import importlib.util
import sys
import types

import noiseform
import pytest
import torch
from noiseform import build, sample
from noiseform.core.diffusion.noise import Draws, Key
from noiseform.core.errors import ConfigError, NoiseformError
from noiseform.core.registration.registry import current
from noiseform.plugins import k_diffusion as ours
from torch.testing import assert_close

EXACT = {"rtol": 0, "atol": 1e-10}
SIGMAS = torch.tensor([20.0, 9.0, 4.0, 1.5, 0.6, 0.2, 0.05, 0.0], dtype=torch.float64)


def pytest_generate_tests(metafunc):
    if "sampler_name" in metafunc.fixturenames:
        parts = current().plugins.parts("sampler")
        metafunc.parametrize("sampler_name", [one.name for one in parts if one.plugin.candidate.builtin])


@pytest.fixture(scope="module")
def theirs():
    """Return k-diffusion's samplers alone: its package imports a dozen others, none of which they need."""
    package = importlib.util.find_spec("k_diffusion")
    if package is None:
        pytest.skip("k-diffusion, a peer, is not installed (pip install --no-deps k-diffusion==0.1.1)")
    pytest.importorskip("tqdm", reason="k-diffusion's samplers import tqdm")
    lent = {name: types.ModuleType(name) for name in ("torchdiffeq", "torchsde", "k_diffusion", "k_diffusion.utils")}
    lent["torchdiffeq"].odeint = None
    lent["k_diffusion"].utils = lent["k_diffusion.utils"]
    lent["k_diffusion.utils"].append_dims = lambda x, ndim: x.reshape(*x.shape, *(1,) * (ndim - x.ndim))
    path = f"{package.submodule_search_locations[0]}/sampling.py"
    with pytest.MonkeyPatch.context() as patch:
        for name, module in lent.items():
            patch.setitem(sys.modules, name, module)
        spec = importlib.util.spec_from_file_location("k_diffusion.sampling", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def x():
    return 20 * Draws().normal([Key(0), Key(1)], (3, 4), purpose="test", dtype=torch.float64)


def model(x, sigma, shift=0.0):
    sigma = sigma.reshape(-1, 1, 1)
    return torch.tanh(x / (1 + sigma)) + 0.1 * torch.sin(sigma) + shift


@pytest.mark.parametrize("name", ["euler", "heun", "dpmpp_2m"])
@pytest.mark.parametrize("last", [None, -1])
def test_as_their_own(theirs, x, name, last):
    shown, made = [], []
    for module in (theirs, ours):
        steps = []
        function = getattr(module, f"sample_{name}")
        options = {"extra_args": {"shift": 0.3}, "callback": steps.append, "disable": True}
        made.append(function(model, x, SIGMAS[:last], **options))
        shown.append(steps)
    assert_close(made[1], made[0], **EXACT)
    assert len(shown[0]) == len(shown[1]) == len(SIGMAS[:last]) - 1
    for one, other in zip(*shown, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            assert_close(torch.as_tensor(other[key]), torch.as_tensor(one[key]), **EXACT)


def test_ancestral_steps_as_their_own(theirs, x):
    """Return to the same noise sampler what k-diffusion's ancestral Euler is here: DDIM with eta = 1."""
    made = []
    for function, options in ((theirs.sample_euler_ancestral, {}), (ours.sample_ddim, {"eta": 1.0})):
        generator = torch.Generator().manual_seed(0)
        asked = []

        def noise(sigma, sigma_next, generator=generator, asked=asked):
            asked.append((float(sigma), float(sigma_next)))
            return torch.randn(x.shape, generator=generator, dtype=x.dtype)

        made.append((function(model, x, SIGMAS, noise_sampler=noise, disable=True, **options), asked))
    assert_close(made[1][0], made[0][0], **EXACT)
    assert_close(torch.tensor(made[1][1]), torch.tensor(made[0][1]))


@pytest.mark.parametrize("sigmas", [SIGMAS, SIGMAS[:-1], SIGMAS.float()], ids=["to zero", "to 0.05", "float32"])
def test_every_sampler_as_in_our_loop(x, sampler_name, sigmas):
    class Visited:
        def times(self, process, steps):
            return sigmas.double() / 20

    def denoise(x, level):
        return model(x, torch.full((len(x),), level.sigma, dtype=x.dtype), shift=0.2)

    expected = sample(
        denoise,
        process=build("process", "edm", sigma_max=20.0),
        sampler=sampler_name,
        grid=Visited(),
        steps=len(sigmas) - 1,
        x=x,
        seeds=[5, 6],
    )
    seen = []
    function = ours.sampler_function(sampler_name)
    made = function(model, x, sigmas, {"shift": 0.2}, seen.append, seeds=[5, 6])
    assert_close(made, expected, **EXACT)
    assert [step["i"] for step in seen] == sorted({step["i"] for step in seen})
    assert_close(torch.stack([step["sigma"] for step in seen]), sigmas[: len(seen)].double(), **EXACT)
    attribute = getattr(ours, f"sample_{sampler_name.replace('-', '_')}")
    assert torch.equal(attribute(model, x, sigmas, {"shift": 0.2}, seeds=[5, 6]), made)
    assert f"sample_{sampler_name.replace('-', '_')}" in dir(ours)


def test_noise_follows_torchs_generator_where_none_is_given(x):
    def made(seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return ours.sample_ddpm(model, x, SIGMAS)

    assert torch.equal(made(0), made(0))
    assert (made(0) - made(1)).abs().max() > 1e-3
    before = torch.random.get_rng_state()
    ours.sample_euler(model, x, SIGMAS)  # which needs none
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_plugins_sampler_has_a_function(x, site):
    site.add(
        "doubling",
        {
            "doubling": """
            from noiseform import hookimpl

            class Doubling:
                order, nfe_per_step, stochastic = 1, 1, True
                def init(self, x): return None
                def step(self, x, here, next, denoise, noise, state):
                    far = noise.between(here, next) + noise("one") - noise("one") + noise("other")
                    return 2 * x + 0 * denoise(x, here) + far, None

            @hookimpl
            def noiseform_samplers():
                return {"doubling.2x-fast": Doubling}
            """
        },
    )
    asked = []

    def noise(sigma, sigma_next):
        asked.append((float(sigma), float(sigma_next)))
        return torch.full_like(x, float(len(asked)))

    made = ours.sample_doubling_2x_fast(model, x, SIGMAS[:2], noise_sampler=noise)
    assert asked == [(20.0, 9.0)] * 3  # once for each purpose, once for the interval
    assert_close(made, 2 * x + 1 + 3, **EXACT)


def test_half_precision_and_one_sigma(x):
    made = ours.sample_heun(model, x.bfloat16(), SIGMAS.float())
    assert made.dtype == torch.bfloat16
    assert_close(made.double(), ours.sample_heun(model, x, SIGMAS), rtol=0, atol=0.1)
    assert torch.equal(ours.sample_heun(model, x, SIGMAS[:1]), x)


@pytest.mark.parametrize(
    ("sigmas", "options", "message"),
    [
        (SIGMAS.flip(0), {}, r"sigmas: expected one axis of numbers that fall from above 0.*got \[0.0, 0.05"),
        (SIGMAS[None], {}, "expected one axis"),
        (SIGMAS[:0], {}, "expected one axis"),
        (SIGMAS - 1, {}, "to 0 at most"),
        (SIGMAS, {"etta": 1.0}, "did you mean 'eta'"),
        (SIGMAS, {"seeds": [1]}, "x has 2 rows but there are 1 seeds"),
        (SIGMAS, {"seeds": [1, 2], "noise_sampler": torch.add}, "give one of them"),
    ],
)
def test_wrong_use(x, sigmas, options, message):
    with pytest.raises(ConfigError, match=message):
        ours.sample_ddim(model, x, sigmas, **options)


def test_unknown_names():
    with pytest.raises(AttributeError, match="noiseform list sampler shows all"):
        _ = ours.sample_dimm
    with pytest.raises(AttributeError):
        _ = ours.anything
    with pytest.raises(NoiseformError, match="did you mean 'ddim'"):
        ours.sampler_function("dimm")
    assert noiseform.plugins.k_diffusion is ours
