"""Learned variance: the loss is the paper's, its minimum is the best variance, and models trained by it work."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from noiseform import GaussianMixture, audio, build, image
from noiseform.core.cli.main import main
from noiseform.core.diffusion.gaussian import log_density, log_probability
from noiseform.core.diffusion.noise import Draws, Key
from noiseform.core.diffusion.process import complete, level_at
from noiseform.core.diffusion.transition import transition
from noiseform.core.media import MediaSpec
from noiseform.core.registration.registry import current
from noiseform.core.storage.checkpoint import latest_checkpoint
from noiseform.core.storage.model_folder import read_model_folder
from scipy import stats
from torch import nn
from torch.testing import assert_close

PROCESSES = ("vp-linear", "vp-cosine", "discrete-vp", "ve", "edm", "flow")


def normal(*shape: int, purpose: str) -> torch.Tensor:
    return Draws().normal([Key(0)], shape, purpose=purpose, dtype=torch.float64)[0]


def network(x, time, cond):
    """Say something smooth, of the variance too."""
    return torch.cat([torch.sin(2 * x) + time.reshape(-1, 1, 1), 0.8 * torch.cos(3 * x)], 1)


def pixels(*shape: int) -> torch.Tensor:
    """Return numbers of 256 values in [-1, 1], the two ends among them."""
    drawn = (normal(*shape, purpose="pixels") * 90 + 128).round().clamp(0, 255)
    return drawn / 127.5 - 1


@pytest.mark.parametrize("values", [0, 256])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_loss_is_the_papers(schedule, values):
    """Equations 15 and 16 of Nichol and Dhariwal 2021, with the tables of Ho et al. 2020, index by index."""
    length = 200
    process = complete(build("process", "discrete-vp", schedule=schedule, length=length))
    objective = build("objective", "hybrid-vlb", length=length, values=values, vlb_weight=0.01)
    index = torch.tensor([0, 0, 0, 1, 2, 57, 130, length - 1])
    t = (index + 1).double() / length
    x0, eps = pixels(8, 3, 4), normal(8, 3, 4, purpose="eps")
    x0[0, 0, :2] = torch.tensor([-1.0, 1.0])

    alpha_bar = process.alpha(torch.arange(1, length + 1, dtype=torch.float64) / length) ** 2
    before = torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar[:-1]])
    beta = 1 - alpha_bar / before
    tilde = beta * (1 - before) / (1 - alpha_bar)
    tilde[0] = tilde[1]  # the paper's code clips it so
    at = lambda table: table[index].reshape(-1, 1, 1)  # noqa: E731

    x = at(alpha_bar).sqrt() * x0 + at(1 - alpha_bar).sqrt() * eps
    output, v = network(x, t, {}).chunk(2, 1)
    v = (v + 1) / 2
    deviation = torch.exp(v * at(beta).log() + (1 - v) * at(tilde).log()).sqrt()
    guess = (x - at(1 - alpha_bar).sqrt() * output) / at(alpha_bar).sqrt()
    of_x0, of_x = (
        at(before.sqrt() * beta / (1 - alpha_bar)),
        at((beta.neg() + 1).sqrt() * (1 - before) / (1 - alpha_bar)),
    )
    model = torch.distributions.Normal(of_x0 * guess + of_x * x, deviation)
    posterior = torch.distributions.Normal(of_x0 * x0 + of_x * x, at(tilde).sqrt())
    bound = torch.distributions.kl_divergence(posterior, model)
    likelihood = model.log_prob(x0)
    if values:
        above = torch.where(x0 > 0.999, 1.0, model.cdf(x0 + 1 / 255))
        likelihood = (above - torch.where(x0 < -0.999, 0.0, model.cdf(x0 - 1 / 255))).log()
    bound = torch.where(at(torch.arange(length)) == 0, -likelihood, bound) / math.log(2)
    assert torch.isfinite(bound).all()  # of the plain formula, which loses its digits far out
    expected = ((output - eps) ** 2).mean((1, 2)) + 0.01 * length * bound.mean((1, 2))

    made = objective.loss(network, process, x0, t, eps, {})
    assert_close(made, expected, rtol=1e-8, atol=0)


def test_the_bound_moves_the_variance_and_nothing_else():
    process = complete(build("process", "vp-linear"))
    x0, eps, t = normal(6, 3, 4, purpose="x0"), normal(6, 3, 4, purpose="eps"), torch.rand(6, dtype=torch.float64)
    t[0] = 0.5e-3  # where the likelihood of the item is its term
    mean, spread = (normal(6, 3, 4, purpose=name).requires_grad_() for name in ("mean", "spread"))
    gradients = {}
    for weight in (0.0, 1.0):
        objective = build("objective", "hybrid-vlb", vlb_weight=weight)
        loss = objective.loss(lambda *_: torch.cat([mean, spread], 1), process, x0, t, eps, {})
        gradients[weight] = torch.autograd.grad(loss.sum(), (mean, spread))
    plain = build("objective", "eps").loss(lambda *_: mean, process, x0, t, eps, {})
    (of_plain,) = torch.autograd.grad(plain.sum(), mean)
    for of_mean, _ in gradients.values():
        assert_close(of_mean, of_plain)
    assert not gradients[0.0][1].any()
    assert (gradients[1.0][1].abs().amax((1, 2)) > 1e-6).all()


class Steps:
    """The terms of the bound of a chain of ``length`` steps, for Gaussian data and its best denoiser.

    They are quadratic in x0 and eps, so four pairs with the right moments give their exact expectation.
    """

    def __init__(self, process_name: str, length: int, width: float) -> None:
        self.process, self.length = complete(build("process", process_name)), length
        self.objective = build("objective", "hybrid-vlb", length=length)
        data = GaussianMixture([[0.0]], [width])
        self.t = torch.arange(1, length + 1, dtype=torch.float64) / length
        self.here = level_at(self.process, self.t)
        self.x0 = width * torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64).expand(length, 4)
        level = self.here.like(self.x0)
        x = level.alpha * self.x0 + level.sigma * torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
        flat, each = x.reshape(-1, 1), level_at(self.process, self.t.repeat_interleave(4))
        self.predicted = data(flat, each).reshape(x.shape)
        self.doubt = data.posterior_variance(flat, each).reshape(x.shape)[:, :1]

    def bound(self, spread: torch.Tensor) -> torch.Tensor:
        """Return each term, in bits a number, for what a network says of the variance (length, 1)."""
        return self.objective.bound(self.process, self.x0, self.predicted, spread.expand_as(self.x0), self.t)

    def best(self) -> torch.Tensor:
        """Return what a network has to say for the variance to be that of x_next given x_t, worked out by hand."""
        next = level_at(self.process, self.t - 1 / self.length)
        step = transition(self.here, next)
        small = step.small.clone()
        small[0] = transition(level_at(self.process, self.t[:1] + 1 / self.length), self.here).small[0]
        variance = step.small + step.of_x0**2 * self.doubt[:, 0]
        share = torch.log(variance / small) / torch.log(step.large / small)
        return (2 * share - 1).unsqueeze(1)


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("length", [10, 100])
def test_bound_of_the_best_variance_is_the_entropy_of_the_data(name, length):
    """For Gaussian data the chain is exact then, so the bound is tight; its prior here is the last x_t itself.

    With "small" or "large" it is not, the less so the longer the steps are.
    """
    width = 0.5
    steps = Steps(name, length, width)
    alpha, sigma = steps.here.alpha[-1], steps.here.sigma[-1]
    entropy = 0.5 * math.log2(2 * math.pi * math.e * width**2)
    left = 0.5 * math.log2(1 + (alpha * width / sigma) ** 2)  # of the data in the noise
    bounds = {
        name: steps.bound(spread).sum().item()
        for name, spread in (
            ("best", steps.best()),
            ("small", -torch.ones(length, 1, dtype=torch.float64)),
            ("large", torch.ones(length, 1, dtype=torch.float64)),
        )
    }
    assert bounds["best"] == pytest.approx(entropy - left, abs=1e-6)
    assert bounds["best"] + 1e-3 < min(bounds["small"], bounds["large"]), bounds


def test_what_an_oracle_says_is_the_best_of_short_steps():
    """It knows no length: what it says is the limit of short steps, and in a thousand it is as good as the best."""
    steps = Steps("vp-linear", 1000, 0.5)
    share = steps.doubt * (steps.here.alpha**2 + steps.here.sigma**2).unsqueeze(1) / steps.here.sigma[:, None] ** 2
    terms, best = steps.bound(2 * share - 1)[1:], steps.bound(steps.best())[1:]
    others = [steps.bound(torch.full_like(share, said))[1:].sum() for said in (-1.0, 1.0)]
    assert terms.sum() - best.sum() < 0.02 * (min(others) - best.sum())


@pytest.mark.parametrize("values", [256, 65536])
@pytest.mark.parametrize("deviation", [1e-6, 1e-3, 0.05, 1.0, 30.0])
def test_probabilities_of_all_values_add_up_to_one(values, deviation):
    reach = 1.4
    x = torch.linspace(-reach, reach, values, dtype=torch.float64)
    for mean in (-5.0, -1.4, 0.0, 0.3712, 2.0):
        mean, width = torch.tensor(mean, dtype=torch.float64), torch.tensor(deviation, dtype=torch.float64).log()
        logs = log_probability(x, mean.expand_as(x), width.expand_as(x), values, reach)
        assert not logs.isnan().any()
        assert_close(logs.exp().sum().item(), 1.0, rtol=1e-9, atol=0)


def test_pixels_lie_where_they_are_looked_for():
    codec = build("codec", "identity", scale=1.4, media=MediaSpec((1, 16, 16), (None, None), 0.0, 1.0))
    x = codec.encode((torch.arange(256) / 255).reshape(1, 1, 16, 16)).flatten()
    assert_close(x, torch.linspace(-1.4, 1.4, 256))


def test_likelihoods_are_scipys():
    x, mean, width = pixels(50, 8), normal(50, 8, purpose="mean"), 0.3 * normal(50, 8, purpose="width").exp()
    law = stats.norm(mean.numpy(), width.numpy())
    assert_close(log_density(x, mean, width.log()), torch.from_numpy(law.logpdf(x.numpy())), rtol=1e-9, atol=1e-9)
    inside = (x.abs() < 1) & ((x - mean).abs() < 3 * width)
    expected = torch.from_numpy(law.cdf(x.numpy() + 1 / 255) - law.cdf(x.numpy() - 1 / 255)).log()
    made = log_probability(x, mean, width.log(), 256, 1.0)
    assert inside.sum() > 100
    assert_close(made[inside], expected[inside], rtol=1e-8, atol=1e-8)


def test_what_is_far_off_still_pulls_the_variance_up():
    """Where a plain difference of distribution functions is 0, and its logarithm says nothing any more."""
    x, width = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64), torch.full((3,), -7.0, dtype=torch.float64)
    width.requires_grad_()
    logs = log_probability(torch.round((x + 1) * 127.5) / 127.5 - 1, torch.full_like(x, 0.5), width, 256, 1.0)
    (slope,) = torch.autograd.grad(logs.sum(), width)
    assert torch.isfinite(logs).all()
    assert (slope > 1e4).all()


class Tiny(nn.Module):
    """The best prediction of eps for Gaussian data, and a variance that is learnt from the time."""

    def __init__(self, process, width: float) -> None:
        super().__init__()
        self.process, self.width = process, width
        self.variance = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1)).double()

    def forward(self, x, time, cond):
        level = level_at(self.process, time).like(x)
        eps = level.sigma * x / ((level.alpha * self.width) ** 2 + level.sigma**2)  # VP: x is seen unscaled
        return torch.cat([eps, self.variance(time.unsqueeze(1)).unsqueeze(1).expand_as(x)], 1)


@pytest.mark.parametrize("density", ["uniform", "importance"])
def test_a_model_learns_the_best_variance(density):
    """Of a chain of 50 steps: what it says after 500 updates is close to the best, by the bound and by itself."""
    width, length = 0.4, 50
    steps, process = Steps("vp-linear", length, width), complete(build("process", "vp-linear"))
    objective = build("objective", "hybrid-vlb", length=length, density=density, vlb_weight=1.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Tiny(process, width)
    optimizer = torch.optim.Adam(model.variance.parameters(), lr=1e-2)
    draw = torch.Generator().manual_seed(1)

    def told():
        with torch.no_grad():
            return model.variance(steps.t.unsqueeze(1))

    before = steps.bound(told())[1:].sum()
    for _ in range(500):
        u = torch.rand(64, generator=draw, dtype=torch.float64)
        x0 = width * torch.randn(64, 1, 32, generator=draw, dtype=torch.float64)
        eps = torch.randn(64, 1, 32, generator=draw, dtype=torch.float64)
        loss = objective.loss(model, process, x0, objective.times(u, process), eps, {}).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    bounds = {"best": steps.bound(steps.best()), "learnt": steps.bound(told())}
    bounds |= {
        name: steps.bound(torch.full_like(steps.best(), said)) for name, said in (("small", -1.0), ("large", 1.0))
    }
    bounds = {name: terms[1:].sum().item() for name, terms in bounds.items()}
    assert bounds["learnt"] < min(bounds["small"], bounds["large"], before.item()), bounds
    missed = bounds["learnt"] - bounds["best"]
    assert missed < 0.1 * (min(bounds["small"], bounds["large"]) - bounds["best"]), bounds
    near = slice(1, 8)  # next to the data; far from it small and large are alike, and nothing is to be learnt
    assert_close(told()[near], steps.best()[near], rtol=0, atol=0.25)


def test_losses_that_importance_follows_are_those_of_both_terms():
    process, objective = complete(build("process", "vp-linear")), build("objective", "hybrid-vlb", density="importance")
    x0, eps, t = normal(4, 3, 4, purpose="x0"), normal(4, 3, 4, purpose="eps"), torch.rand(4, dtype=torch.float64)
    losses = objective.loss(network, process, x0, t, eps, {})
    assert objective.memory.seen.sum() == 4
    kept = objective.memory.losses[objective.memory.losses != 0].sort().values
    assert_close(kept, losses.sort().values)
    assert_close(losses, build("objective", "hybrid-vlb").loss(network, process, x0, t, eps, {}))


NETWORKS = {
    "unet-1d": ("audio", ()),
    "unet-2d": ("image", ()),
    "unet-2d-pixels": ("image", ("objective.values=256",)),
    "dit-1d": ("audio", ("network={use='dit', rank=1, width=16, depth=1, heads=2}",)),
    "dit": ("image", ("network={use='dit', width=16, depth=1, heads=2}",)),
    "mm-dit": (
        "image",
        ("network={use='mm-dit', width=16, depth=1, heads=2}", "conditioners=[{use='text', width=16, depth=1}]"),
    ),
}
TAUGHT = "objective={use='hybrid-vlb', predict='v'}"
LEARNED = "stages.base.sampler={use='ddpm', variance='learned'}"


@pytest.fixture
def places(tiny_model, tiny_image_model, tones, patterns, tmp_path) -> dict[str, tuple[Path, Path]]:
    """Give recipe and data for each modality; the pictures have captions."""
    captioned = tmp_path / "captioned"
    shutil.copytree(patterns, captioned)
    for path in [path for path in captioned.rglob("*.*") if path.is_file()]:
        path.with_suffix(".txt").write_text(f"{path.parent.name} of colour")
    recipes = (model.parent / "recipe.toml" for model in (tiny_model, tiny_image_model))
    return dict(zip(("audio", "image"), zip(recipes, (tones, captioned), strict=True), strict=True))


def trained(place: tuple[Path, Path], folder: Path, *settings: str, more: tuple[str, ...] = ()) -> int:
    recipe, data = place
    wanted = ("training.steps=6", "training.sample_every=0", *more, *(f"stages.base.{one}" for one in settings))
    line = ["train", str(recipe), "--data", str(data), "-o", str(folder), "--quiet"]
    return main([*line, *(part for setting in wanted for part in ("--set", setting))])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_recipe_trains_and_every_sampler_generates(name, places, tmp_path):
    modality, settings = NETWORKS[name]
    captions = ("data.captions='text'",) if name == "mm-dit" else ()
    assert trained(places[modality], tmp_path / "run", TAUGHT, *settings, more=captions) == 0
    kept = read_model_folder(tmp_path / "run").pipeline["stages"][0]["objective"]
    assert kept.items() >= {"use": "hybrid-vlb", "predict": "v"}.items()
    make, wish = {"audio": audio, "image": image}[modality].generate, {"prompt" if captions else "label": "rows"}
    wish = {"label": "low"} if modality == "audio" else wish
    samplers = [part.name for part in current().plugins.parts("sampler") if part.plugin.candidate.builtin]
    for sampler in [*samplers, {"use": "ddpm", "variance": "large"}, {"use": "ddpm", "variance": "learned"}]:
        (item,) = make(tmp_path / "run", seed=1, sampler=sampler, **wish)
        values = item.samples if modality == "audio" else item.pixels
        assert torch.isfinite(values).all()
        assert values.std() > 0
        assert item.record["nfe"] >= 4


def test_what_is_learnt_is_used_recorded_and_made_again(places, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert trained(places["audio"], tmp_path / "run", TAUGHT, more=("training.steps=40",)) == 0
    line = ["generate", "audio", "./run", "--label", "low", "-n", "2", "-o", "x.wav", "--quiet"]
    assert main([*line, "--set", LEARNED, "--previews", "steps"]) == 0  # previews see every step
    assert main(["replay", "x-0001.wav", "--pipeline", "./run"]) == 0
    made = {
        variance: audio.generate(tmp_path / "run", label="low", seed=1, sampler={"use": "ddpm", "variance": variance})[
            0
        ]
        for variance in ("small", "large", "learned")
    }
    for other in ("small", "large"):
        assert (made["learned"].samples - made[other].samples).abs().max() > 1e-4
    for guidance in ("none", "apg", "cfg"):
        settings = (f"stages.base.guidance={{use='{guidance}'}}", LEARNED)
        (item,) = audio.generate(tmp_path / "run", label="low", seed=1, settings=settings)
        assert torch.isfinite(item.samples).all()


def test_a_resumed_run_is_the_same_to_the_last_bit(places, tmp_path):
    several = ("training.batch_size=64", "training.steps=24", "training.checkpoint_every=7")
    importance = "objective={use='hybrid-vlb', predict='v', density='importance', length=20}"
    recipe, data = places["audio"]
    for folder, stops in (("whole", [None]), ("torn", [5, 19, None])):
        for until in stops:
            line = ["train", str(recipe), "--data", str(data), "-o", str(tmp_path / folder), "--quiet", "--resume"]
            settings = ("training.sample_every=0", *several, f"stages.base.{importance}")
            stop = [] if until is None else ["--until", str(until)]
            assert main([*line, *stop, *(part for one in settings for part in ("--set", one))]) == 0
    whole, torn = (latest_checkpoint(tmp_path / folder).tensors for folder in ("whole", "torn"))
    assert whole["objective"]["seen"].min() > 0
    for part in ("model", "objective"):
        for key, tensor in whole[part].items():
            assert torch.equal(tensor, torn[part][key])


def test_a_model_that_learnt_none_is_refused_before_anything_is_made(tiny_model, capsys):
    assert main(["generate", "audio", str(tiny_model), "--label", "low", "-o", "x.wav", "--set", LEARNED]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "sampler 'ddpm' asks for a learnt variance, which objective 'velocity' does not teach" in line
    assert "use a model trained with an objective that does, such as hybrid-vlb" in line


def test_a_recipe_that_samples_with_what_it_does_not_teach_is_refused(places, tmp_path, capsys):
    assert trained(places["audio"], tmp_path / "run", "sampler={use='ddpm', variance='learned'}") == 2
    assert "does not teach" in capsys.readouterr().err


NARROW = """
    import torch
    from noiseform import hookimpl

    class Narrow(torch.nn.Module):
        item_ndim = 1
        def __init__(self, *, channels_in: int, vector_width: int):
            super().__init__()
            self.layer = torch.nn.Conv1d(channels_in, channels_in, 3, padding=1)
        def forward(self, x, time, cond):
            return self.layer(x)

    class Deaf(Narrow):
        def __init__(self, *, channels_in: int, channels_out: int, vector_width: int):
            super().__init__(channels_in=channels_in, vector_width=vector_width)

    @hookimpl
    def noiseform_networks():
        return {"narrow": Narrow, "deaf": Deaf}
"""


@pytest.mark.parametrize(
    ("network", "code", "told"),
    [
        (
            "narrow",
            2,
            "cannot give two outputs for each value, as objective 'hybrid-vlb' asks: it takes no channels_out;",
        ),
        ("deaf", 5, "network Deaf gave a tensor of shape (4, 1, 64) and torch."),
    ],
)
def test_a_network_that_cannot_say_it_is_refused(network, code, told, site, places, tmp_path, capsys):
    site.add("narrow", {"narrow_plugin": NARROW})
    settings = f"network={{use='{network}'}}"
    assert trained(places["audio"], tmp_path / "plain", settings) == 0
    capsys.readouterr()
    assert trained(places["audio"], tmp_path / "run", settings, TAUGHT) == code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert told in line


@pytest.mark.parametrize("settings", ["predict='x0'", "length=1", "vlb_weight=-1", "values=10", "reach=0"])
def test_wrong_settings_are_refused_by_name(settings, places, tmp_path, capsys):
    assert trained(places["audio"], tmp_path / "run", f"objective={{use='hybrid-vlb', {settings}}}") == 2
    assert f"'{settings.partition('=')[0]}': expected" in capsys.readouterr().err


def test_commands_know_it(capsys):
    assert main(["list", "objective", "--json"]) == 0
    assert "hybrid-vlb" in {row["name"] for row in json.loads(capsys.readouterr().out)}
    assert main(["show", "objective/hybrid-vlb"]) == 0
    assert "vlb_weight" in capsys.readouterr().out
