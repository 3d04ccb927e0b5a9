"""Autoencoders of diffusers as codecs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Gt
from torch import Tensor, nn

from ...core.errors import ConfigError
from ...core.media import MediaSpec
from .library import configured

__all__ = ["VAE", "VQ"]

Scale = Annotated[float, Gt(0)]


class _Autoencoder(nn.Module, ABC):
    """An autoencoder of the library, whose latents are multiplied by ``scale``.

    Args:
        part: name of the codec.
        config: options of the library's class.
        nulls: options that are null, which TOML cannot say.
        scale: factor that gives the latents unit variance.
        media: shape and range of an item.
    """

    library: ClassVar[str]
    """Name of the library's class."""

    def __init__(
        self, part: str, config: Mapping[str, object], nulls: Sequence[str], scale: float, media: MediaSpec
    ) -> None:
        super().__init__()
        self._part, self._scale, self._media = f"codec {part}", scale, media
        if len(media.shape) != 3:
            raise ConfigError(f"{self._part} takes pictures, got media of shape {media.shape}; use another")
        self.model: Any = configured(self.library, self._part, config, nulls)
        self.model.to(memory_format=torch.channels_last)
        self.stride = 2 ** (len(self.model.config["block_out_channels"]) - 1)
        for option in ("in_channels", "out_channels"):
            found = self.model.config[option]
            if found != media.shape[0]:
                raise ConfigError(
                    f"{self._part}: config: {option} is {found}, but an item has {media.shape[0]} channels; "
                    "set media.channels so"
                )

    def shape(self, media_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (latent_channels, height / stride, width / stride).

        Raises:
            ConfigError: an edge is no multiple of the stride.
        """
        if any(size % self.stride for size in media_shape[1:]):
            raise ConfigError(
                f"{self._part}: an item of {media_shape[1:]}, expected multiples of {self.stride}; "
                "set media.height and media.width so"
            )
        return (int(self.model.config["latent_channels"]), *(size // self.stride for size in media_shape[1:]))

    def encode(self, media: Tensor) -> Tensor:
        """Return latents (batch, latent_channels, height / stride, width / stride) of media (batch, \\*shape)."""
        low, high = self._media.low, self._media.high
        with torch.no_grad():
            return self.latents((media - (high + low) / 2) * (2 / (high - low))) * self._scale

    def decode(self, latent: Tensor, media_shape: tuple[int, ...]) -> Tensor:
        """Return media (batch, \\*media_shape), held to their range."""
        low, high = self._media.low, self._media.high
        with torch.no_grad():
            latent = (latent / self._scale).contiguous(memory_format=torch.channels_last)
            x = self.model.decode(latent, return_dict=False)[0].contiguous()
        return x.clamp(-1, 1) * ((high - low) / 2) + (high + low) / 2

    @abstractmethod
    def latents(self, x: Tensor) -> Tensor:
        """Return the library's latents of media in [-1, 1]."""


class VAE(_Autoencoder):
    """``AutoencoderKL`` of diffusers: the autoencoder of Stable Diffusion; latents are the means.

    Needs diffusers (``pip install 'noiseform[diffusers]'``).

    Args:
        config: options of AutoencoderKL, as its config.json has them.
        nulls: options that are null, which TOML cannot say.
        scale: factor that gives the latents unit variance, ``scaling_factor`` there.

    Source: Rombach et al. 2022, arXiv 2112.10752, section 3.1 and appendix G.
    """

    library = "AutoencoderKL"

    def __init__(
        self, config: dict[str, object], nulls: Sequence[str] = (), scale: Scale = 0.18215, *, media: MediaSpec
    ) -> None:
        super().__init__("diffusers-vae", config, nulls, scale, media)

    def latents(self, x: Tensor) -> Tensor:
        mean: Tensor = self.model.encode(x, return_dict=False)[0].mode()
        return mean


class VQ(_Autoencoder):
    """``VQModel`` of diffusers: an autoencoder whose decoder first brings each place to the nearest of learnt vectors.

    Needs diffusers (``pip install 'noiseform[diffusers]'``).

    Args:
        config: options of VQModel, as its config.json has them.
        nulls: options that are null, which TOML cannot say.
        scale: factor that gives the latents unit variance, ``scaling_factor`` there.

    Source: Esser et al. 2021, arXiv 2012.09841; Rombach et al. 2022, arXiv 2112.10752, section 3.1.
    """

    library = "VQModel"

    def __init__(
        self, config: dict[str, object], nulls: Sequence[str] = (), scale: Scale = 0.18215, *, media: MediaSpec
    ) -> None:
        super().__init__("diffusers-vq", config, nulls, scale, media)

    def latents(self, x: Tensor) -> Tensor:
        latents: Tensor = self.model.encode(x, return_dict=False)[0]
        return latents
