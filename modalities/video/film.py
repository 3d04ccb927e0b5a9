"""The value that every function on films takes and gives: frames, their rate, sound, and how they were made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from ...core.values import all_finite

__all__ = ["Sound", "Video"]


class Sound(Protocol):
    """What a film needs of its sound; noiseform's ``Audio`` has it."""

    @property
    def samples(self) -> torch.Tensor:
        """``(channels, time)``, float32, in [-1, 1]."""

    @property
    def sample_rate(self) -> int:
        """Samples per second of each channel, in Hz."""


@dataclass(frozen=True, eq=False, repr=False)
class Video:
    """A film.

    Attributes:
        frames: ``(time, channels, height, width)``, float32, in [0, 1]; 1 channel is grey, 3 are RGB. Values are those
            of sRGB, as in pictures.
        fps: frames per second.
        audio: its sound, which begins with the first frame, or None.
        record: how the film was made, as plain values (text, numbers, lists, mappings), or None.
    """

    frames: torch.Tensor
    fps: float
    audio: Sound | None = None
    record: Mapping[str, object] | None = None

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.frames.shape[1])

    @property
    def height(self) -> int:
        """Number of rows."""
        return int(self.frames.shape[2])

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.frames.shape[3])

    @property
    def seconds(self) -> float:
        """Length of the pictures in seconds."""
        return len(self.frames) / self.fps

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False, record: bool = True) -> None:
        """Write the film; the ending of ``path`` chooses the format (mp4, webm, gif, or frames: a folder of PNG files).

        Args:
            path: the file, or the folder.
            overwrite: replace what stands there.
            record: keep the record in the file's own metadata.

        Raises: what :func:`noiseform.modalities.video.writing.write` raises.
        """
        from .writing import write

        write(self, path, record=self.record if record else None, overwrite=overwrite)

    def _repr_html_(self) -> str:
        """Return a player, for notebooks; only the text where the frames cannot be shown."""
        from .notebook import as_html

        shown = self.frames.ndim == 4 and self.frames.numel() > 0 and all_finite(self.frames)
        return as_html(self) if shown and self.channels in (1, 3) else f"<code>{self!r}</code>"

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Return the same for notebooks of several kinds, each by its type."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def __repr__(self) -> str:
        sound = "" if self.audio is None else f", sound at {self.audio.sample_rate} Hz"
        return f"Video({' x '.join(map(str, self.frames.shape))} at {self.fps:g} fps{sound})"
