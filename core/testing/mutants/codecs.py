"""Codecs that are wrong in one way each: of one that folds sounds, and of one that learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...media import MediaSpec
from .mutant import Mutant

__all__ = ["MUTANTS"]


class Folded:
    """Two samples of a sound as two channels, in decibels of a kind; exactly invertible: an original."""

    def __init__(self, floor: float = 1e-3, *, media: MediaSpec) -> None:
        if len(media.shape) != 2:
            raise ValueError(f"it takes sounds, got media of shape {media.shape}")
        self.floor = floor

    def shape(self, media_shape: tuple[int, ...]) -> Sequence[Any]:
        channels, samples = media_shape
        return 2 * channels, -(-samples // 2)

    def encode(self, media: Tensor) -> Tensor:
        whole = functional.pad(media, (0, -media.shape[-1] % 2))
        folded = whole.unflatten(-1, (-1, 2)).movedim(-1, 2).flatten(1, 2)
        return folded.sign() * (folded.abs() / self.floor).log1p()

    def decode(self, latent: Tensor, media_shape: tuple[int, ...]) -> Tensor:
        folded = latent.sign() * latent.clamp(-20, 20).abs().expm1() * self.floor
        return folded.unflatten(1, (-1, 2)).movedim(2, -1).flatten(-2)[..., : media_shape[-1]]


class _Summed:
    """A loss: the mean absolute error."""

    modules_beside: Mapping[str, nn.Module] = {}

    def updates(self, codec: Learnt, media: Tensor, eps: Tensor, step: int) -> Iterator[tuple[str, Tensor]]:
        (mean,) = codec.posterior(media)
        yield "model", (codec.out(mean + 0.1 * eps)[..., : media.shape[-1]] - media).abs().mean()


class Learnt(nn.Module):
    """One convolution down and one up, for sounds, decoded in pieces of ``tile`` positions: an original."""

    loss = _Summed
    mean: Tensor
    std: Tensor

    def __init__(self, tile: int = 4096, *, media: MediaSpec) -> None:
        super().__init__()
        if len(media.shape) != 2:
            raise ValueError(f"it takes sounds, got media of shape {media.shape}")
        self.tile = tile
        self.down = nn.Conv1d(media.shape[0], 3, 4, stride=4)
        self.up = nn.ConvTranspose1d(3, media.shape[0], 4, stride=4)
        self.register_buffer("mean", torch.zeros(3, 1))
        self.register_buffer("std", torch.ones(3, 1))

    def shape(self, media_shape: tuple[int, ...]) -> Sequence[int]:
        return 3, -(-media_shape[1] // 4)

    def posterior(self, media: Tensor) -> tuple[Tensor]:
        return (self.down(functional.pad(media, (0, -media.shape[-1] % 4))),)

    def encode(self, media: Tensor) -> Tensor:
        return (self.posterior(media)[0] - self.mean) / self.std

    def out(self, latent: Tensor) -> Tensor:
        return torch.tanh(self.up(latent))

    def decode(self, latent: Tensor, media_shape: tuple[int, ...]) -> Tensor:
        pieces = [self.out(piece) for piece in (latent * self.std + self.mean).split(self.tile, -1)]
        return torch.cat(pieces, -1)[..., : media_shape[-1]]

    def measure(self, means: Sequence[Tensor]) -> None:
        flat = torch.cat([mean.transpose(0, 1).flatten(1) for mean in means], 1)
        self.mean.copy_(flat.mean(1, keepdim=True))
        self.std.copy_(flat.std(1, keepdim=True))


class Embedded(nn.Module):
    """Sounds as the means of their pieces, captions as bytes, both as embeddings; no way back: an original."""

    decodes = False

    def __init__(self, *, media: MediaSpec) -> None:
        super().__init__()
        if len(media.shape) != 2:
            raise ValueError(f"it takes sounds, got media of shape {media.shape}")
        self.seen, self.said = nn.Linear(16 * media.shape[0], 8), nn.Linear(4, 8)

    def shape(self, media_shape: tuple[int, ...]) -> Sequence[int]:
        return (8,)

    def encode(self, media: Tensor) -> Tensor:
        return self.seen(functional.adaptive_avg_pool1d(media, 16).flatten(1))

    def described(self, conditions: Sequence[Mapping[str, object]]) -> Tensor:
        texts = [str(one.get("text") or "").ljust(4)[:4] for one in conditions]
        return self.said(torch.tensor([[ord(letter) / 128 for letter in text] for text in texts]))

    def similarity(self, latents: Tensor, others: Tensor) -> Tensor:
        return functional.normalize(latents, dim=-1) @ functional.normalize(others, dim=-1).T

    def decode(self, latent: Tensor, media_shape: tuple[int, ...]) -> Tensor:
        from ...errors import ConfigError

        raise ConfigError("an embedding is no sound; put a stage after it")


class _TakesAnything(Folded):
    """Does not say that it takes sounds alone."""

    def __init__(self, floor: float = 1e-3, *, media: MediaSpec) -> None:
        self.floor = floor


class _ShapeRoundsDown(Folded):
    def shape(self, media_shape):  # type: ignore[no-untyped-def]
        return 2 * media_shape[0], media_shape[1] // 2


class _ShapeOfFloats(Folded):
    def shape(self, media_shape):  # type: ignore[no-untyped-def]
        return 2 * media_shape[0], media_shape[1] / 2 + media_shape[1] % 2 / 2


class _KeepsThePadding(Folded):
    def decode(self, latent, media_shape):  # type: ignore[no-untyped-def]
        return super().decode(latent, (media_shape[0], 2 * latent.shape[-1]))


class _Rounds(Folded):
    def encode(self, media):  # type: ignore[no-untyped-def]
        return (super().encode(media) * 16).round() / 16


class _Late(Folded):
    """Decodes a sample late."""

    def decode(self, latent, media_shape):  # type: ignore[no-untyped-def]
        return functional.pad(super().decode(latent, media_shape), (1, 0))[..., :-1]


class _WindowOnTheCPU(Folded):
    """Makes a window on the CPU, wherever the media lie."""

    def encode(self, media):  # type: ignore[no-untyped-def]
        return super().encode(media * torch.ones(media.shape[-1]))


class _SummedOnTheCPU(_Summed):
    """Weighs its loss by a number for each item, on the CPU."""

    def updates(self, codec, media, eps, step):  # type: ignore[no-untyped-def]
        for name, loss in super().updates(codec, media, eps, step):
            yield name, (loss * torch.ones(len(media))).mean()


class _LearnsOnTheCPU(Learnt):
    loss = _SummedOnTheCPU


class _Widens(Folded):
    def encode(self, media):  # type: ignore[no-untyped-def]
        return super().encode(media.double())


class _Silent(Folded):
    def encode(self, media):  # type: ignore[no-untyped-def]
        return 0 * super().encode(media)


class _Dithers(Folded):
    def encode(self, media):  # type: ignore[no-untyped-def]
        return super().encode(media + 1e-8 * torch.randn_like(media))


class _SeedsItsDecoder(Folded):
    def decode(self, latent, media_shape):  # type: ignore[no-untyped-def]
        torch.manual_seed(0)
        return super().decode(latent + 1e-8 * torch.randn_like(latent), media_shape)


class _RemembersItsSounds(Folded):
    """Brings sounds to the loudness of the first that it has seen."""

    loud: Tensor | None = None

    def encode(self, media):  # type: ignore[no-untyped-def]
        if self.loud is None:
            self.loud = media.abs().mean()
            return super().encode(media)
        return super().encode(media * (1 + 1e-3 * (self.loud - media.abs().mean())))


class _Levels(Folded):
    """Subtracts the mean of the batch."""

    def encode(self, media):  # type: ignore[no-untyped-def]
        return super().encode(media - media.mean((0, 2), keepdim=True))


class _WritesIntoMedia(Folded):
    def encode(self, media):  # type: ignore[no-untyped-def]
        return super().encode(media.clamp_(-0.5, 0.5))


class _WritesIntoLatents(Folded):
    def decode(self, latent, media_shape):  # type: ignore[no-untyped-def]
        return super().decode(latent.clamp_(-2, 2), media_shape)


class _Views(Folded):
    def encode(self, media):  # type: ignore[no-untyped-def]
        return super().encode(media.view(-1).view(media.shape))


class _DividesBySilence(Folded):
    def encode(self, media):  # type: ignore[no-untyped-def]
        return super().encode(media / media.abs().amax((1, 2), keepdim=True))


class _TrustsLatents(Folded):
    """Takes it for granted that latents are those of media."""

    def decode(self, latent, media_shape):  # type: ignore[no-untyped-def]
        return super().decode(latent, media_shape) + 0 * torch.log(8 - latent.abs()).sum((1, 2))[:, None, None]


class _UnknownSettable(Folded):
    settable = ("window",)


class _Seams(Learnt):
    def decode(self, latent, media_shape):  # type: ignore[no-untyped-def]
        pieces = [self.out(piece - piece.mean() / 10) for piece in latent.split(self.tile, -1)]
        return torch.cat(pieces, -1)[..., : media_shape[-1]]


class _ForgetsTheMean(Learnt):
    def measure(self, means):  # type: ignore[no-untyped-def]
        super().measure(means)
        self.mean.zero_()


class _DeadWeight(Learnt):
    def __init__(self, tile: int = 4096, *, media: MediaSpec) -> None:
        super().__init__(tile, media=media)
        self.second = nn.Linear(3, 3)


class _KeepsFiguresBeside(Learnt):
    """Draws a projection that does not go into files."""

    def __init__(self, tile: int = 4096, *, media: MediaSpec) -> None:
        super().__init__(tile, media=media)
        self.register_buffer("std", torch.rand(3, 1) + 0.5, persistent=False)


class _LooseTensor(Learnt):
    def __init__(self, tile: int = 4096, *, media: MediaSpec) -> None:
        super().__init__(tile, media=media)
        self.window = torch.hann_window(4)


class _SaysNothing(Embedded):
    """Decodes to silence, in the place of a refusal."""

    def decode(self, latent, media_shape):  # type: ignore[no-untyped-def]
        return latent.new_zeros(len(latent), *media_shape)


class _LikesTheLast(Embedded):
    def similarity(self, latents, others):  # type: ignore[no-untyped-def]
        return super().similarity(latents, others.flip(0))


BOUND = {"declared_error": 1e-5}
PIECES = {"chunks": {"tile": 16}}
MUTANTS = (
    Mutant("the original: folded sounds", Folded, None, BOUND),
    Mutant("the original: one that learns", Learnt, None, PIECES),
    Mutant("the original: embeddings", Embedded, None, {"unused": ("*",)}),
    Mutant("takes what it cannot encode", _TakesAnything, "test_takes_media_or_refuses_them", BOUND),
    Mutant("rounds odd sizes down in its shape", _ShapeRoundsDown, "test_latents_have_the_declared_shape", BOUND),
    Mutant("gives a shape in floats", _ShapeOfFloats, "test_latents_have_the_declared_shape", BOUND),
    Mutant("gives latents in another dtype", _Widens, "test_latents_have_the_declared_shape", BOUND),
    Mutant("gives back what it was padded by", _KeepsThePadding, "test_media_come_back_in_their_shape", BOUND),
    Mutant("is farther off than it declares", _Rounds, "test_media_come_back_within_the_bound", BOUND),
    Mutant("decodes a sample late", _Late, "test_media_come_back_within_the_bound", BOUND),
    Mutant("does not say how exact it is", Folded, "test_media_come_back_within_the_bound"),
    Mutant("makes tensors on the CPU", _WindowOnTheCPU, "test_keeps_the_device", BOUND),
    Mutant("makes tensors on the CPU in its loss", _LearnsOnTheCPU, "test_keeps_the_device"),
    Mutant("gives all media one latent", _Silent, "test_tells_media_apart", BOUND),
    Mutant("draws from the global generator", _Dithers, "test_is_deterministic", BOUND),
    Mutant("seeds the global generator", _SeedsItsDecoder, "test_is_deterministic", BOUND),
    Mutant("remembers the first media", _RemembersItsSounds, "test_is_deterministic", BOUND),
    Mutant("lets the items of a batch mix", _Levels, "test_items_do_not_depend_on_their_batch", BOUND),
    Mutant("writes into media", _WritesIntoMedia, "test_leaves_its_inputs_alone", BOUND),
    Mutant("writes into latents", _WritesIntoLatents, "test_leaves_its_inputs_alone", BOUND),
    Mutant("wants media in one piece of memory", _Views, "test_memory_may_lie_anyhow", BOUND),
    Mutant("divides by silence", _DividesBySilence, "test_constant_media_are_finite", BOUND),
    Mutant("decodes nothing but latents of media", _TrustsLatents, "test_any_latent_becomes_media", BOUND),
    Mutant("lets a parameter be set that it does not have", _UnknownSettable, "test_settable_parameters_exist", BOUND),
    Mutant("has seams between its pieces", _Seams, "test_chunks_make_no_difference", PIECES),
    Mutant("measures no mean", _ForgetsTheMean, "test_measured_latents_are_normalised"),
    Mutant("has a layer that it does not use", _DeadWeight, "test_every_parameter_learns"),
    Mutant("draws something that no file holds", _KeepsFiguresBeside, "test_weights_go_out_and_in_again"),
    Mutant("holds a tensor that is not registered", _LooseTensor, "test_tensors_are_registered"),
    Mutant("decodes though it says that it does not", _SaysNothing, "test_has_a_way_back_or_says_so"),
    Mutant("finds another latent more like one than itself", _LikesTheLast, "test_has_a_way_back_or_says_so"),
)
