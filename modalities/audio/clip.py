"""The value that every function on sound takes and gives: samples, their rate, and how they were made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from ...core.values import all_finite

__all__ = ["Audio"]


@dataclass(frozen=True, eq=False, repr=False)
class Audio:
    """A sound.

    Attributes:
        samples: ``(channels, time)``, float32, in [-1, 1].
        sample_rate: samples per second of each channel, in Hz.
        record: how the sound was made, as plain values (text, numbers, lists, mappings), or None.
    """

    samples: torch.Tensor
    sample_rate: int
    record: Mapping[str, object] | None = None

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples.shape[-1] / self.sample_rate

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False, record: bool = True) -> None:
        """Write the sound to a file; the ending of ``path`` chooses the format (wav, flac, ogg, mp3).

        Args:
            path: the file.
            overwrite: replace a file that stands there.
            record: keep the record in the file's own metadata.

        Raises: what :func:`noiseform.modalities.audio.writing.write` raises.
        """
        from .writing import write

        write(self, path, record=self.record if record else None, overwrite=overwrite)

    def _repr_html_(self) -> str:
        """Return a picture and a player, for notebooks; only the text where the samples cannot be shown."""
        from .notebook import as_html

        shown = self.samples.numel() > 0 and all_finite(self.samples)
        return as_html(self) if shown else f"<code>{self!r}</code>"

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Return the same for notebooks of several kinds, each by its type."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def __repr__(self) -> str:
        return f"Audio({self.channels} x {self.samples.shape[-1]} at {self.sample_rate} Hz, {self.seconds:.3f} s)"
