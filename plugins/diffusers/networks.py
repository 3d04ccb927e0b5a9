"""Networks of diffusers as networks of ours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from ...core.errors import ConfigError
from .library import configured

__all__ = ["DiT", "UNet2D", "UNet2DCondition"]

Length = Annotated[int, Ge(1), Le(100_000)]


class _Network(nn.Module, ABC):
    """A network of the library, told the index of the time step in a table in the place of our time.

    Args:
        part: name of the network.
        config: options of the library's class.
        nulls: options that are null, which TOML cannot say.
        length: number of time steps of the table that it was trained on; index i stands at t = (i + 1) / length.
        channels: channels of an item.
    """

    item_ndim = 2
    library: ClassVar[str]
    """Name of the library's class."""
    conditioning: ClassVar[frozenset[str]] = frozenset()
    _multiple = 1  # of which the edges of an item have to be

    def __init__(
        self, part: str, config: Mapping[str, object], nulls: Sequence[str], length: int, channels: int
    ) -> None:
        super().__init__()
        self._part, self._length = f"network {part}", length
        self.model: Any = configured(self.library, self._part, config, nulls)
        self._check("in_channels", channels, "an item has")
        # Attention takes positions one after the other, each with its channels: so laid out, nothing is turned for it.
        self.model.to(memory_format=torch.channels_last)

    def _check(self, option: str, wanted: int, who: str) -> None:
        found = self.model.config[option]
        if found != wanted:
            raise ConfigError(f"{self._part}: config: {option} is {found!r}, but {who} {wanted}; make them the same")

    def _check_size(self, x: Tensor) -> None:
        if any(size % self._multiple for size in x.shape[2:]):
            raise ConfigError(
                f"{self._part}: an item of {tuple(x.shape[2:])}, expected multiples of {self._multiple}; "
                "set media.height and media.width so"
            )

    def forward(self, x: Tensor, time: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        """Return the output (batch, channels, height, width) for x of that shape and time (batch,)."""
        index = (time * self._length - 1).clamp(min=0)
        whole = index.round()
        # The table's own entries are whole numbers, of which the rounding of time to float32 takes a hundredth at most.
        index = torch.where((index - whole).abs() < 0.01, whole, index)
        return self.told(x.contiguous(memory_format=torch.channels_last), index, cond).contiguous()

    @abstractmethod
    def told(self, x: Tensor, index: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        """Return the library's output for x (batch, channels, height, width) and the index of the step (batch,)."""


class UNet2D(_Network):
    """``UNet2DModel`` of diffusers: the U-Net of DDPM and of unconditional latent diffusion.

    Needs diffusers (``pip install 'noiseform[diffusers]'``).

    Args:
        config: options of UNet2DModel, as its config.json has them.
        nulls: options that are null, which TOML cannot say.
        length: number of time steps that it was trained on; it is told the index ``t * length - 1``.

    Source: Ho et al. 2020, arXiv 2006.11239, appendix B.
    """

    library = "UNet2DModel"

    def __init__(
        self,
        config: dict[str, object],
        nulls: Sequence[str] = (),
        length: Length = 1000,
        *,
        channels_in: int,
        channels_out: int | None = None,
    ) -> None:
        super().__init__("diffusers-unet-2d", config, nulls, length, channels_in)
        self._check("out_channels", channels_out or channels_in, "what the objective predicts has")
        self._multiple = 2 ** (len(self.model.config["block_out_channels"]) - 1)

    def told(self, x: Tensor, index: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        self._check_size(x)
        output: Tensor = self.model(x, index, return_dict=False)[0]
        return output


class UNet2DCondition(_Network):
    """``UNet2DConditionModel`` of diffusers: the U-Net of Stable Diffusion, with attention to a text.

    Needs diffusers (``pip install 'noiseform[diffusers]'``).

    Args:
        config: options of UNet2DConditionModel, as its config.json has them.
        nulls: options that are null, which TOML cannot say.
        length: number of time steps that it was trained on; it is told the index ``t * length - 1``.

    Source: Rombach et al. 2022, arXiv 2112.10752, section 3.3.
    """

    library = "UNet2DConditionModel"
    conditioning = frozenset({"sequence", "sequence_mask"})

    def __init__(
        self,
        config: dict[str, object],
        nulls: Sequence[str] = (),
        length: Length = 1000,
        *,
        channels_in: int,
        sequence_width: int = 0,
    ) -> None:
        super().__init__("diffusers-unet-2d-condition", config, nulls, length, channels_in)
        self._check("out_channels", channels_in, "an item has")
        self._check("cross_attention_dim", sequence_width, "the text's width is")

    def told(self, x: Tensor, index: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        sequence, mask = cond["sequence"].to(x.dtype), cond.get("sequence_mask")
        output: Tensor = self.model(x, index, sequence, encoder_attention_mask=mask, return_dict=False)[0]
        return output


class DiT(_Network):
    """``DiTTransformer2DModel`` of diffusers: a transformer of patches that is told a class.

    Needs diffusers (``pip install 'noiseform[diffusers]'``). Of a network that also predicts the variance, only the
    first half of the channels is kept, unless the objective is one of learned variance.

    Args:
        config: options of DiTTransformer2DModel, as its config.json has them.
        nulls: options that are null, which TOML cannot say.
        length: number of time steps that it was trained on; it is told the index ``t * length - 1``.

    Source: Peebles and Xie 2023, arXiv 2212.09748.
    """

    library = "DiTTransformer2DModel"
    conditioning = frozenset({"vector"})

    def __init__(
        self,
        config: dict[str, object],
        nulls: Sequence[str] = (),
        length: Length = 1000,
        *,
        channels_in: int,
        channels_out: int | None = None,
        vector_width: int = 0,
    ) -> None:
        super().__init__("diffusers-dit", config, nulls, length, channels_in)
        self._kept = channels_out or channels_in
        outputs = self.model.config["out_channels"] or channels_in
        if outputs not in (self._kept, 2 * channels_in):
            wanted = f"{self._kept}" if self._kept > channels_in else f"{channels_in} or twice as many"
            raise ConfigError(f"{self._part}: config: out_channels is {outputs}, expected {wanted}; make them the same")
        if vector_width != 1:
            raise ConfigError(f"{self._part}: it is told the number of a class; use the conditioner class-number")
        self._multiple = int(self.model.config["patch_size"])

    def told(self, x: Tensor, index: Tensor, cond: Mapping[str, Tensor]) -> Tensor:
        self._check_size(x)
        classes = cond["vector"][:, 0].round().long()
        output: Tensor = self.model(x, index, class_labels=classes, return_dict=False)[0]
        return output[:, : self._kept]
