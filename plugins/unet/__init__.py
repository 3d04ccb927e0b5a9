"""The U-Net, for sound, pictures and films."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_networks() -> dict[str, str]:
    return {
        "unet-1d": f"{__name__}.unet:UNet1d",
        "unet-2d": f"{__name__}.unet:UNet2d",
        "unet-3d": f"{__name__}.unet_3d:UNet3d",
    }
