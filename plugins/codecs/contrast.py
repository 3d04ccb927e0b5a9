"""What a joint encoder of media and captions learns by: which caption belongs to which medium."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Protocol

import torch
from annotated_types import Gt, Le
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import ConfigError

__all__ = ["Contrast", "info_nce"]


class JointEncoder(Protocol):
    """What the loss asks of a codec; see :class:`~noiseform.plugins.codecs.contrastive.Contrastive`."""

    log_scale: nn.Parameter

    def seen(self, media: Tensor) -> Tensor: ...
    def said(self, texts: Sequence[object]) -> Tensor: ...


class Contrast:
    """The symmetric InfoNCE loss: each medium of a batch finds its caption among all, and each caption its medium.

    The temperature is learnt along with the encoder. Captions that occur several times in a batch are not held against
    each other.

    Args:
        coldest: the temperature that learning may not go below.

    Attributes:
        takes: what it is told of the items.

    Source: Radford et al. 2021, arXiv 2103.00020, section 2.3 and figure 3; van den Oord et al. 2018, arXiv 1807.03748,
    equation 4.
    """

    takes = ("text",)

    def __init__(self, coldest: Annotated[float, Gt(0), Le(1)] = 0.01) -> None:
        self._largest_log_scale = -math.log(coldest)
        self.modules_beside: Mapping[str, nn.Module] = {}

    def updates(
        self,
        codec: JointEncoder,
        media: Tensor,
        eps: Tensor,
        step: int,
        conditions: Sequence[Mapping[str, object]],
    ) -> Iterator[tuple[str, Tensor]]:
        """Give the loss of the codec.

        Args:
            codec: what learns.
            media: (batch, channels, \\*space).
            eps: nothing is drawn here.
            step: from 0.
            conditions: of each item; ``"text"`` is its caption.

        Raises:
            ConfigError: there is nothing to tell an item from.
        """
        if len(media) < 2:
            raise ConfigError("training.batch_size: a contrast takes two items at least; raise it, best to 64 or more")
        with torch.no_grad():
            codec.log_scale.clamp_(max=self._largest_log_scale)
        texts = [condition["text"] for condition in conditions]
        yield "model", info_nce(codec.seen(media), codec.said(texts), codec.log_scale.exp(), _same(texts))


def info_nce(first: Tensor, second: Tensor, scale: Tensor, same: Tensor) -> Tensor:
    """Return the mean of both cross-entropies of finding the partner by ``scale * cosine``, a number.

    Args:
        first: of unit length (batch, width).
        second: their partners (batch, width).
        scale: 1 / temperature.
        same: pairs beside the diagonal that are left out, because they belong together as well (batch, batch).
    """
    with torch.autocast(first.device.type, enabled=False):
        logits = (scale.float() * (first.float() @ second.float().T)).masked_fill(same.to(first.device), -math.inf)
        partner = torch.arange(len(first), device=first.device)
        return (functional.cross_entropy(logits, partner) + functional.cross_entropy(logits.T, partner)) / 2


def _same(texts: Sequence[object]) -> Tensor:
    """Return True where two different items have one text (items, items)."""
    numbers: dict[object, int] = {}
    known = torch.tensor([numbers.setdefault(text, len(numbers)) for text in texts])
    return (known.unsqueeze(0) == known.unsqueeze(1)) & ~torch.eye(len(texts), dtype=torch.bool)
