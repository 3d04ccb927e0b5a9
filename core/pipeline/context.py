"""What is known of an item already, for models that go on from it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["CONTEXT", "Context"]

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
