"""Data sets of clouds: from files to tensors of one shape, with what describes them."""

from __future__ import annotations

import os
from typing import BinaryIO

import torch
from noiseform import MediaError, MediaSpec
from noiseform.core.data.dataset import DataConfig
from noiseform.core.data.file_dataset import CACHE_LIMIT, FileDataset
from torch import Tensor

from .reading import decode

__all__ = ["PointsDataset", "refuse_far", "some_of"]


class PointsDataset(FileDataset):
    """Clouds of a folder or a tar archive, as tensors ``(3, points)`` of one shape.

    Of a cloud with more points others are drawn each time.
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
            spec: shape ``(3, points)`` of the items.
            config: which files, and where what describes them comes from.
            cache_limit: most bytes of decoded clouds kept in memory.

        Raises:
            ConfigError: ``config`` names what is not there, or what clouds have no use for.
            MediaError: there is no file, all are bad, or more than ``config.max_bad`` of them.
        """
        config = config or DataConfig()
        config.refuse(("stride", "fit", "flip", "background", "window"), "point clouds")
        self._spec = spec
        super().__init__(place, config, ("*.ply", "*.xyz"), cache_limit)

    def decode(self, file: BinaryIO, name: str) -> Tensor:
        """Return all points (3, more) of a cloud."""
        points, _ = decode(file, name)
        refuse_far(points, self._spec)
        wanted = self._spec.shape[1]
        if points.shape[1] < wanted:
            raise MediaError(
                f"{points.shape[1]} points, where the model takes {wanted}; exclude it, or lower media.points"
            )
        return points

    def item(self, index: int, *, start: float) -> Tensor:
        """Return a cloud (3, points); ``start`` in [0, 1) says which points are taken of one that has more."""
        return some_of(self.kept(index), self._spec.shape[1], round(start * 2**31))


def some_of(points: Tensor, count: int, seed: int = 0) -> Tensor:
    """Return so many of the points (3, more), chosen by their places in the list alone: all where there are no more."""
    if points.shape[1] == count:
        return points.clone()  # those of a data set are kept for the next time
    order = torch.randperm(points.shape[1], generator=torch.Generator().manual_seed(seed))
    return points[:, order[:count]]


def refuse_far(points: Tensor, spec: MediaSpec) -> None:
    """Raise MediaError where a point lies outside of what a model knows."""
    far = points.abs().max().item()
    if far > spec.high:
        raise MediaError(
            f"its points reach out to {far:.4g}, models see [{spec.low:g}, {spec.high:g}]; noiseform fit-points scales "
            "clouds into that"
        )
