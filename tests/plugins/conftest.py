"""What the tests of diffusers' models share: tiny networks drawn at random, and pipelines of them."""

from __future__ import annotations

import pytest
import torch

CONVOLUTIONS = {
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "norm_num_groups": 8,
}


@pytest.fixture(scope="session")
def diffusers():
    reason = "diffusers is not installed (pip install noiseform[dev])"
    pytest.importorskip("transformers", reason=reason)
    return pytest.importorskip("diffusers", reason=reason)


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
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
