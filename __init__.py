"""noiseform turns noise into media: a small diffusion core in which everything else is a plugin.

The public names below are loaded when they are first used: ``import noiseform`` is cheap and imports no torch.

    from noiseform import audio
    audio.generate("spoken-digits", label="seven")[0].save("seven.wav")
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# MKL, which multiplies torch's matrices on Intel's processors, may split a sum among its threads, so that its last bits
# depend on how many there are, unless it is told otherwise before its first use. It costs no measurable time.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

if TYPE_CHECKING:
    from .core.diffusion.level import Level as Level
    from .core.diffusion.likelihood import log_likelihood as log_likelihood
    from .core.diffusion.mixture import GaussianMixture as GaussianMixture
    from .core.diffusion.optimal import optimal_grid as optimal_grid
    from .core.diffusion.sampling import sample as sample
    from .core.errors import CheckpointError as CheckpointError
    from .core.errors import ConfigError as ConfigError
    from .core.errors import MediaError as MediaError
    from .core.errors import NoiseformError as NoiseformError
    from .core.errors import NumericError as NumericError
    from .core.errors import PluginError as PluginError
    from .core.errors import ResourceError as ResourceError
    from .core.hookspecs import hookimpl as hookimpl
    from .core.media import MediaSpec as MediaSpec
    from .core.registration.build import build as build
    from .modalities import audio as audio
    from .modalities import image as image
    from .modalities import video as video

_ERRORS = (
    "CheckpointError",
    "ConfigError",
    "MediaError",
    "NoiseformError",
    "NumericError",
    "PluginError",
    "ResourceError",
)
_LAZY = {
    **{name: f".core.errors:{name}" for name in _ERRORS},
    "GaussianMixture": ".core.diffusion.mixture:GaussianMixture",
    "Level": ".core.diffusion.level:Level",
    "MediaSpec": ".core.media:MediaSpec",
    "audio": ".modalities.audio",
    "build": ".core.registration.build:build",
    "hookimpl": ".core.hookspecs:hookimpl",
    "image": ".modalities.image",
    "log_likelihood": ".core.diffusion.likelihood:log_likelihood",
    "optimal_grid": ".core.diffusion.optimal:optimal_grid",
    "sample": ".core.diffusion.sampling:sample",
    "video": ".modalities.video",
}

__all__ = [
    "CheckpointError",
    "ConfigError",
    "GaussianMixture",
    "Level",
    "MediaError",
    "MediaSpec",
    "NoiseformError",
    "NumericError",
    "PluginError",
    "ResourceError",
    "__version__",
    "audio",
    "build",
    "hookimpl",
    "image",
    "log_likelihood",
    "optimal_grid",
    "sample",
    "video",
]


def __getattr__(name: str) -> object:
    """Load a public name on its first use."""
    if name not in _LAZY:
        return _plugin_modality(name)
    module_name, _, attribute = _LAZY[name].partition(":")
    module = importlib.import_module(module_name, __name__)
    value: object = getattr(module, attribute) if attribute else module
    globals()[name] = value
    return value


def _plugin_modality(name: str) -> object:
    """Return the verbs of a modality that a plugin brings."""
    from .core.registration.registry import current
    from .core.verbs.verbs import Verbs

    if name.startswith("_") or all(part.name != name for part in current().plugins.parts("modality")):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return Verbs(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
