"""Pipelines that diffusers wrote, converted: from the same noise the same pictures as diffusers' own pipelines make."""

from __future__ import annotations

import importlib
import json
import sys

import pytest
import torch
from noiseform import image
from noiseform.core.cli.main import main
from noiseform.core.conversion import convert
from noiseform.core.errors import CheckpointError, ConfigError, NoiseformError, PluginError
from noiseform.core.noise import Draws, Key
from noiseform.core.process import levels_at
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
CONVOLUTIONS = {
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "norm_num_groups": 8,
}


@pytest.fixture(scope="module")
def diffusers():
    reason = "diffusers is not installed (pip install noiseform[dev])"
    pytest.importorskip("transformers", reason=reason)
    return pytest.importorskip("diffusers", reason=reason)


@pytest.fixture(scope="module")
def models(diffusers, tmp_path_factory):
    """Return tiny networks drawn at random: of pixels, of latents, of patches, of latents with a text; autoencoders."""
    transformers = pytest.importorskip("transformers")
    down, up = ("DownBlock2D", "AttnDownBlock2D"), ("AttnUpBlock2D", "UpBlock2D")
    encoder = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    cross = {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }
    unet = {"down_block_types": down, "up_block_types": up, "attention_head_dim": 8, **CONVOLUTIONS}
    text = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = transformers.CLIPTextConfig(vocab_size=54, max_position_embeddings=16, **text, **ids)
        return {
            "pixels": diffusers.UNet2DModel(sample_size=8, **unet).eval(),
            "latents": diffusers.UNet2DModel(sample_size=8, in_channels=4, out_channels=4, **unet).eval(),
            "dit": diffusers.DiTTransformer2DModel(
                num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=2, sample_size=8
            ).eval(),
            "condition": diffusers.UNet2DConditionModel(
                sample_size=8, cross_attention_dim=32, attention_head_dim=8, **cross, **CONVOLUTIONS
            ).eval(),
            "vq": diffusers.VQModel(num_vq_embeddings=32, latent_channels=4, **encoder, **CONVOLUTIONS).eval(),
            "vae": diffusers.AutoencoderKL(latent_channels=4, scaling_factor=0.5, **encoder, **CONVOLUTIONS).eval(),
            "text": transformers.CLIPTextModel(config).eval(),
        }


@pytest.fixture(scope="module")
def tokenizer(diffusers):
    transformers = pytest.importorskip("transformers")
    letters = [chr(code) for code in range(97, 123)]
    symbols = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return transformers.CLIPTokenizer(vocab={s: n for n, s in enumerate(symbols)}, merges=[], model_max_length=16)


@pytest.fixture
def make(diffusers, models, tokenizer, tmp_path):
    """Return a function that writes a pipeline of diffusers' and gives it and its folder."""

    def made(name, scheduler):
        parts = {
            "DDPMPipeline": lambda: {"unet": models["pixels"]},
            "DDIMPipeline": lambda: {"unet": models["pixels"]},
            "LDMPipeline": lambda: {"unet": models["latents"], "vqvae": models["vq"]},
            "DiTPipeline": lambda: {"transformer": models["dit"], "vae": models["vae"]},
            "StableDiffusionPipeline": lambda: {
                "unet": models["condition"],
                "vae": models["vae"],
                "text_encoder": models["text"],
                "tokenizer": tokenizer,
                "safety_checker": None,
                "feature_extractor": None,
                "requires_safety_checker": False,
            },
        }[name]()
        pipe = getattr(diffusers, name)(**parts, scheduler=scheduler)
        pipe.set_progress_bar_config(disable=True)
        pipe.save_pretrained(tmp_path / "theirs")
        return pipe, tmp_path / "theirs"

    return made


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
    loaded = image.load(f"{out}", steps=steps, **({} if "guidance" not in wishes else {"guidance": wishes.pop("guidance")}))
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


def test_stable_diffusion(diffusers, make, tmp_path):
    options = {"steps_offset": 1, "set_alpha_to_one": False, "clip_sample": False}
    pipe, folder = make("StableDiffusionPipeline", diffusers.DDIMScheduler(**TABLES[1], **options))
    convert(folder, tmp_path / "ours")
    pictures = []
    for guidance, prompt, negative in ((7.5, "a hat", None), (3.0, "a hat", "red"), (1.0, "a very long hat " * 9, None)):
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
