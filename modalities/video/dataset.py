"""Data sets of films: from files, and folders of frames, to clips of one shape, with what describes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import torch

from ...core.data.dataset import DataConfig
from ...core.data.file_dataset import CACHE_LIMIT, FileDataset
from ...core.data.source import Source
from ...core.errors import MediaError
from ...core.media import MediaSpec
from ...core.naming import printable
from .clip_folders import ClipFolders, is_packed, unpacked
from .decoding import Limits, Shown, failures, opened
from .frame_folder import ENDING
from .framing import Framing
from .timing import as_fraction, at_rate

__all__ = ["VideoDataset"]

ENDINGS = ("*.mp4", "*.m4v", "*.mov", "*.webm", "*.mkv", "*.gif", f"*{ENDING}")
"""The files, and folders of frames, taken where the recipe names none."""

KEPT_LIMIT = 2**30
"""Most values of one film after it was resized."""


class VideoDataset(FileDataset):
    """Films of a folder or a tar archive, as clips ``(channels, frames, height, width)`` of one shape.

    A folder whose name ends in ``.frames`` is one film, of its PNG files as they are. What is kept of a film is what is
    left after its frames were resized and, where no stride is set, chosen at the model's rate; a byte a value.

    Example::

        spec = MediaSpec((3, 16, 64, 64), (8.0, None, None), 0.0, 1.0)
        data = VideoDataset("films", spec, DataConfig(captions="table"))
        clip, text = data.item(0, start=0.5), data.conditions(0)["text"]
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
            spec: shape ``(channels, frames, height, width)`` of the items, and frames per second.
            config: which files, how they get this shape, and where what describes them comes from.
            cache_limit: most bytes of decoded films kept in memory.

        Raises:
            ConfigError: ``spec`` is not a video spec, or ``config`` names what is not there.
            MediaError: there is no film, all are bad or too short, or more than ``config.max_bad`` of them.
        """
        config = config or DataConfig()
        self._framing = Framing.of(spec, config)
        super().__init__(place, config, ENDINGS, cache_limit)

    def source(self, place: str | os.PathLike[str]) -> Source:
        """Return the files at ``place``, with folders of frames as one file each."""
        return ClipFolders(super().source(place))

    def decode(self, file: BinaryIO, name: str) -> torch.Tensor:
        """Return a film resized, uint8 (time, channels, height, width), of at least as many frames as an item needs."""
        where = f"cannot read: {printable(name)}"
        framing = self._framing
        with failures(where):
            if is_packed(file):
                pictures = [framing.fitted(one) for one in unpacked(file, where, framing.background)]
            else:
                with opened(file, name, Limits(), framing.background) as film:
                    pictures = self._gathered(self._fitted(film.shown()), where)
            if len(pictures) < framing.span:
                raise MediaError(
                    f"{where}: {len(pictures)} frames, too short for {framing.span}; take longer ones or fewer frames"
                )
            if any(one.shape != pictures[0].shape for one in pictures):
                raise MediaError(f"{where}: its frames are of several sizes; make them one size")
            return torch.stack(pictures)

    def item(self, index: int, *, start: float) -> torch.Tensor:
        """Return one clip, float32 ``(channels, frames, height, width)`` in [0, 1], exactly of the shape asked for.

        Args:
            index: 0 to ``len(self) - 1``.
            start: in [0, 1), drawn by the caller: which part is taken of one that is too long or too large, and its
                mirroring.

        Raises:
            MediaError: more than ``config.max_bad`` of the files have become bad.
        """
        return self._framing.item(self.kept(index), start)

    def _fitted(self, shown: Iterator[Shown]) -> Iterator[tuple[Fraction, Fraction, torch.Tensor]]:
        for time, lasting, picture in shown:
            yield time, lasting, self._framing.fitted(picture)

    def _gathered(self, shown: Iterator[tuple[Fraction, Fraction, torch.Tensor]], where: str) -> list[torch.Tensor]:
        """Return the frames that are kept: all where there is a stride, otherwise those at the model's rate."""
        chosen = (
            (one for _, _, one in shown) if self._framing.stride else at_rate(shown, as_fraction(self._framing.fps))
        )
        gathered: list[torch.Tensor] = []
        values = 0
        for one in chosen:
            values += one.numel()
            if values > KEPT_LIMIT:
                raise MediaError(f"{where}: more than {KEPT_LIMIT} values after resizing; cut it into pieces")
            gathered.append(one)
        return gathered
