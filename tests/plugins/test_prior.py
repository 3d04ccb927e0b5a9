"""Embeddings: the joint encoder and its loss, the prior over embeddings, their decoder, and all as one pipeline."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from noiseform import ConfigError, MediaSpec, build, image
from noiseform.core.cli.main import main
from noiseform.core.diffusion.noise import Key
from noiseform.core.pipeline.loading import load_pipeline
from noiseform.core.pipeline.running import Running
from noiseform.core.pipeline.source import SOURCE, Items, Source
from noiseform.core.pipeline.stage import Stage
from noiseform.core.registration.registry import current, load_registry, use_registry
from noiseform.core.registration.toml_file import read_toml
from noiseform.core.storage.model_folder import load_model_folder
from noiseform.core.training.recipe import read_recipe
from noiseform.core.training.trainer import train
from noiseform.modalities.image.picture import Image
from noiseform.plugins.codecs.contrast import Contrast, info_nce
from torch.testing import assert_close

SMALL = {"width": 12, "channels": [16, 16], "text_width": 16, "text_depth": 1, "heads": 2, "words": 32}
PICTURE = MediaSpec((3, 8, 8), (None, None), 0.0, 1.0)


def encoder(spec: MediaSpec = PICTURE, **settings: object) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build("codec", "contrastive", **{**SMALL, **settings}, media=spec).eval()


# The loss


def units(*shape: int, seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=-1)


@pytest.mark.parametrize("scale", [0.5, 14.0, 100.0])
def test_loss_of_orthogonal_pairs_and_its_slope_in_closed_form(scale):
    """Each finds its partner among n - 1 others of cosine 0: the loss is log(1 + (n - 1) exp(-scale))."""
    wanted = torch.tensor(scale, requires_grad=True)
    loss = info_nce(torch.eye(5), torch.eye(5), wanted, torch.zeros(5, 5, dtype=torch.bool))
    assert_close(loss, torch.tensor(math.log1p(4 * math.exp(-scale))))
    loss.backward()
    assert_close(wanted.grad, torch.tensor(-4 * math.exp(-scale) / (1 + 4 * math.exp(-scale))))


def test_loss_is_the_mean_of_both_directions():
    first, second = units(6, 4), units(6, 4, seed=1)
    none = torch.zeros(6, 6, dtype=torch.bool)
    cosine = 3.0 * (first.double() @ second.double().T)
    there = (cosine.diagonal() - cosine.logsumexp(1)).mean()
    back = (cosine.diagonal() - cosine.logsumexp(0)).mean()
    assert abs(there - back) > 1e-3
    scale = torch.tensor(3.0)
    assert_close(info_nce(first, second, scale, none), -(there + back).float() / 2)
    assert_close(info_nce(first, second, scale, none), info_nce(second, first, scale, none))


def test_gradient_is_how_far_the_guesses_are_off():
    """That is scale * (guesses - truth) @ partners, halved for each direction and averaged over the batch."""
    first, second = units(6, 4).requires_grad_(), units(6, 4, seed=1)
    info_nce(first, second, torch.tensor(3.0), torch.zeros(6, 6, dtype=torch.bool)).backward()
    cosine = 3.0 * first.detach() @ second.T
    off = (cosine.softmax(1) + cosine.softmax(0)) / 2 - torch.eye(6)
    assert_close(first.grad, 3.0 * off @ second / 6)


def test_equal_captions_are_not_held_against_each_other():
    codec, media = encoder(), torch.rand(3, 3, 8, 8)
    texts = [{"text": "red"}, {"text": "blue"}, {"text": "red"}]
    ((name, loss),) = Contrast().updates(codec, media, torch.empty(0), 0, texts)
    assert name == "model"
    cosine = codec.log_scale.exp() * codec.seen(media) @ codec.said(["red", "blue", "red"]).T
    cosine = cosine.double().masked_fill(torch.tensor([[0, 0, 1], [0, 0, 0], [1, 0, 0]]).bool(), -math.inf)
    both = 2 * cosine.diagonal() - cosine.logsumexp(1) - cosine.logsumexp(0)
    assert_close(loss.double(), -both.mean() / 2, atol=1e-5, rtol=1e-5)


def test_temperature_learns_within_its_bound():
    codec, media = encoder(), torch.rand(4, 3, 8, 8)
    assert_close(codec.log_scale.exp().item(), 1 / 0.07, rtol=1e-5, atol=0)
    codec.log_scale.data.fill_(9.0)
    ((_, loss),) = Contrast(coldest=0.02).updates(codec, media, torch.empty(0), 0, [{"text": one} for one in "abcd"])
    assert_close(codec.log_scale.exp().item(), 50.0, rtol=1e-5, atol=0)
    loss.backward()
    assert codec.log_scale.grad.abs() > 0
    with pytest.raises(ConfigError, match="a contrast takes two items at least"):
        next(Contrast().updates(codec, media[:1], torch.empty(0), 0, [{"text": "a"}]))


# The joint encoder


@pytest.mark.parametrize(
    ("shape", "rates"),
    [((1, 203), (8000.0,)), ((3, 17, 22), (None, None)), ((2, 5, 9, 8), (8.0, None, None))],
    ids=["sound", "picture", "film"],
)
def test_one_embedding_for_an_item_of_any_rank(shape, rates):
    codec = encoder(MediaSpec(shape, rates, -1.0, 1.0), patch=2)
    media = torch.rand(3, *shape) * 2 - 1
    latent = codec.encode(media)
    assert tuple(latent.shape) == (3, *codec.shape(shape)) == (3, 12)
    assert_close(codec.seen(media).norm(dim=1), torch.ones(3))
    assert_close(codec.encode(media[1:2]), latent[1:2], atol=1e-4, rtol=0)
    with pytest.raises(
        ConfigError, match=r"^codec 'contrastive': an embedding is no medium; put a stage with the cond"
    ):
        codec.decode(latent, shape)


def test_latents_have_unit_variance_and_keep_their_angles():
    codec, media = encoder(), torch.rand(50, 3, 8, 8)
    before = codec.similarity(codec.encode(media), codec.described([{"text": "red"}, {}]))
    assert_close(before, codec.seen(media) @ codec.said(["red", None]).T)
    codec.measure([codec.posterior(one)[0] for one in media.split(1)])
    latents = codec.encode(media).double()
    assert_close(latents.mean(0), torch.zeros(12).double(), atol=1e-5, rtol=0)
    assert_close(latents.std(0, correction=0), torch.ones(12).double(), atol=1e-3, rtol=0)
    assert_close(codec.similarity(codec.encode(media), codec.described([{"text": "red"}, {}])), before)


def test_pictures_are_seen_at_the_size_that_it_learnt_from():
    small, large = encoder(), encoder(MediaSpec((3, 32, 24), (None, None), 0.0, 1.0))
    large.load_state_dict(small.state_dict())
    wide = torch.rand(1, 3, 32, 24)
    picture = torch.nn.functional.interpolate(wide, (8, 8), mode="bilinear", antialias=True)
    assert_close(large.seen(wide), small.seen(picture))
    # Sounds are as long as they are.
    short, long = (encoder(MediaSpec((1, length), (8000.0,), -1.0, 1.0)) for length in (64, 128))
    long.load_state_dict(short.state_dict())
    seen: list[torch.Tensor] = []
    long.encoder.register_forward_hook(lambda module, given, made: seen.append(given[0]))
    long.encode(torch.zeros(1, 1, 128))
    assert seen[0].shape[1] == 128


# The network


def network(**settings: object) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = build("network", "prior", width=32, depth=2, heads=2, channels_in=5, **settings).eval()
        assert not made(torch.randn(2, 5), torch.rand(2), conditioning(2, settings)).any()  # before any training
        torch.nn.init.normal_(made.head.weight)
    return made


def conditioning(rows: int, widths: dict[str, object]) -> dict[str, torch.Tensor]:
    drawn = torch.Generator().manual_seed(1)
    cond = {}
    if "vector_width" in widths:
        cond["vector"] = torch.randn(rows, widths["vector_width"], generator=drawn)
    if "sequence_width" in widths:
        cond["sequence"] = torch.randn(rows, 4, widths["sequence_width"], generator=drawn)
        cond["sequence_mask"] = torch.tensor([[True, True, True, False]] * rows)
    return cond


WIDTHS = [{}, {"vector_width": 6}, {"sequence_width": 7}, {"vector_width": 6, "sequence_width": 7}]


@pytest.mark.parametrize("widths", WIDTHS, ids=["none", "vector", "sequence", "both"])
def test_network_hears_all_that_it_is_told(widths):
    net, x, time, cond = network(**widths), torch.randn(2, 5), torch.tensor([0.2, 0.7]), conditioning(2, widths)
    with torch.no_grad():
        out = net(x, time, cond)
        assert out.shape == x.shape
        assert_close(net(x[1:], time[1:], {name: one[1:] for name, one in cond.items()}), out[1:])
        assert not torch.allclose(net(x + 0.1, time, cond), out)
        assert not torch.allclose(net(x, time + 0.1, cond), out)
        for name in ("vector", "sequence"):
            if name in cond:
                assert not torch.allclose(net(x, time, {**cond, name: cond[name] + 0.1}), out), name
        if "sequence" in cond:  # what the mask leaves out has no say
            other = cond["sequence"].clone()
            other[:, 3] = 9.0
            assert_close(net(x, time, {**cond, "sequence": other}), out)
            whole = {name: one for name, one in cond.items() if name != "sequence_mask"}
            assert not torch.allclose(net(x, time, whole), out)


def test_network_gives_as_much_as_it_is_asked_for():
    assert network(channels_out=10)(torch.randn(2, 5), torch.rand(2), {}).shape == (2, 10)


# The conditioner


def conditioner(**settings: object) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(
            "conditioner", "embedding", codec={"use": "contrastive", **SMALL}, width=16, **settings, media=PICTURE
        )


def shown(one: torch.nn.Module, media: torch.Tensor, u: float) -> torch.Tensor:
    rows = len(media)
    return one.shown(Items(media, media, torch.full((rows, 4), u), lambda shape: torch.ones(rows, *shape), PICTURE))[
        "embedding"
    ]


def test_embedding_is_disturbed_in_training_and_nothing_else_is():
    one, media = conditioner(noise=0.8), torch.rand(3, 3, 8, 8)
    latent = one.encoder.encode(media)
    assert_close(shown(one, media, 0.0), torch.cat([latent, torch.ones(3, 1)], 1))
    assert_close(shown(one, media, 0.5), torch.cat([math.sqrt(1 - 0.16) * latent + 0.4, torch.full((3, 1), 0.6)], 1))


def test_embedding_of_a_stage_or_of_media_or_none():
    one, media = conditioner(tokens=3, level=0.0), torch.rand(2, 3, 8, 8)
    own = one._table
    far = torch.full((12,), 5.0)

    def source(latent: torch.Tensor | None, codec: object = own) -> Source:
        return Source(lambda: media[1], lambda shape: torch.ones(*shape), latent, codec, lambda: media[0])

    rows = one.encode([{SOURCE: source(far)}, {SOURCE: source(None)}, {SOURCE: source(far, None)}, {}])["embedding"]
    seen = one.encoder.encode(media[:1])[0]
    certain = torch.ones(1)
    assert_close(rows[:3], torch.stack([torch.cat([latent, certain]) for latent in (far, seen, seen)]))
    assert not rows[3].any()
    assert_close(one.null({"embedding": rows})["embedding"][0], rows[3])
    given = one({"embedding": rows})
    assert {name: tuple(value.shape) for name, value in given.items()} == {"vector": (4, 16), "sequence": (4, 3, 16)}
    assert one.outputs == {"vector": 16, "sequence": 16}
    assert conditioner().outputs == {"vector": 16}


def test_encoder_never_learns():
    one = conditioner().train()
    assert one.training
    assert not any(part.training for part in one.encoder.modules())
    assert not any(parameter.requires_grad for parameter in one.encoder.parameters())
    assert all(parameter.requires_grad for parameter in one.first.parameters())


def test_conditioner_wants_one_embedding():
    for codec in ({"use": "identity"}, {"use": "kl-vae", "channels": [8]}):
        with pytest.raises(ConfigError, match=r"^conditioner embedding: codec .* expected one embedding"):
            build("conditioner", "embedding", codec=codec, media=PICTURE)


# The three trainings, and what comes of them

COLOURS = {"red": (1.0, 0.1, 0.1), "green": (0.1, 1.0, 0.1), "blue": (0.2, 0.2, 1.0), "white": (1.0, 1.0, 1.0)}
TRAINING = """
[data]
captions = "table"
[training]
batch_size = 12
warmup = 5
ema = 0.9
learning_rate = 3e-3
weights = "fp32"
checkpoint_every = 1000
sample_every = 1000
samples = 4
steps = {steps}
"""
HEAD = 'modality = "image"\nsummary = "coloured stripes"\n[media]\nheight = {size}\nwidth = {size}\n'
JOINT = """
[codec]
use = "contrastive"
width = 12
channels = [16, 16]
text_width = 16
text_depth = 1
heads = 2
words = 64
"""
STAGE = """
[[stages]]
process = {{ use = "vp-cosine" }}
objective = {{ use = "x0", weighting = "min-snr" }}
guidance = {{ use = "cfg", scale = 1.5 }}
grid = {{ use = "log-snr" }}
steps = 4
{rest}
"""
PRIOR = """
network = { use = "prior", width = 32, depth = 2, heads = 2 }
codec = { use = "contrastive", weights = "JOINT" }
conditioners = [{ use = "text", width = 16, depth = 1, heads = 2, words = 64 }]
"""
DECODER = """
name = "decoder"
network = { use = "unet-2d", channels = [8, 16], blocks = 1, head_width = 8, embedding = 16 }
codec = { use = "identity", scale = 2.0 }
conditioners = [{ use = "embedding", codec = { use = "contrastive", weights = "JOINT" }, width = 16, tokens = 2 }]
"""


@pytest.fixture(scope="module")
def stripes(tmp_path_factory) -> Path:
    """Give a folder of twelve pictures with their captions."""
    folder = tmp_path_factory.mktemp("stripes")
    row, column = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    lines = ["file,caption"]
    for kind, on in (("rows", row % 2), ("columns", column % 2), ("board", (row + column) % 2)):
        for colour, values in COLOURS.items():
            Image(on * torch.tensor(values)[:, None, None]).save(folder / f"{colour}-{kind}.png")
            lines.append(f"{colour}-{kind}.png,{colour} {kind}")
    (folder / "captions.csv").write_text("\n".join(lines))
    return folder


def run(recipe: str, data: Path, folder: Path, *settings: str, **wishes: object) -> list[float]:
    """Train as the command line does; return the losses."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.parent / f"{folder.name}.toml"
    path.write_text(recipe)
    wanted = read_recipe(path, settings=settings)
    modality = build("modality", wanted.modality)
    losses: list[float] = []
    train(
        wanted,
        lambda: modality.dataset(data, modality.spec(wanted.items), wanted.data),
        modality,
        folder,
        observers=(lambda step: losses.append(step.loss),),
        **wishes,
    )
    return losses


def joint_recipe(steps: int = 60) -> str:
    return HEAD.format(size=8) + JOINT + TRAINING.format(steps=steps)


def stage_recipe(rest: str, joint: Path, steps: int, size: int = 8) -> str:
    stage = STAGE.format(rest=rest.replace("JOINT", str(joint)))
    training = TRAINING.format(steps=steps)
    if "text" not in rest:  # who takes no captions is given none
        training = training.replace('captions = "table"', 'labels = "none"')
    return HEAD.format(size=size) + stage + training


@pytest.fixture(scope="module")
def models(tmp_path_factory, stripes) -> Path:
    """Give a folder with the three runs, and a registry that makes one pipeline of two of them."""
    folder = tmp_path_factory.mktemp("embeddings")
    losses = run(joint_recipe(), stripes, folder / "joint", "training.sample_every=60")
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    prior = stage_recipe(PRIOR, folder / "joint", 60)
    losses = run(prior, stripes, folder / "prior", "training.sample_every=60")
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    run(stage_recipe(DECODER, folder / "joint", 12, size=16), stripes, folder / "decoder", "training.sample_every=12")
    (folder / "registry.toml").write_text(
        'schema = 1\n[pipelines.stripes]\nmodality = "image"\nmedia = { height = 16, width = 16 }\n'
        f'[[pipelines.stripes.stages]]\nname = "prior"\nweights = "{folder / "prior"}"\n'
        f'[[pipelines.stripes.stages]]\nname = "decoder"\nweights = "{folder / "decoder"}"\n'
    )
    return folder


def generate(models: Path, *more: str) -> int:
    line = ["--registry", str(models / "registry.toml"), "generate", "image", "stripes", "--quiet", *more]
    return main(line)


def test_each_training_draws_what_there_is_to_see(models):
    for name, step in (("joint", 60), ("prior", 60), ("decoder", 12)):
        assert (models / name / "samples" / f"step-{step:08d}.png").stat().st_size > 500, name


def test_joint_encoder_tells_captions_apart(models, stripes):
    _, weights = load_model_folder(models / "joint")
    codec = encoder(words=64)
    codec.load_state_dict(weights["codec"])
    names = [f"{colour} {kind}" for colour in COLOURS for kind in ("rows", "columns", "board")]
    media = torch.stack([image.read(stripes / f"{name.replace(' ', '-')}.png").pixels for name in names])
    latents = codec.encode(media)
    best = codec.similarity(codec.described([{"text": name} for name in names]), latents).argmax(1)
    assert (best == torch.arange(len(names))).float().mean() > 0.6
    assert_close(latents.mean(0), torch.zeros(12), atol=1e-3, rtol=0)
    assert_close(latents.std(0, correction=0), torch.ones(12), atol=1e-2, rtol=0)


def prior_of(models: Path) -> Stage:
    use_registry(load_registry(models / "registry.toml"))
    return load_pipeline("stripes", "image").stages[0]


def test_every_sampler_makes_embeddings(models):
    stage, keys = prior_of(models), (Key(0),)
    for part in current().plugins.parts("sampler"):
        made = Running("test", replace(stage, sampler=build("sampler", part.name)), keys).window([{}], keys)
        assert made.shape == (1, 12), part.name
        assert 0.1 < made.std() < 10, part.name


def test_prior_learns_a_variance(models, stripes, tmp_path):
    objective = "stages.0.objective={use='hybrid-vlb', predict='v'}"
    recipe = stage_recipe(PRIOR, models / "joint", 2)
    assert all(map(math.isfinite, run(recipe, stripes, tmp_path / "run", objective, "training.sample_every=1")))


def test_prior_draws_by_the_key_alone(models):
    stage = prior_of(models)
    assert stage.latent_shape == (12,)
    keys = tuple(Key(3, item=item) for item in range(3))
    wishes = [{"text": "red rows"}, {"text": "blue board"}, {"text": "red rows"}]
    whole = Running("test", stage, keys).window(wishes, keys)
    assert whole.shape == (3, 12)
    assert torch.equal(Running("test", stage, keys).window(wishes, keys), whole)
    for row in range(3):
        alone = Running("test", stage, keys[row : row + 1]).window(wishes[row : row + 1], keys[row : row + 1])
        assert_close(alone, whole[row : row + 1], atol=1e-4, rtol=0)
    assert not torch.allclose(whole[0], whole[2])


def test_two_stages_by_one_command_and_again(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert generate(models, "--prompt", "red rows", "-n", "2", "-o", "x.png", "--previews", "seen") == 0
    first = image.read("x-0001.png")
    assert first.pixels.shape == (3, 16, 16)
    assert first.record["weights"].keys() == {"prior", "prior.codec", "decoder"}
    assert [stage["name"] for stage in first.record["config"]["stages"]] == ["prior", "decoder"]
    assert str(models) not in json.dumps(first.record)
    assert {path.name.split("-")[2] for path in Path("seen").iterdir()} == {"decoder"}  # of an embedding is no preview
    before = Path("x-0001.png").read_bytes()
    assert main(["--registry", str(models / "registry.toml"), "replay", "x-0001.png", "-o", "again.png"]) == 0
    assert Path("again.png").read_bytes() == before
    assert generate(models, "--prompt", "blue board", "-n", "2", "-o", "y.png") == 0
    assert not torch.equal(image.read("y-0001.png").pixels, first.pixels)


def test_model_folder_of_the_decoder_is_whole(models, stripes):
    table = read_toml(models / "decoder" / "pipeline.toml").table
    assert (
        table["stages"][0]["conditioners"][0]["codec"] == read_toml(models / "joint" / "pipeline.toml").table["codec"]
    )
    for path in ("pipeline.toml", "manifest.json"):
        assert str(models) not in (models / "decoder" / path).read_text()
    _, joint = load_model_folder(models / "joint")
    _, decoder = load_model_folder(models / "decoder")
    assert decoder.keys() == {"decoder"}
    for name, value in joint["codec"].items():
        assert torch.equal(decoder["decoder"][f"conditioners.0.encoder.{name}"], value), name


def test_decoder_makes_variations_of_a_picture(models, stripes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = [
        image.upscale(stripes / name, pipeline=str(models / "decoder"), seed=seed).pixels
        for name, seed in (("red-rows.png", 0), ("red-rows.png", 0), ("red-rows.png", 1), ("blue-board.png", 0))
    ]
    assert made[0].shape == (3, 16, 16)
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert not torch.equal(made[0], made[3])


@pytest.mark.parametrize("name", ["prior", "decoder"])
def test_interrupted_training_goes_on_to_the_last_bit(models, stripes, tmp_path, name):
    recipe = (models / f"{name}.toml").read_text()
    steps = {"prior": 60, "decoder": 12}[name]
    every = f"training.sample_every={steps}"
    for until in (7, None):
        run(recipe, stripes, tmp_path / name, every, resume=True, until=until)
    assert (tmp_path / name / "log.jsonl").read_bytes() == (models / name / "log.jsonl").read_bytes()
    names = [{path.name for path in (one / name).glob("*.safetensors")} for one in (tmp_path, models)]
    assert names[0] == names[1]  # which hold the sha256 of what is in them


def test_two_joint_encoders_do_not_mix(models, stripes, tmp_path, capsys):
    run(joint_recipe(2), stripes, tmp_path / "joint", "training.seed=1")
    run(stage_recipe(PRIOR, tmp_path / "joint", 2), stripes, tmp_path / "prior")
    registry = (models / "registry.toml").read_text().replace(str(models / "prior"), str(tmp_path / "prior"))
    (tmp_path / "registry.toml").write_text(registry)
    assert generate(tmp_path, "--prompt", "red rows", "-o", str(tmp_path / "x.png")) == 2
    assert "trained with another joint encoder than the stage before it" in capsys.readouterr().err


def test_weights_of_another_precision_are_the_same_encoder(models, stripes, tmp_path):
    recipe = stage_recipe(PRIOR, models / "joint", 2)
    run(recipe, stripes, tmp_path / "prior", "training.weights=bf16")
    registry = (models / "registry.toml").read_text().replace(str(models / "prior"), str(tmp_path / "prior"))
    (tmp_path / "registry.toml").write_text(registry)
    assert generate(tmp_path, "--prompt", "red rows", "-o", str(tmp_path / "x.png")) == 0


def refused(recipe: str, data: Path, folder: Path, *settings: str) -> str:
    with pytest.raises(ConfigError) as caught:
        run(recipe, data, folder, *settings)
    (line,) = str(caught.value).splitlines()
    return line


def test_what_does_not_go_together_is_told_in_a_line(models, stripes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    away = tmp_path / "run"
    assert 'captions = "table"' in refused(joint_recipe(), stripes, away, "data.captions=none")
    assert "a contrast takes two items" in refused(joint_recipe(), stripes, tmp_path / "a", "training.batch_size=1")
    prior, decoder = (stage_recipe(one, models / "joint", 2) for one in (PRIOR, DECODER))
    table = "stages.0.conditioners=[{use='embedding', codec={use='contrastive'}}]"
    assert "its codec has to be trained first" in refused(decoder, stripes, away, table)
    table = "stages.0.network={use='dit', width=16, depth=1, heads=2}"
    assert "takes items of 2 axes of space, but codec 'contrastive' gives 0" in refused(prior, stripes, away, table)
    table = "stages.0.network={use='prior'}"
    assert "takes items of 0 axes of space, but codec 'identity' gives 2" in refused(decoder, stripes, away, table)
    wrong = decoder.replace('weights = "/', 'width = 7, weights = "/')
    assert "was trained with 12; leave it out" in refused(wrong, stripes, away)
    assert "there is no such folder" in refused(prior.replace(str(models), "nowhere"), stripes, away)
    with pytest.raises(
        ConfigError, match="it makes embeddings, which are no media; put a stage with the conditioner em"
    ):
        image.generate(str(models / "prior"), prompt="red rows")
    with pytest.raises(ConfigError, match="noiseform upscale image"):
        image.generate(str(models / "decoder"))
    line = [
        "edit",
        "image",
        str(stripes / "red-rows.png"),
        "--pipeline",
        "stripes",
        "--strength",
        "0.5",
        "-o",
        "e.png",
        "--quiet",
    ]
    assert main(["--registry", str(models / "registry.toml"), *line]) == 2
    assert "one embedding for an item" in capsys.readouterr().err
