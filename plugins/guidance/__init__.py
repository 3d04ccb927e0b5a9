"""Guidance: wraps a denoiser in a denoiser."""

from __future__ import annotations

from ...core.hookspecs import hookimpl


@hookimpl
def noiseform_guidances() -> dict[str, str]:
    here = __name__
    return {
        "none": f"{here}.none:NoGuidance",
        "cfg": f"{here}.cfg:ClassifierFree",
        "apg": f"{here}.apg:AdaptiveProjected",
        "classifier": f"{here}.classifier:ClassifierGuidance",
        "autoguidance": f"{here}.autoguidance:Autoguidance",
    }
