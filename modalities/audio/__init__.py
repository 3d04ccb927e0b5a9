"""Sound: the modality, its files and its verbs.

>>> from noiseform import audio
>>> clips = audio.generate("spoken-digits", label=["seven", "george"], count=4, seed=0)
>>> clips[0].save("seven.wav")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ...core.hookspecs import hookimpl
from ...core.verbs.verbs import Verbs

if TYPE_CHECKING:
    from .clip import Audio as Audio
    from .reading import read as read
    from .reading import read_record as read_record
    from .writing import write as write

__all__ = ["Audio", "edit", "generate", "load", "read", "read_record", "upscale", "write"]

_verbs = Verbs("audio")
edit = _verbs.edit
generate = _verbs.generate
load = _verbs.load
upscale = _verbs.upscale

_LAZY = {"Audio": "clip", "read": "reading", "read_record": "reading", "write": "writing"}


@hookimpl
def noiseform_modalities() -> dict[str, str]:
    return {"audio": f"{__name__}.modality:AudioModality"}


def __getattr__(name: str) -> object:
    """Load a public name on its first use: they bring torch along."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "noiseform_modalities"])  # the hook, which is looked for here
