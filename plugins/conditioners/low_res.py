"""The same item with fewer positions as conditioning: what a super-resolution stage makes larger."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Le, Lt
from torch import Tensor, nn

from ...core.contract import check_tensor
from ...core.errors import ConfigError
from ...core.media import MediaSpec
from ...core.pipeline.augmentation import Augmentation
from ...core.pipeline.source import SOURCE, Items, Source, factors_of, reduced, shrunk

__all__ = ["LowRes"]

_CORRECTIONS = 4  # more bring nothing that could be measured

Factor = Annotated[int, Ge(1), Le(64)]


class LowRes:
    """Lays what the stage before it made beside an item, resampled to its size, with a channel of how far it is right.

    Pictures get more rows and columns, sounds a higher sample rate, films more of either or more frames: the modality
    resamples. An axis that stays as it is while others grow has the rate of the source, so that films of any number of
    frames a second get larger frames. In training the items themselves are made smaller and larger again. What is
    shown is disturbed by noise, more or less, and the network is told how much; so it does not lean on faults of the
    stage before it, and in sampling ``level`` says how much it may make anew (noise-conditioning augmentation).

    Args:
        factor: how many times as many positions the item has, along every axis of space or for each:
            ``[2, 1, 1]`` makes twice the frames of a film.
        noise: the most noise in training, as a share: what is shown is ``sqrt(1 - n**2) * source + n * eps``.
        level: the noise in sampling, from 0 to ``noise``.
        residual: the standard deviation of what the source lacks, in the latent: the network then makes that alone,
            brought to unit variance, which is easier to learn by far where the source tells most of the item. 0 has it
            make the whole item.
        consistent: whether what was made is corrected until it is its source again once it is made smaller. Say false
            where the source is not to be trusted.
        neighbours: whether what the source has before and after a position is laid beside it too, as it is, so that the
            network sees what moves from the one to the other and not their blend alone: for new frames of a film.

    Attributes:
        outputs: ``{"channels": channels of the latent + 1}``, and twice the channels of the latent with neighbours.
        factors: of each axis.
        free: of each axis, whether its rate is that of the source.
        source: shape and rates of what it is made from.

    Source: Ho et al. 2021, arXiv 2106.15282; Saharia et al. 2022, arXiv 2205.11487, section 2.3.
    """

    takes = (SOURCE,)
    settable = ("level", "consistent")
    claims: ClassVar[Mapping[str, object]] = {"guided": False}

    def __init__(
        self,
        factor: Factor | Sequence[Factor] = 2,
        noise: Annotated[float, Ge(0), Lt(1)] = 0.3,
        level: Annotated[float, Ge(0), Lt(1)] = 0.0,
        residual: Annotated[float, Ge(0)] = 0.0,
        consistent: bool = True,
        neighbours: bool = False,
        *,
        media: MediaSpec,
        latent_shape: tuple[int, ...],
        codec: Any,
    ) -> None:
        of = "conditioner low-res"
        self.factors = factors_of(factor, len(media.shape) - 1, of=of)
        self.free = tuple(by == 1 and max(self.factors) > 1 for by in self.factors)
        self.source = reduced(media, self.factors, of=of)
        self._augmentation = Augmentation(noise, level, of)
        self._residual, self._consistent = residual, consistent
        self._media, self._shape, self._codec = media, latent_shape, codec
        larger = [axis for axis, by in enumerate(self.factors, start=1) if by > 1]  # after the channels
        if neighbours and len(larger) != 1:
            raise ConfigError(
                f"{of}: neighbours: these are along one axis of which there is more, got factors {list(self.factors)}"
            )
        self._axis = larger[0] if neighbours else None
        self._width = latent_shape[0]
        self.outputs: Mapping[str, int] = {"channels": self._width + 1 + (2 * self._width if neighbours else 0)}

    def encode(self, conditions: Sequence[Mapping[str, object]]) -> dict[str, Tensor]:
        """Return {"channels": (items, channels + 1, \\*space)}: zeros for items that are made from nothing."""

        def latent(source: Source) -> Tensor:
            part = source.part()[None] if source.part is not None else None
            return self._latent(source.media()[None], part)[0]

        shape = (self.outputs["channels"] - 1, *self._shape[1:])
        return {"channels": self._augmentation.encoded(conditions, shape, latent)}

    def forward(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return it as it is."""
        return dict(raw)

    __call__ = forward

    def null(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the same again: no item is made larger from nothing, and guidance is about what else is asked for."""
        return dict(raw)

    def shown(self, items: Items) -> dict[str, Tensor]:
        """Return what is shown of items in training, as :meth:`encode` does."""
        of = "conditioner low-res"
        part = shrunk(items.media, items.spec, self.factors, items.resample, of=of)
        media = part
        if items.resample is not None:
            media = items.resample(part, self.source, items.spec).clamp(items.spec.low, items.spec.high)
        return {"channels": self._augmentation.shown(self._latent(media, part), items)}

    def offset(self, raw: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        """Return what is there already (items, channels, \\*space), and the scale (items, 1, …) of what is to be added.

        The network makes ``(latent - offset) / scale``. What is there is disturbed, so its noise has to go too: the
        scale is ``sqrt(residual**2 + noise**2)``.

        Returns:
            None where the network makes the whole item.
        """
        if not self._residual:
            return None
        channels = raw["channels"]
        trust = channels[:, -1:].flatten(1)[:, :1]
        scale = torch.sqrt(self._residual**2 + (1 - trust) ** 2)
        return channels[:, : self._width], scale.reshape(-1, *(1,) * (channels.ndim - 1))

    def corrected(self, made: Tensor, source: Source) -> Tensor:
        """Return what was made (channels, \\*space) corrected until it is its source again when it is made smaller."""
        if not self._consistent or math.prod(self.factors) == 1 or source.resample is None or source.part is None:
            return made
        small, large, resample = self.source, self._media, source.resample
        wanted, made = source.part()[None], made[None]
        for _ in range(_CORRECTIONS):
            made = made + resample(wanted - resample(made, large, small), small, large)
        return made[0].clamp(large.low, large.high)

    def _latent(self, media: Tensor, part: Tensor | None) -> Tensor:
        """Return the latents of what is laid beside items, its channels one after the other."""
        shown = [media]
        if self._axis is not None and part is not None:
            axis = self._axis + 1
            after = torch.cat([part.narrow(axis, 1, part.shape[axis] - 1), part.narrow(axis, -1, 1)], axis)
            shown += [one.repeat_interleave(self.factors[axis - 2], axis) for one in (part, after)]
        weights = self._codec.parameters() if isinstance(self._codec, nn.Module) else ()
        there = next((one.device for one in weights), media.device)
        encoded = [self._codec.encode(one.to(there, torch.float32)).cpu() for one in shown]
        of = "conditioner low-res: encode"
        return torch.cat([check_tensor(one, (len(media), *self._shape), of=of) for one in encoded], 1)
