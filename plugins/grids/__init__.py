"""Grids: which times are visited."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_grids() -> dict[str, str]:
    here = __name__
    return {
        "uniform": f"{here}.uniform:Uniform",
        "log-snr": f"{here}.log_snr:LogSNR",
        "angle": f"{here}.angle:Angle",
        "karras": f"{here}.karras:Karras",
        "leading": f"{here}.discrete:Leading",
        "trailing": f"{here}.discrete:Trailing",
        "linspace": f"{here}.discrete:Linspace",
    }
