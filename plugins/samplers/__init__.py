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
        "euler-ancestral": f"{here}.euler_ancestral:EulerAncestral",
        "edm-stochastic": f"{here}.edm_stochastic:EDMStochastic",
        "dpmpp-2m": f"{here}.dpmpp_2m:DPMpp2M",
        "spline": f"{here}.spline:Spline",
        "dpmpp-3m": f"{here}.dpmpp_3m:DPMpp3M",
        "dpmpp-2s": f"{here}.dpmpp_2s:DPMpp2S",
        "unipc": f"{here}.unipc:UniPC",
        "deis": f"{here}.deis:DEIS",
        "ipndm": f"{here}.ipndm:IPNDM",
        "dpmpp-2m-sde": f"{here}.dpmpp_2m_sde:DPMpp2MSDE",
        "predictor-corrector": f"{here}.predictor_corrector:PredictorCorrector",
        "lcm": f"{here}.lcm:LCM",
        "restart": f"{here}.restart:Restart",
    }
