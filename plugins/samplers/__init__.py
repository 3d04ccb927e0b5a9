"""Samplers: how one step is made. One algorithm a file."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_samplers() -> dict[str, str]:
    here = __name__
    return {
        "adaptive": f"{here}.adaptive:Adaptive",
        "ddpm": f"{here}.ddpm:DDPM",
        "ddim": f"{here}.ddim:DDIM",
        "euler": f"{here}.euler:Euler",
        "heun": f"{here}.heun:Heun",
        "dpmpp-2m": f"{here}.dpmpp_2m:DPMpp2M",
    }
