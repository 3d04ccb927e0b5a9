"""Codecs: what a medium looks like to the diffusion model."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_codecs() -> dict[str, str]:
    here = __name__
    return {
        "identity": f"{here}.identity:Identity",
        "kl-vae": f"{here}.kl_vae:KLVAE",
        "contrastive": f"{here}.contrastive:Contrastive",
        "video-vae": f"{here}.video_vae:VideoVAE",
        "stft": f"{here}.stft:STFT",
        "mel": f"{here}.mel:Mel",
    }
