"""Data sets of pictures: from files to tensors of one shape, with what describes them."""

from __future__ import annotations

import os
from typing import BinaryIO

import torch

from ...core.data.dataset import DataConfig
from ...core.data.file_dataset import CACHE_LIMIT, FileDataset
from ...core.media import MediaSpec
from .geometry import Geometry
from .reading import decode

__all__ = ["ImageDataset"]

ENDINGS = ("*.png", "*.jpg", "*.jpeg", "*.webp")
"""The files taken where the recipe names none."""


class ImageDataset(FileDataset):
    """Pictures of a folder or a tar archive, as tensors ``(channels, height, width)`` of one shape.

    What is kept of a picture is what is left after it was resized, a byte a value.

    Example::

        spec = MediaSpec((3, 64, 64), (None, None), 0.0, 1.0)
        data = ImageDataset("emoji.tar", spec, DataConfig(captions="table"))
        picture, text = data.item(0, start=0.5), data.conditions(0)["text"]
    """

    def __init__(
        self,
        place: str | os.PathLike[str],
        spec: MediaSpec,
        config: DataConfig | None = None,
        *,
        cache_limit: int = CACHE_LIMIT,
    ) -> None:
        """List, decode and check the files.

        Args:
            place: a folder or a tar archive.
            spec: shape ``(channels, height, width)`` of the items.
            config: which files, how they get this shape, and where what describes them comes from.
            cache_limit: most bytes of decoded pictures kept in memory.

        Raises:
            ConfigError: ``spec`` is not an image spec, or ``config`` names what is not there.
            MediaError: there is no file, all are bad, or more than ``config.max_bad`` of them.
        """
        config = config or DataConfig()
        config.refuse(("stride",), "pictures")
        self._geometry = Geometry.of(spec, config)
        super().__init__(place, config, ENDINGS, cache_limit)

    def decode(self, file: BinaryIO, name: str) -> torch.Tensor:
        """Return a picture resized, uint8 (channels, height, width); it may be larger than an item along one axis."""
        image, _ = decode(file, name)
        return self._geometry.fitted(image)

    def item(self, index: int, *, start: float) -> torch.Tensor:
        """Return one picture, float32 ``(channels, height, width)`` in [0, 1], exactly of the shape asked for.

        Args:
            index: 0 to ``len(self) - 1``.
            start: in [0, 1), drawn by the caller: which part is taken of one that is too large, and its mirroring.

        Raises:
            MediaError: more than ``config.max_bad`` of the files have become bad.
        """
        return self._geometry.item(self.kept(index), start)
