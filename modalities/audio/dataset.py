"""Data sets of sounds: from files to tensors of one shape, with the conditions that describe them."""

from __future__ import annotations

import os
from typing import BinaryIO

import torch

from ...core.data.dataset import DataConfig
from ...core.data.file_dataset import CACHE_LIMIT, FileDataset
from ...core.errors import ConfigError
from ...core.media import MediaSpec
from .reading import decode

__all__ = ["AudioDataset"]

ENDINGS = ("*.wav", "*.flac", "*.ogg", "*.mp3")
"""The files taken where the recipe names none."""


class AudioDataset(FileDataset):
    """Sounds of a folder or a tar archive, as tensors ``(channels, samples)`` of one shape, with what describes them.

    Example::

        data = AudioDataset("recordings.tar.gz", MediaSpec((1, 8000), (8000.0,), -1.0, 1.0), DataConfig(labels="none"))
        sound = data.item(0, start=0.5)
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
            spec: shape ``(channels, samples)`` and sample rate of the items.
            config: which files, and where their labels come from.
            cache_limit: most bytes of decoded sound kept in memory.

        Raises:
            ConfigError: ``spec`` is not an audio spec, or ``config`` names what is not there.
            MediaError: there is no file, all are bad, or more than ``config.max_bad`` of them.
        """
        config = config or DataConfig()
        config.refuse(("fit", "flip", "background", "stride"), "sound")
        self._channels, self._samples, self._rate = _sound_shape(spec)
        super().__init__(place, config, ENDINGS, cache_limit)

    def decode(self, file: BinaryIO, name: str) -> torch.Tensor:
        """Return a whole sound, float32 (channels, samples), at the rate asked for."""
        return decode(file, name, sample_rate=self._rate, channels=self._channels).samples

    def item(self, index: int, *, start: float) -> torch.Tensor:
        """Return one sound, float32 ``(channels, samples)``, exactly of the shape asked for.

        A shorter sound is followed by silence. Of a longer one a window is taken: where ``config.window`` is
        ``random`` at the fraction ``start`` of the slack, otherwise at its start or in its middle.

        Args:
            index: 0 to ``len(self) - 1``.
            start: in [0, 1), drawn by the caller.

        Raises:
            MediaError: more than ``config.max_bad`` of the files have become bad.
        """
        samples = self.kept(index)
        slack = samples.shape[1] - self._samples
        if slack < 0:
            return torch.nn.functional.pad(samples, (0, -slack))
        places = {"random": min(int(start * (slack + 1)), slack), "start": 0, "centre": slack // 2}
        first = places[self.config.window]
        return samples[:, first : first + self._samples].clone()


def _sound_shape(spec: MediaSpec) -> tuple[int, int, int]:
    """Return channels, samples and sample rate of a specification of sound."""
    rate = spec.rates[0] if len(spec.rates) == 1 else None
    if len(spec.shape) != 2 or rate is None or rate != int(rate) or min(spec.shape) < 1:
        raise ConfigError(
            f"wrong media: shape {spec.shape} with rates {spec.rates}; sound has (channels, samples) and one whole rate"
        )
    return spec.shape[0], spec.shape[1], int(rate)
