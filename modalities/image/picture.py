"""The value that every function on pictures takes and gives: pixels, and how they were made."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from ...core.values import all_finite

__all__ = ["Image"]


@dataclass(frozen=True, eq=False, repr=False)
class Image:
    """A picture.

    Attributes:
        pixels: ``(channels, height, width)``, float32, in [0, 1]; 1 channel is grey, 3 are RGB, 4 RGBA with alpha not
            multiplied in. Values are those of sRGB, as in the files.
        record: how the picture was made, as plain values (text, numbers, lists, mappings), or None.
    """

    pixels: torch.Tensor
    record: Mapping[str, object] | None = None

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.pixels.shape[0])

    @property
    def height(self) -> int:
        """Number of rows."""
        return int(self.pixels.shape[1])

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.pixels.shape[2])

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False, record: bool = True) -> None:
        """Write the picture to a file; the ending of ``path`` chooses the format (png, jpg, jpeg, webp).

        Args:
            path: the file.
            overwrite: replace a file that stands there.
            record: keep the record in the file's own metadata.

        Raises: what :func:`noiseform.modalities.image.writing.write` raises.
        """
        from .writing import write

        write(self, path, record=self.record if record else None, overwrite=overwrite)

    def _repr_png_(self) -> bytes | None:
        """Return the picture as a PNG file, for notebooks; None where the pixels cannot be shown."""
        from .notebook import as_png

        shown = self.pixels.ndim == 3 and self.pixels.numel() > 0 and all_finite(self.pixels)
        return as_png(self) if shown and self.channels in (1, 3, 4) else None

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Return the same for notebooks of several kinds, each by its type."""
        png = self._repr_png_()
        picture = {"image/png": base64.b64encode(png).decode("ascii")} if png else {}
        return {"text/plain": repr(self), **picture}

    def __repr__(self) -> str:
        return f"Image({' x '.join(map(str, self.pixels.shape))})"
