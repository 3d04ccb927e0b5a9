"""Items of any modality for checks: smooth waves, in the shape that an example of its ``[media]`` table says."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ..media import MediaSpec
from ..registration.plugin_loading import Part
from ..registration.registry import current

__all__ = ["contents", "example_of", "room", "wave"]


def example_of(modality: Part) -> Mapping[str, object]:
    """Return a ``[media]`` table of a modality: what its attribute ``claims`` says, or that of one of its pipelines.

    Empty where there is neither.
    """
    claimed = getattr(modality.load(), "claims", {}).get("media")
    if claimed:
        return cast("Mapping[str, object]", claimed)
    registry = current()
    for name, table in registry.pipelines.items():
        if table.get("modality") == modality.name:
            return registry.pipeline(name).media
    return {}


def wave(spec: MediaSpec, number: int = 0, *, size: float = 0.3) -> Tensor:
    """Return an item (\\*spec.shape), float32, with a plane wave in each channel, of ``size`` of half the range.

    No two axes, channels or numbers are alike, so that none of them can be exchanged or turned unnoticed.
    """
    channels, *space = spec.shape
    phase = torch.zeros(spec.shape, dtype=torch.float64) + 0.23 * number
    for axis, length in enumerate(space):
        places = torch.arange(length, dtype=torch.float64) / length
        phase += ((1 + (axis + number) % 3) * places).reshape(-1, *[1] * (len(space) - 1 - axis))
    phase += (0.11 * torch.arange(channels, dtype=torch.float64)).reshape(-1, *[1] * len(space))
    middle, half = (spec.high + spec.low) / 2, (spec.high - spec.low) / 2
    return (middle + size * half * torch.sin(2 * math.pi * phase)).float()


@contextmanager
def room() -> Iterator[Path]:
    """Give an empty folder that is gone when the block ends, in which warnings are kept quiet."""
    with tempfile.TemporaryDirectory(prefix="noiseform-testing-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Path(folder)


def contents(place: Path) -> dict[str, bytes]:
    """Return the files at a place by their names inside it; of a folder there is one more, which has no bytes."""
    if not place.is_dir():
        return {"": place.read_bytes()} if place.exists() else {}
    inside = {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}
    return {"": b"", **inside}
