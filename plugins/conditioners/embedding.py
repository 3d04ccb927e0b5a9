"""One embedding of a whole item as conditioning: what the decoder of a prior makes media of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Le, Lt
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import ConfigError
from ...core.media import MediaSpec
from ...core.pipeline.augmentation import Augmentation
from ...core.pipeline.source import SOURCE, Items, Source
from ...core.registration.build import build_part
from ...core.registration.config import PartConfig

__all__ = ["Embedding"]


class Embedding(nn.Module):
    """Tells the network the embedding of the item, as a vector and, if asked, as places of a sequence too.

    In training it is that of the item itself, in sampling that which the stage before it made, or that of an item which
    a user gives. The joint encoder that makes it was trained before and stays as it is; its weights come along with the
    model. The embedding is disturbed by noise, as ``low-res`` does it. No embedding at all, which guidance compares
    with, is told by what the layers here give of zeros, which is learnt.

    Args:
        codec: the joint encoder, a codec of embeddings: ``{ use = "contrastive", weights = "runs/joint" }``.
        width: of the vector and of the sequence.
        tokens: places of the sequence; 0 gives the vector alone.
        noise: the most noise in training, as a share.
        level: the noise in sampling, from 0 to ``noise``.

    Attributes:
        outputs: width of each.
        encoder: the joint encoder, which does not learn here.
        factors: 1 for each axis: the item is as large as it is, whatever it is made from.
        whole: True, for it takes what it is made from as one.

    Source: Ramesh et al. 2022, arXiv 2204.06125, section 2.1 (the embedding as a vector, and as four more tokens); Ho
    et al. 2021, arXiv 2106.15282, section 4.2 (the noise).
    """

    takes = (SOURCE,)
    settable = ("level",)
    whole = True
    claims: ClassVar[Mapping[str, object]] = {
        "parameters": {
            "codec": {"use": "contrastive", "channels": [8, 16], "width": 8, "text_width": 16, "text_depth": 1},
            "width": 16,
            "tokens": 2,
        }
    }

    def __init__(
        self,
        codec: PartConfig,
        width: Annotated[int, Ge(8), Le(8192)] = 128,
        tokens: Annotated[int, Ge(0), Le(64)] = 0,
        noise: Annotated[float, Ge(0), Lt(1)] = 0.3,
        level: Annotated[float, Ge(0), Lt(1)] = 0.0,
        *,
        media: MediaSpec,
    ) -> None:
        super().__init__()
        self._table, self._augmentation = codec, Augmentation(noise, level, "conditioner embedding")
        self.encoder: Any = build_part(codec, "codec", where="conditioner embedding", media=media)
        shape = tuple(self.encoder.shape(media.shape))
        if not isinstance(self.encoder, nn.Module) or len(shape) != 1:
            raise ConfigError(
                f"conditioner embedding: codec {codec.use!r} gives latents of shape {shape}, expected one embedding "
                "(width,); use a joint encoder such as contrastive"
            )
        self.encoder.requires_grad_(False)
        self.factors = (1,) * (len(media.shape) - 1)
        self.source = media
        self._width, self._tokens = shape[0], tokens
        self.outputs: Mapping[str, int] = {"vector": width, **({"sequence": width} if tokens else {})}
        self.first = nn.Linear(shape[0] + 1, width)
        self.second = nn.Linear(width, width)
        self.places = nn.Linear(shape[0] + 1, tokens * width) if tokens else None

    def train(self, mode: bool = True) -> Embedding:
        """Set what learns here to training or not; the encoder stays in evaluation mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def encode(self, conditions: Sequence[Mapping[str, object]]) -> dict[str, Tensor]:
        """Return {"embedding": (items, features + 1)}, the last of which is how far it is right; zeros for none."""
        return {"embedding": self._augmentation.encoded(conditions, (self._width,), self._latent)}

    def forward(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return "vector" (items, width) and, if there are tokens, "sequence" (items, tokens, width)."""
        embedding = raw["embedding"].to(self.first.weight.dtype)
        given = {"vector": self.second(functional.silu(self.first(embedding)))}
        if self.places is not None:
            given["sequence"] = self.places(embedding).unflatten(1, (self._tokens, -1))
        return given

    def null(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the encoding of as many items of which nothing is known."""
        return {"embedding": torch.zeros_like(raw["embedding"])}

    def shown(self, items: Items) -> dict[str, Tensor]:
        """Return what is shown of items in training, as :meth:`encode` does."""
        return {"embedding": self._augmentation.shown(self._encoded(items.media), items)}

    def _latent(self, source: Source) -> Tensor:
        """Return the embedding (features,) that the stage before made, or that of the media."""
        made = source.latent_of(self._table, getattr(type(self.encoder), "settable", ()))
        return self._encoded((source.whole or source.media)()[None])[0] if made is None else made

    def _encoded(self, media: Tensor) -> Tensor:
        encoded: Tensor = self.encoder.encode(media.to(self.first.weight.device, torch.float32))
        return encoded.to("cpu", torch.float32)
