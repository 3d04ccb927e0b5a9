"""Models of the library diffusers: its networks and autoencoders as parts, and its folders converted to ours."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_networks() -> dict[str, str]:
    here = f"{__name__}.networks"
    return {
        "diffusers-unet-2d": f"{here}:UNet2D",
        "diffusers-unet-2d-condition": f"{here}:UNet2DCondition",
        "diffusers-dit": f"{here}:DiT",
    }


@hookimpl
def noiseform_codecs() -> dict[str, str]:
    return {"diffusers-vae": f"{__name__}.codecs:VAE", "diffusers-vq": f"{__name__}.codecs:VQ"}


@hookimpl
def noiseform_conditioners() -> dict[str, str]:
    return {"class-number": f"{__name__}.class_number:ClassNumber"}


@hookimpl
def noiseform_converters() -> dict[str, str]:
    return {"diffusers": f"{__name__}.converter:Diffusers"}


def __getattr__(name: str) -> object:
    """Load what users import on its first use, since diffusers takes seconds."""
    if name == "Scheduler":
        from .scheduler import Scheduler

        return Scheduler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
