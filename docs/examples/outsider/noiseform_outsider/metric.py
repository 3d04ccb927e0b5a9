"""A metric: compares generated with real media."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from .modality import Series


class Spectrum:
    """How far the mean power spectrum of what was made is from that of real series, in decibels (root mean square)."""

    modality = "series"

    def compare(self, made: Sequence[Series], real: Sequence[Series]) -> Mapping[str, float]:
        level = [10 * torch.log10(self._power(items) + 1e-12) for items in (made, real)]
        return {"decibels": (level[0] - level[1]).square().mean().sqrt().item()}

    @staticmethod
    def _power(items: Sequence[Series]) -> torch.Tensor:
        return torch.stack([torch.fft.rfft(item.values).abs() ** 2 for item in items]).mean((0, 1))
