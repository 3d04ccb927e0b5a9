"""The forward processes of the literature."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_processes() -> dict[str, str]:
    here = __name__
    return {
        "vp-linear": f"{here}.vp_linear:LinearVP",
        "vp-cosine": f"{here}.vp_cosine:CosineVP",
        "vp-sigmoid": f"{here}.vp_sigmoid:SigmoidVP",
        "sub-vp": f"{here}.sub_vp:SubVP",
        "discrete-vp": f"{here}.discrete_vp:DiscreteVP",
        "ve": f"{here}.ve:VE",
        "flow": f"{here}.flow:Flow",
        "edm": f"{here}.edm:EDM",
    }
