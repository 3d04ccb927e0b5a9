"""Grids: which times are visited."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_grids() -> dict[str, str]:
    here = __name__
    return {
        "uniform": f"{here}.uniform:Uniform",
        "quadratic": f"{here}.quadratic:Quadratic",
        "log-snr": f"{here}.log_snr:LogSNR",
        "angle": f"{here}.angle:Angle",
        "optimal": f"{here}.optimal:Optimal",
        "karras": f"{here}.karras:Karras",
        "exponential": f"{here}.exponential:Exponential",
        "shifted": f"{here}.shifted:Shifted",
        "leading": f"{here}.discrete:Leading",
        "trailing": f"{here}.discrete:Trailing",
        "linspace": f"{here}.discrete:Linspace",
    }
