"""Pipelines that diffusers wrote, converted: from the same noise the same pictures as diffusers' own pipelines make."""

from __future__ import annotations

import importlib
import json
import re
import resource
import sys

import pytest
import torch
from noiseform import image
from noiseform.core.cli.main import main
from noiseform.core.diffusion.noise import Draws, Key
from noiseform.core.diffusion.process import levels_at
from noiseform.core.errors import CheckpointError, ConfigError, NoiseformError, PluginError, ResourceError
from noiseform.core.pipeline.conversion import convert
from noiseform.core.storage.model_folder import read_model_folder
from noiseform.core.storage.weights import load_tensors, save_tensors
from torch.testing import assert_close

# diffusers' own: numpy 2 warns of how it turns tensors into arrays, and it of pipelines that it deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
CLOSE = {"rtol": 0, "atol": 1e-4}
PIPELINES = {
    "DDPMPipeline": "ddpm.pipeline_ddpm",
    "DDIMPipeline": "ddim.pipeline_ddim",
    "LDMPipeline": "deprecated.latent_diffusion_uncond.pipeline_latent_diffusion_uncond",
    "DiTPipeline": "dit.pipeline_dit",
}


def change(file, **options):
    """Change options of a JSON file; those that are ... are taken out."""
    table = json.loads(file.read_text()) | options
    file.write_text(json.dumps({key: value for key, value in table.items() if value is not ...}))


def start(loaded, steps, scheduler, seed=0):
    """Return the keyed noise that ours starts from, as a pipeline of diffusers' takes it."""
    (stage,) = loaded.stages
    first = levels_at(stage.process, stage.grid.times(stage.process, steps))[0]
    noise = Draws().normal([Key(seed)], stage.latent_shape, purpose="prior") * first.sigma
    scale = 1.0 if scheduler.init_noise_sigma == 1 else first.alpha * float(scheduler.init_noise_sigma)  # in x / alpha
    return noise / scale


def same(pipe, folder, out, monkeypatch, *, steps=10, theirs=None, **wishes):
    """Compare a picture of diffusers' with ours, both from the same noise, and give how much values differ in it."""
    convert(folder, out)
    loaded = image.load(
        f"{out}", steps=steps, **({} if "guidance" not in wishes else {"guidance": wishes.pop("guidance")})
    )
    draws, calls = Draws(), iter(range(steps))
    noise = start(loaded, steps, pipe.scheduler)

    def fresh(shape, **options):
        return draws.normal([Key(0)], tuple(shape)[1:], purpose="step", step=next(calls))

    module = importlib.import_module(f"diffusers.pipelines.{PIPELINES[type(pipe).__name__]}")
    monkeypatch.setattr(module, "randn_tensor", lambda shape, **options: noise)
    monkeypatch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", fresh)
    expected = pipe(num_inference_steps=steps, output_type="np", **(theirs or {})).images
    (made,) = image.generate(loaded, **wishes)
    assert_close(made.pixels, torch.from_numpy(expected)[0].permute(2, 0, 1), **CLOSE)
    return made.pixels.std().item()


TABLES = [
    {},
    {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    {"beta_schedule": "squaredcos_cap_v2"},
]


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clip_sample": False},
        {"clip_sample_range": 0.7, "timestep_spacing": "trailing"},
        {"steps_offset": 1, "set_alpha_to_one": False},
    ],
)
def test_ddim(diffusers, make, tmp_path, monkeypatch, table, options, prediction):
    scheduler = diffusers.DDIMScheduler(**table, **options, prediction_type=prediction)
    assert same(*make("DDIMPipeline", scheduler), tmp_path / "ours", monkeypatch) > 0.02


def test_ddim_with_zero_terminal_snr(diffusers, make, tmp_path, monkeypatch):
    options = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}
    same(*make("DDIMPipeline", diffusers.DDIMScheduler(**options)), tmp_path / "ours", monkeypatch)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("table", [*TABLES, {"beta_schedule": "sigmoid"}])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"variance_type": "fixed_large"},
        {"clip_sample": False, "timestep_spacing": "trailing", "variance_type": "fixed_small_log"},
        {"timestep_spacing": "linspace"},
    ],
)
def test_ddpm(diffusers, make, tmp_path, monkeypatch, table, options, prediction):
    scheduler = diffusers.DDPMScheduler(**table, **options, prediction_type=prediction)
    assert same(*make("DDPMPipeline", scheduler), tmp_path / "ours", monkeypatch, steps=20) > 0.02


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_ddpm_of_learned_variance(diffusers, models, make, tmp_path, monkeypatch, prediction):
    small = models["pixels"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        both = diffusers.UNet2DModel.from_config(small.config, out_channels=6).eval()
    monkeypatch.setitem(models, "pixels", both)
    scheduler = diffusers.DDPMScheduler(variance_type="learned_range", prediction_type=prediction)
    assert same(*make("DDPMPipeline", scheduler), tmp_path / "ours", monkeypatch, steps=20) > 0.02


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("DDIM", {"clip_sample": False}),
        ("EulerDiscrete", {"timestep_spacing": "trailing"}),
        ("EulerDiscrete", {"timestep_spacing": "leading", "steps_offset": 1, "prediction_type": "v_prediction"}),
        ("DPMSolverMultistep", {}),
        ("DPMSolverMultistep", {"timestep_spacing": "leading", "steps_offset": 1}),
        ("DPMSolverMultistep", {"timestep_spacing": "trailing", "prediction_type": "v_prediction"}),
    ],
)
def test_latent_diffusion(diffusers, make, tmp_path, monkeypatch, name, options):
    scheduler = getattr(diffusers, f"{name}Scheduler")(**TABLES[1], **options)
    assert same(*make("LDMPipeline", scheduler), tmp_path / "ours", monkeypatch, steps=20) > 0.02


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_dit(diffusers, make, tmp_path, monkeypatch, guidance):
    pipe, folder = make("DiTPipeline", diffusers.DDIMScheduler(clip_sample=False))
    change(folder / "model_index.json", id2label={str(number): f"word{number}, bird" for number in range(1000)})
    theirs = {"class_labels": [207], "guidance_scale": guidance}
    wishes = {"label": "word207", "guidance": guidance}
    assert same(pipe, folder, tmp_path / "ours", monkeypatch, theirs=theirs, **wishes) > 0.02
    with pytest.raises(ConfigError, match="'bird' is the name of the classes 0 and 1 and"):
        image.generate(f"{tmp_path / 'ours'}", label="bird")


@pytest.mark.parametrize("options", [{"steps_offset": 1, "clip_sample": False}, {}])
def test_stable_diffusion(diffusers, make, tmp_path, options):
    options = {"set_alpha_to_one": False, **options}
    pipe, folder = make("StableDiffusionPipeline", diffusers.DDIMScheduler(**TABLES[1], **options))
    convert(folder, tmp_path / "ours")
    pictures = []
    for guidance, prompt, negative in (
        (7.5, "a hat", None),
        (3.0, "a hat", "red"),
        (1.0, "a very long hat " * 9, None),
    ):
        loaded = image.load(f"{tmp_path / 'ours'}", guidance=guidance, steps=10)
        theirs = pipe(
            prompt,
            negative_prompt=negative,
            guidance_scale=guidance,
            num_inference_steps=10,
            latents=start(loaded, 10, pipe.scheduler),
            output_type="np",
        )
        wishes = {"prompt": prompt, "negative_prompt": negative}
        if len(prompt) > 50:
            with pytest.warns(UserWarning, match="only the start is read"):
                (made,) = image.generate(loaded, **wishes)
        else:
            (made,) = image.generate(loaded, **wishes)
        assert_close(made.pixels, torch.from_numpy(theirs.images)[0].permute(2, 0, 1), **CLOSE)
        pictures.append(made.pixels)
    assert (pictures[0] - pictures[1]).abs().max() > 1e-3  # the words matter, even to networks drawn at random


def test_what_the_command_says(diffusers, make, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, folder = make(
        "StableDiffusionPipeline", diffusers.PNDMScheduler(**TABLES[1], skip_prk_steps=True, steps_offset=1)
    )
    change(folder / "model_index.json", safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])
    assert main(["convert", "theirs", "models"]) == 0
    told = capsys.readouterr()
    assert "noiseform generate image ./models" in told.out
    assert "note: scheduler: PNDM becomes dpmpp-2m" in told.err
    assert "note: safety_checker is left out" in told.err
    assert main(["generate", "image", "./models", "--prompt", "a hat", "--steps", "2", "-o", "hat.png"]) == 0
    (tmp_path / "models").rename(tmp_path / "elsewhere")  # nothing in it says where it was
    assert main(["replay", "hat.png", "--pipeline", "./elsewhere"]) == 0


def test_a_model_is_replaced_whole_and_on_demand(diffusers, make, models, tmp_path):
    out = tmp_path / "ours"
    _, folder = make("StableDiffusionPipeline", diffusers.DDIMScheduler(**TABLES[1], clip_sample=False))
    convert(folder, out)
    before = {path.name for path in out.iterdir()}
    with pytest.raises(ConfigError, match="it exists; choose another name, or replace it with --overwrite"):
        convert(folder, out)
    mine = out / "samples-20261121" / "mine.txt"  # which could be one of ours by its name
    mine.parent.mkdir()
    mine.touch()
    changed = {name: tensor * 1.5 for name, tensor in load_tensors(folder / "text_encoder/model.safetensors").items()}
    save_tensors(folder / "text_encoder/model.safetensors", changed, {"format": "pt"}, overwrite=True)
    convert(folder, out, overwrite=True)
    assert mine.exists()
    after = {path.name for path in out.iterdir()}
    assert len(after) == len(before) + 1
    assert len(after - before) == 3  # the text encoder, the weights that remember its sha256, and what is the user's
    image.generate(f"{out}", prompt="a hat", steps=1)
    change(folder / "unet/config.json", cross_attention_dim=48)
    with pytest.raises(NoiseformError):
        convert(folder, out, overwrite=True)
    assert {path.name for path in out.iterdir()} == after
    image.generate(f"{out}", prompt="a hat", steps=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "theirs"]


@pytest.mark.parametrize("form", ["sharded", "variant", "pickle", "old names"])
def test_ways_of_storing_weights(diffusers, make, models, tmp_path, form):
    pipe, folder = make("DDIMPipeline", diffusers.DDIMScheduler())
    file = folder / "unet/diffusion_pytorch_model.safetensors"
    convert(folder, tmp_path / "plain")
    tensors, pickles = load_tensors(file), False
    if form == "sharded":
        pipe.unet.save_pretrained(folder / "unet", max_shard_size="100KB")
        assert (folder / "unet/diffusion_pytorch_model.safetensors.index.json").is_file()
        file.unlink(missing_ok=True)
    elif form == "variant":
        file.rename(file.with_name("diffusion_pytorch_model.fp16.safetensors"))
    elif form == "pickle":
        torch.save(tensors, file.with_suffix(".bin"))
        file.unlink()
        with pytest.raises(CheckpointError, match=r"is a pickle, which can run code .* --allow-pickle"):
            convert(folder, tmp_path / "ours")
        pickles = True
    else:
        old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
        for new, name in old.items():
            tensors = {key.replace(f".{new}.", f".{name}."): value for key, value in tensors.items()}
        assert any(".query." in name for name in tensors)
        save_tensors(file, tensors, overwrite=True)
    found = convert(folder, tmp_path / "ours", pickles=pickles)
    assert ("fp16" in "".join(found.notes)) == (form == "variant")
    plain, ours = (read_model_folder(tmp_path / name) for name in ("plain", "ours"))
    assert ours.sha256("base") == plain.sha256("base")


SCHEDULERS = [
    (
        "UniPCMultistepScheduler",
        {},
        "UniPCMultistepScheduler cannot be translated; those that can: DDPMScheduler, DDIM",
    ),
    ("DDPMScheduler", {"thresholding": True}, "thresholding = True"),
    ("DDPMScheduler", {"trained_betas": [0.1, 0.2]}, r"trained_betas = \[0.1, 0.2\]"),
    ("DDPMScheduler", {"beta_schedule": "laplace"}, "beta_schedule = 'laplace'.* squaredcos_cap_v2, sigmoid it does"),
    ("DDPMScheduler", {"variance_type": "learned"}, "variance_type = 'learned'"),
    (
        "DDPMScheduler",
        {"variance_type": "learned_range", "prediction_type": "sample"},
        "variance_type = 'learned_range'.* together with prediction_type sample",
    ),
    ("DDPMScheduler", {"variance_type": "learned_range", "steps_offset": 1}, "variance_type = 'learned_range'"),
    (
        "DDPMScheduler",
        {"variance_type": "fixed_large", "timestep_spacing": "trailing"},
        "variance_type = 'fixed_large'",
    ),
    ("DDPMScheduler", {"prediction_type": "flow"}, "prediction_type = 'flow'"),
    ("DDPMScheduler", {"num_train_timesteps": "many"}, "num_train_timesteps = 'many'"),
    ("DDPMScheduler", {"num_train_timesteps": 1}, "num_train_timesteps = 1,"),
    ("DDPMScheduler", {"num_train_timesteps": 10**400}, "num_train_timesteps = 1000"),
    ("DDPMScheduler", {"beta_start": 10**400}, "beta_start = 1000"),
    ("DDPMScheduler", {"clip_sample_range": float("nan")}, "clip_sample_range = nan"),
    ("DDIMScheduler", {"set_alpha_to_one": False}, "set_alpha_to_one = False.* steps_offset 0"),
    ("DDIMScheduler", {"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr = True.* prediction_type epsilon"),
    ("DDIMScheduler", {"clip_sample": "yes"}, "clip_sample = 'yes'"),
    ("EulerDiscreteScheduler", {"use_karras_sigmas": True}, "use_karras_sigmas = True"),
    ("DPMSolverMultistepScheduler", {"solver_order": 3}, "solver_order = 3"),
    ("DPMSolverMultistepScheduler", {"lambda_min_clipped": -5.1}, "lambda_min_clipped = -5.1"),
]


@pytest.mark.parametrize(("kind", "options", "why"), SCHEDULERS)
def test_schedulers_that_cannot_be_translated_are_named(diffusers, make, tmp_path, kind, options, why):
    _, folder = make("DDPMPipeline", diffusers.DDPMScheduler())
    if kind == "DDPMScheduler":  # which has no such option, so that it makes no difference there
        options = {"set_alpha_to_one": False, **options}
    file = folder / "scheduler/scheduler_config.json"
    change(folder / "model_index.json", scheduler=["diffusers", kind])
    file.write_text(json.dumps({"_class_name": kind, **options}))
    with pytest.raises(CheckpointError, match=why):
        convert(folder, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


def test_a_pipeline_of_ddim_is_run_by_ddim_whatever_its_scheduler(diffusers, make, tmp_path):
    _, folder = make("DDIMPipeline", diffusers.DDIMScheduler())
    change(folder / "model_index.json", scheduler=["diffusers", "DDPMScheduler"])
    convert(folder, tmp_path / "ours")
    assert read_model_folder(tmp_path / "ours").pipeline["stages"][0]["sampler"] == {"use": "ddim", "clip": 1.0}


def test_what_diffusers_does_on_linspace_is_told(diffusers, make, tmp_path):
    for kind in ("DDIM", "EulerDiscrete"):
        _, folder = make("LDMPipeline", getattr(diffusers, f"{kind}Scheduler")(timestep_spacing="linspace"))
        assert any("linspace" in note for note in convert(folder, tmp_path / kind).notes)


FAULTS = {
    "no class": ("model_index.json", lambda file: change(file, _class_name=...), 4, "names a None"),
    "another pipeline": ("model_index.json", lambda file: change(file, _class_name="FluxPipeline"), 4, "FluxPipeline"),
    "no unet": ("model_index.json", lambda file: change(file, unet=...), 4, "names no unet; take a whole copy"),
    "another unet": (
        "model_index.json",
        lambda file: change(file, unet=["diffusers", "UNet1DModel"]),
        4,
        "unet is a UNet1DModel, expected UNet2DModel",
    ),
    "broken JSON": ("model_index.json", lambda file: file.write_text("{"), 4, "not readable as JSON"),
    "no JSON": ("unet/config.json", lambda file: file.unlink(), 4, "unet/config.json is missing; take a whole copy"),
    "a list": ("scheduler/scheduler_config.json", lambda file: file.write_text("[]"), 4, "a JSON object was expected"),
    "a class embedding": ("unet/config.json", lambda file: change(file, num_class_embeds=9), 4, "num_class_embeds = 9"),
    "no size": ("unet/config.json", lambda file: change(file, sample_size=None), 4, "sample_size is None"),
    "other channels": ("unet/config.json", lambda file: change(file, in_channels=0), 4, "in_channels is 0"),
    "two channels": ("unet/config.json", lambda file: change(file, in_channels=2), 4, "channels"),
    "an unknown block": ("unet/config.json", lambda file: change(file, up_block_types=["X", "Y"]), 4, "cannot be made"),
    "a steep table": (
        "scheduler/scheduler_config.json",
        lambda file: change(file, beta_end=5),
        4,
        "theirs, .*beta_end",
    ),
    "another width": (
        "unet/config.json",
        lambda file: change(file, block_out_channels=[16, 40]),
        4,
        "do not fit the network: .* has shape",
    ),
    "no weights": ("unet/diffusion_pytorch_model.safetensors", lambda file: file.unlink(), 4, "unet has no weights"),
    "cut weights": (
        "unet/diffusion_pytorch_model.safetensors",
        lambda file: file.write_bytes(file.read_bytes()[:5000]),
        4,
        "weights: .*; take another copy",
    ),
    "a bad shard": (
        "unet/diffusion_pytorch_model.safetensors",
        lambda file: (
            file.rename(file.with_name("x.safetensors"))
            and file.with_suffix(".safetensors.index.json").write_text('{"weight_map": {"a": "../../x.safetensors"}}')
        ),
        4,
        "no plain name of a safetensors file",
    ),
    "a bad pickle": (
        "unet/diffusion_pytorch_model.safetensors",
        lambda file: file.unlink() or file.with_suffix(".bin").write_bytes(b"\x80\x04cos\nsystem\n."),
        4,
        "cannot be read safely",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line_and_leave_nothing(diffusers, make, tmp_path, capsys, fault):
    _, folder = make("DDIMPipeline", diffusers.DDIMScheduler())
    capsys.readouterr()
    file, change_it, code, why = FAULTS[fault]
    change_it(folder / file)
    assert main(["convert", f"{folder}", f"{tmp_path / 'ours'}", "--allow-pickle"]) == code
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert re.search(why, told), told
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


@pytest.mark.parametrize("room", [100, 1_000, 30_000, 200_000])
def test_a_full_disk_leaves_nothing_or_the_old_model(diffusers, make, tmp_path, room):
    _, folder = make("StableDiffusionPipeline", diffusers.DDIMScheduler(**TABLES[1]))
    convert(folder, tmp_path / "old")
    before = {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()}
    text = load_tensors(folder / "text_encoder/model.safetensors")
    more = {name: one * 1.5 for name, one in text.items()}
    save_tensors(folder / "text_encoder/model.safetensors", more, {"format": "pt"}, overwrite=True)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    for out in ("new", "old"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limit[1]))
        try:
            with pytest.raises(ResourceError, match="file too large"):
                convert(folder, tmp_path / out, overwrite=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "theirs"]
    assert (
        before.items()
        <= {
            path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()
        }.items()
    )
    image.generate(f"{tmp_path / 'old'}", prompt="a hat", steps=1)


def test_sources_and_targets_that_are_none(diffusers, make, tmp_path, capsys):
    _, folder = make("DDIMPipeline", diffusers.DDIMScheduler())
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("dear")
    (tmp_path / "file").write_text("x")
    ours = f"{tmp_path / 'ours'}"
    for source, out, why in (
        (f"{tmp_path / 'none'}", ours, "there is no such folder"),
        (f"{tmp_path / 'file'}", ours, "is a file"),
        (f"{tmp_path / 'full'}", ours, "no converter knows its layout; known layouts: diffusers"),
        (f"{folder}", f"{tmp_path / 'full'}", "it exists and is no model folder"),
        (f"{folder}", f"{tmp_path / 'file/x'}", "cannot be made"),
    ):
        assert main(["convert", source, out, "--overwrite"]) == 2
        assert why in capsys.readouterr().err
    assert (tmp_path / "full/letter.txt").read_text() == "dear"
    assert main(["convert", f"{folder}", f"{tmp_path / 'new/place'}", "--quiet"]) == 0
    assert main(["convert", f"{tmp_path / 'new/place'}", ours]) == 2
    assert "it is a model folder of noiseform's already" in capsys.readouterr().err


def test_without_diffusers_the_cure_is_told(diffusers, make, tmp_path, monkeypatch):
    _, folder = make("DDIMPipeline", diffusers.DDIMScheduler())
    convert(folder, tmp_path / "ours")
    monkeypatch.setitem(sys.modules, "diffusers", None)
    for use in (lambda: convert(folder, tmp_path / "other"), lambda: image.generate(f"{tmp_path / 'ours'}", steps=1)):
        with pytest.raises(PluginError, match=r"pip install 'noiseform\[diffusers\]'"):
            use()


def test_sizes_that_the_network_cannot_take_are_refused(diffusers, make, tmp_path):
    _, folder = make("DDIMPipeline", diffusers.DDIMScheduler())
    convert(folder, tmp_path / "ours")
    with pytest.raises(ConfigError, match="expected multiples of 2"):
        image.generate(f"{tmp_path / 'ours'}", steps=1, settings=["media.height=9"])
    _, folder = make("LDMPipeline", diffusers.DDIMScheduler(clip_sample=False))
    convert(folder, tmp_path / "latent")
    with pytest.raises(ConfigError, match="expected multiples of 2"):
        image.load(f"{tmp_path / 'latent'}", settings=["media.height=9"])
    assert image.generate(f"{tmp_path / 'latent'}", steps=1, settings=["media.height=20"])[0].pixels.shape == (
        3,
        20,
        16,
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["DDIMPipeline", "DiTPipeline", "StableDiffusionPipeline"])
def test_batches_and_half_precision(diffusers, make, tmp_path, name, dtype):
    _, folder = make(name, diffusers.DDIMScheduler(**TABLES[1], clip_sample=name == "DDIMPipeline"))
    convert(folder, tmp_path / "ours")
    wishes = {"DiTPipeline": {"label": "7"}, "StableDiffusionPipeline": {"prompt": "a hat"}}.get(name, {})
    one = image.generate(f"{tmp_path / 'ours'}", count=3, steps=4, **wishes)
    other = image.generate(f"{tmp_path / 'ours'}", count=3, steps=4, batch_size=3, dtype=dtype, **wishes)
    for alone, among in zip(one, other, strict=True):
        assert_close(among.pixels, alone.pixels, rtol=0, atol=1e-3 if dtype == "float32" else 0.2)


def test_codecs_encode_what_they_decode(diffusers, make, models, tmp_path):
    _, folder = make("DiTPipeline", diffusers.DDIMScheduler(clip_sample=False))
    convert(folder, tmp_path / "ours")
    (stage,) = image.load(f"{tmp_path / 'ours'}").stages
    media = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        mean = models["vae"].encode(media * 2 - 1).latent_dist.mean
    assert_close(stage.codec.encode(media), mean * 0.5, rtol=0, atol=1e-5)
