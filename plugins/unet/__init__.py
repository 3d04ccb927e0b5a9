"""The U-Net, for items of one and two axes of space."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_networks() -> dict[str, str]:
    return {"unet-1d": f"{__name__}.unet:UNet1d", "unet-2d": f"{__name__}.unet:UNet2d"}
