"""A conditioner with a source: its stage makes something of what is there, alone or in a cascade."""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge, Le, Lt
from noiseform.core.pipeline.augmentation import Augmentation


class Rough:
    """Shows the network the means of a series over blocks of steps; its stage makes what lies within the blocks.

    Args:
        every: steps of a block.
        noise: the most noise in training, as a share.
        level: the noise in sampling, from 0 to ``noise``.
        media: shape and rates of an item; given by the program, as all that follows.
        latent_shape: shape of an item as the network sees it.
        codec: that of the stage.
    """

    takes = ("source",)
    claims: ClassVar = {"guided": False}  # shows what is there, whatever is asked for beside it
    settable = ("level",)  # may be another one than in training: nothing that was learnt changes

    def __init__(
        self,
        every: Annotated[int, Ge(2), Le(4096)] = 16,
        noise: Annotated[float, Ge(0), Lt(1)] = 0.2,
        level: Annotated[float, Ge(0), Lt(1)] = 0.0,
        *,
        media,
        latent_shape,
        codec,
    ) -> None:
        if len(media.shape) != 2:
            raise ValueError("it smooths series and sounds; pictures and films have more axes")
        if media.shape[1] % every:
            raise ValueError(f"every: {media.shape[1]} steps are no multiple of {every}")
        self.every, self.latent_shape, self.codec = every, latent_shape, codec
        self.augmentation = Augmentation(noise, level, "conditioner rough")  # refuses a level above the noise
        self.outputs = {"channels": latent_shape[0] + 1}  # the latent, and how far it is right
        self.source, self.factors = media, (1,)  # it is made from as many steps as it has
        self.units = (every,)  # windows of a longer series begin at multiples of this

    def encode(self, conditions):  # zeros for items that have no source
        return {"channels": self.augmentation.encoded(conditions, self.latent_shape, self._latent)}

    def _latent(self, source):
        return self.codec.encode(self.means(source.media()[None]))[0]

    def shown(self, items):  # in training, where items are their own sources
        return {"channels": self.augmentation.shown(self.codec.encode(self.means(items.media)), items)}

    def forward(self, raw):  # nothing is learnt here
        return dict(raw)

    __call__ = null = forward  # guidance is about what else is asked for

    def corrected(self, made, source):  # its means are those of the source
        return made + self.means(source.media()) - self.means(made)

    def means(self, values):
        """Return values (..., steps) with the mean of its block at each step."""
        blocks = values.unflatten(-1, (-1, self.every))
        return blocks.mean(-1, keepdim=True).expand_as(blocks).flatten(-2)
