"""What is known of an item already, for models that go on from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..diffusion.held import Held
from ..diffusion.noise import Draws, Key
from ..diffusion.sampling import Denoise

__all__ = ["CONTEXT", "Context", "held"]

CONTEXT = "context"
"""The key under which conditions hold a :class:`Context`, and which a conditioner that takes one names in ``takes``."""


@dataclass(frozen=True)
class Context:
    """The known part of an item, in the latents of its stage.

    Attributes:
        latent: the item (channels, \\*space); what it holds where nothing is known does not matter.
        known: 1 where it is known, 0 elsewhere (\\*space).
        eps: standard normal numbers like ``latent``, for noise-conditioning augmentation.
        noise: how much of them is mixed in, from 0 to 1: what is known is shown as
            ``sqrt(1 - noise**2) * latent + noise * eps``, and the model is told so.
    """

    latent: Tensor
    known: Tensor
    eps: Tensor
    noise: float = 0.0

    @classmethod
    def of(cls, values: Tensor, places: Tensor, axis: int, length: int, *, noise: float, key: Key) -> Context:
        """Return what is known of an item where whole positions along an axis are known.

        Args:
            values: of those positions (channels, \\*space).
            places: their numbers in the item.
            axis: of ``values``.
            length: of the item along it.
            noise: see above.
            key: whose noise.
        """
        shape = list(values.shape)
        shape[axis] = length
        latent = values.new_zeros(shape).index_copy_(axis, places, values)
        known = values.new_zeros(shape[1:]).index_fill_(axis - 1, places, 1)
        (eps,) = Draws().normal([key], shape, purpose="context", dtype=values.dtype, device=values.device)
        return cls(latent, known, eps, noise)


def held(denoise: Denoise, conditions: Sequence[Mapping[str, object]], device: str) -> Denoise:
    """Return a denoiser that holds what the conditions say is known of their items; the same one where that is nothing.

    Args:
        denoise: the model.
        conditions: of each item.
        device: where it runs.
    """
    given = [one for one in (condition.get(CONTEXT) for condition in conditions) if isinstance(one, Context)]
    if not given:
        return denoise
    if len(given) < len(conditions):
        raise ValueError("something is known of some of the items and not of others")
    latent = torch.stack([one.latent for one in given]).to(device)
    known = torch.stack([one.known for one in given]).to(device).unsqueeze(1) > 0
    return Held(denoise, latent, known)
