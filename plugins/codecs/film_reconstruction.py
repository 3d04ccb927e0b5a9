"""What a codec of films learns by: reconstruction of the frames, and of what changes from one to the next."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le
from torch import Tensor

from .reconstruction import Reconstruction

__all__ = ["FilmReconstruction"]


class FilmReconstruction(Reconstruction):
    """The loss of ``kl-vae`` over films, whose discriminator sees patches of space and time, and the error of motion.

    Args:
        kl: weight of the mean divergence, in nats, of a value of the latent from a standard normal.
        scales: the error is taken at full resolution and after halving it so many times less one, in time as in space.
        adversarial: weight of the discriminator of 3-D convolutions; 0 is none.
        adversarial_from: step from which it counts.
        discriminator: channels of its first layer.
        motion: weight of the mean absolute error of the differences between one frame and the next, which is flicker.

    Source: Blattmann et al. 2023, arXiv 2304.08818, section 3.1.1 (the decoder learns time, by a discriminator of
    patches built of 3-D convolutions).
    """

    def __init__(
        self,
        kl: Annotated[float, Ge(0)] = 1e-4,
        scales: Annotated[int, Ge(1), Le(8)] = 3,
        adversarial: Annotated[float, Ge(0)] = 0.0,
        adversarial_from: Annotated[int, Ge(0)] = 0,
        discriminator: Annotated[int, Ge(8), Le(512)] = 32,
        motion: Annotated[float, Ge(0)] = 1.0,
        *,
        channels: int,
        rank: int,
    ) -> None:
        super().__init__(kl, scales, adversarial, adversarial_from, discriminator, channels=channels, rank=rank)
        self._motion = motion

    def error(self, made: Tensor, target: Tensor) -> Tensor:
        """Return the mean absolute error of films (batch, channels, frames, height, width) in [-1, 1]."""
        still = super().error(made, target)
        if not self._motion or made.shape[2] < 2:
            return still
        return still + self._motion * (made.diff(dim=2) - target.diff(dim=2)).abs().mean()
