"""Log-mel spectrograms, and back by non-negative least squares and Griffin-Lim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le, Lt
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from ...core.errors import ConfigError
from ...core.libraries import torchaudio_module
from ...core.media import MediaSpec
from .spectrum import Layout, check_sound, laid_out, latent_shape, sound, spectrum, taken_back

__all__ = ["Mel"]

_MOMENTUM = 0.99  # of Griffin-Lim; the value of Perraudin et al. 2013
_FITTINGS = 3  # of magnitudes to mels, in each iteration
_TINY = 1e-6  # nothing is divided by less
_UPDATES = 30  # of the least squares; more changes nothing that could be measured on speech


class Mel:
    """The logarithm of mel magnitudes, normalised: ``(log(max(mel, floor)) - mean) / std``.

    Decoding is deterministic: magnitudes that explain the mels by non-negative least squares, then phases by
    Griffin-Lim from phase zero.

    Args:
        bins: mel bands between 0 Hz and half the sample rate.
        hop: samples from one frame to the next.
        window: samples of a (Hann) window, also of the transform.
        floor: smallest magnitude told from silence.
        mean: of the log magnitudes of the data.
        std: of the same.
        iterations: of Griffin-Lim.
        layout: "axis" for ``unet-2d``, "channels" for ``unet-1d``.

    Source: Perraudin et al. 2013 (fast Griffin-Lim); Lee and Seung 2001 (multiplicative updates).
    """

    settable = ("iterations",)
    claims: ClassVar[Mapping[str, object]] = {"declared_error": None}  # phases are guessed

    def __init__(
        self,
        bins: Annotated[int, Ge(2), Le(1024)] = 64,
        hop: Annotated[int, Ge(1), Le(32768)] = 128,
        window: Annotated[int, Ge(4), Le(65536)] = 512,
        floor: Annotated[float, Gt(0), Lt(1)] = 1e-3,
        mean: float = 0.0,
        std: Annotated[float, Gt(0)] = 1.0,
        iterations: Annotated[int, Ge(1), Le(10_000)] = 32,
        layout: Layout = "axis",
        *,
        media: MediaSpec,
    ) -> None:
        check_sound(media, "mel")
        if window % 2 or hop * 2 > window:
            raise ConfigError(f"codec mel: expected an even window of at least 2 hops, got window {window}, hop {hop}")
        self._bins, self._size, self._hop, self._layout = bins, window, hop, layout
        self._floor, self._mean, self._std, self._iterations = floor, mean, std, iterations
        rate = media.rates[0] or 0.0
        self._window = torch.hann_window(window)
        filters = torchaudio_module("torchaudio.functional").melscale_fbanks
        self._filters = filters(window // 2 + 1, 0.0, rate / 2, bins, int(rate), norm=None, mel_scale="htk")
        if bool((self._filters.sum(0) == 0).any()):
            raise ConfigError(f"codec mel: {bins} bands are too many for windows of {window} samples; use fewer")

    def shape(self, media_shape: tuple[int, ...]) -> tuple[int, ...]:
        channels, samples = media_shape
        return latent_shape(channels, self._bins, -(-samples // self._hop), self._layout)

    def encode(self, media: Tensor) -> Tensor:
        """Return the latent (batch, \\*shape) of sound (batch, channels, samples)."""
        found = spectrum(media, self._window.to(media), self._size, self._hop).abs()
        frames = -(-media.shape[-1] // self._hop)  # where the hop divides the length, the last frame is all beyond it
        mel = torch.einsum("bcft,fm->bcmt", found[..., :frames], self._filters.to(media))
        return laid_out((mel.clamp(min=self._floor).log() - self._mean) / self._std, self._layout)

    def loudness(self, latent: Tensor) -> Tensor:
        """Return the root of the mean square of a latent's mel magnitudes (batch, channels, frames)."""
        return self._mel(latent).square().mean(2).sqrt()

    def fitted(self, media: Tensor, latent: Tensor, iterations: int) -> Tensor:
        """Return sound (batch, channels, samples) like ``media`` whose latent is the one given, as nearly as can be.

        Its phases are refined by Griffin-Lim from those that it has. Its magnitudes are multiplied band by band until
        their mels are the latent's, so that what a band has of its own inside stays.
        """
        wanted = self._heard(latent)
        known = wanted.shape[-1]
        window, filters = self._window.to(media), self._filters.to(media)
        shares = filters / filters.sum(1, keepdim=True).clamp(min=_TINY)
        outside = (filters.sum(1) == 0).to(media)[:, None]
        found = spectrum(media, window, self._size, self._hop)
        before = torch.zeros_like(found)
        for number in range(iterations):
            ahead = found - _MOMENTUM / (1 + _MOMENTUM) * before
            magnitudes = found.abs()
            for _ in range(_FITTINGS):
                have = torch.einsum("bcft,fm->bcmt", magnitudes[..., :known], filters)
                ratio = torch.einsum("bcmt,fm->bcft", wanted / have.clamp(min=_TINY), shares) + outside
                magnitudes[..., :known] *= ratio
                magnitudes[..., known:] *= ratio[..., -1:]  # a frame that is all beyond the end has no latent
            media = sound(torch.polar(magnitudes, ahead.angle()), window, self._size, self._hop, media.shape[-1])
            before = found if number else before  # what was given is as loud as it likes, and gives no direction
            found = spectrum(media, window, self._size, self._hop)
        return media.clamp(-1, 1)

    def decode(self, latent: Tensor, media_shape: tuple[int, ...]) -> Tensor:
        """Return sound (batch, \\*media_shape)."""
        channels, samples = media_shape
        magnitudes = rearrange(
            self._magnitudes(self._heard(latent)), "batch channels bins frames -> (batch channels) bins frames"
        )
        beyond = self._frames(samples) - magnitudes.shape[-1]
        magnitudes = functional.pad(magnitudes, (0, beyond), mode="replicate") if beyond else magnitudes
        whole = max(
            samples, self._size // 2 + 1
        )  # torchaudio reflects half a window at the ends: silence makes up for it
        magnitudes = functional.pad(magnitudes, (0, self._frames(whole) - self._frames(samples)))
        made = torchaudio_module("torchaudio.functional").griffinlim(
            magnitudes,
            window=self._window.to(magnitudes),
            n_fft=self._size,
            hop_length=self._hop,
            win_length=self._size,
            power=1.0,
            n_iter=self._iterations,
            momentum=_MOMENTUM,
            length=whole,
            rand_init=False,
        )
        made = rearrange(made, "(batch channels) samples -> batch channels samples", channels=channels)
        return made[..., :samples].clamp(-1, 1)

    def _frames(self, samples: int) -> int:
        return samples // self._hop + 1

    def _mel(self, latent: Tensor) -> Tensor:
        """Return the mel magnitudes (batch, channels, bins, frames) of a latent."""
        channels = latent.shape[1] // self._bins if self._layout == "channels" else latent.shape[1]
        return torch.exp(taken_back(latent.float(), channels, self._layout) * self._std + self._mean)

    def _heard(self, latent: Tensor) -> Tensor:
        """Return the mel magnitudes of a latent, none where it stands at the floor: it was silence there, or less."""
        mel = self._mel(latent)
        return torch.where(mel > self._floor, mel, 0.0)

    def _magnitudes(self, mel: Tensor) -> Tensor:
        """Return non-negative x with filters' x = mel in the least-squares sense, by multiplicative updates."""
        filters = self._filters.to(mel)
        gram = filters @ filters.T
        target = torch.einsum("bcmt,fm->bcft", mel, filters)
        x = target
        for _ in range(_UPDATES):
            x = x * target / torch.einsum("bcft,gf->bcgt", x, gram).clamp(min=1e-12)
        return x
