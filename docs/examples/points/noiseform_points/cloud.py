"""The value that everything here takes and gives: points, and how they were made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

__all__ = ["Cloud"]


@dataclass(frozen=True, eq=False, repr=False)
class Cloud:
    """A cloud of points in space; a set, whose order means nothing.

    Attributes:
        points: (3, count), float32: x, y and z, which points up. What models make and take lies in [-1, 1].
        record: how the cloud was made, as plain values (text, numbers, lists, mappings), or None.
    """

    points: Tensor
    record: Mapping[str, object] | None = None

    @property
    def count(self) -> int:
        """Number of points."""
        return int(self.points.shape[1])

    def save(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, record: bool = True, ascii: bool = False
    ) -> None:
        """Write the cloud to a file; the ending of ``path`` chooses the format (ply, xyz).

        Args:
            path: the file.
            overwrite: replace a file that stands there.
            record: keep the record in the file's comments.
            ascii: write a PLY file as text, which is larger; an xyz file always is.

        Raises: what :func:`noiseform_points.writing.write` raises.
        """
        from .writing import write

        write(self, path, record=self.record if record else None, overwrite=overwrite, ascii=ascii)

    def _repr_png_(self) -> bytes | None:
        """Return a picture of the cloud, for notebooks; None where there is nothing to see."""
        from .sheet import as_png

        shown = self.points.ndim == 2 and self.points.numel() > 0 and bool(self.points.isfinite().all())
        return as_png(self) if shown else None

    def __repr__(self) -> str:
        return f"Cloud({' x '.join(map(str, self.points.shape))})"
