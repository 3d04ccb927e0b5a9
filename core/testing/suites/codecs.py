"""The suite of codecs: shapes, there and back, and what a latent must not depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import EllipsisType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...errors import ConfigError, PluginError
from ...machine.devices import seeded
from ...media import MediaSpec
from ...registration.build import made_of
from ...registration.parameters import host_parameters
from ..answers import called, numbered, tensor_of
from ..finding import Finding, holds, no_global_draws, refused, same, skip, unchanged
from ..inherited.learning import LearningSuite, stirred
from ..tried_on.another_device import another_device, learns_on, lies_on, moved
from ..tried_on.media_samples import FILM, PICTURE, SOUND, drawn_media, odd, taken
from ..tried_on.numbers import normal, scattered

__all__ = ["CodecSuite"]

CAPTIONS = ("a red hat", "two blue birds", "an old map of the sea", "")


class CodecSuite(LearningSuite):
    """Holds a codec to its contract: ``shape(media_shape)``, ``encode(media)`` and ``decode(latent, media_shape)``.

    Attributes:
        media: what it is tried on; a sound, a picture and a film where it is left out, of which it may refuse some.
        declared_error: how far media may be from what they were at most when they come back, in their own units; None
            where nothing is promised. One that does not learn has to say which.
        chunks: parameters with which it decodes in pieces what it decodes at once without them.
    """

    kind: ClassVar[str] = "codec"
    media: ClassVar[Sequence[MediaSpec]] = (SOUND, PICTURE, FILM)
    declared_error: ClassVar[float | EllipsisType | None] = ...
    chunks: ClassVar[Mapping[str, object]] = {}

    def host(self) -> dict[str, object]:
        """Return the first of the media that it does not refuse."""
        return {"media": self._taken()[0]}

    def _taken(self, *, strict: bool = False) -> list[MediaSpec]:
        """Return those of the media that it does not refuse; where ``strict``, it may not trip over the others."""
        return taken(self.media, self._codec, strict=strict)

    def _codec(self, spec: MediaSpec, **more: object) -> Any:
        """Return the codec for media, ready to be used.

        Raises:
            ConfigError: it takes no such media.
        """
        what = f"making it for media of shape {spec.shape}"
        try:
            with seeded(0):
                codec = made_of(self.part(), {**self.parameters, **more}, {"media": spec})
            called(f"shape({spec.shape})", codec.shape, spec.shape)
        except PluginError as error:
            raise Finding(f"{what}: {error}; refuse what it cannot take by a ConfigError or ValueError") from error
        except Finding as found:
            if isinstance(found.__cause__, ConfigError):
                raise found.__cause__ from found
            raise Finding(f"{what}: {found}; refuse what it cannot take by a ConfigError") from found
        return stirred(codec).eval() if isinstance(codec, nn.Module) else codec

    def _each(self) -> Iterator[tuple[Any, MediaSpec, Tensor]]:
        """Give the codec for each kind of media that it takes, their spec, and some of them."""
        for spec in self._taken():
            yield self._codec(spec), spec, drawn_media(spec)

    def _answer(self, part: Any) -> Tensor:
        """Return latents of media, and what becomes of them, in one row."""
        spec = self._taken()[0]
        with torch.no_grad():
            latent = self._encoded(part, drawn_media(spec))
            made = [self._decoded(part, latent, spec)] if decodes(part) else []
        return torch.cat([one.flatten() for one in (latent, *made)])

    def _loss(self, part: Any) -> Tensor:
        """Return the codec's own loss of media and captions."""
        if not hasattr(part, "loss"):
            skip("it has no loss, and so does not learn here")
        name, loss = called("updates", lambda: next(self._updates(part)))
        holds(name == "model", f"updates: the first loss is that of {name!r}, expected 'model'")
        assert isinstance(loss, Tensor)
        holds(loss.shape == (), f"updates: expected one number, got a tensor of shape {tuple(loss.shape)}")
        return loss

    def _updates(self, part: Any, device: str = "cpu") -> Iterator[tuple[str, Tensor]]:
        """Give the losses of a first step of training, each with the name of what learns by it."""
        spec = self._taken()[0]
        asked = host_parameters(part.loss)
        host = {"channels": spec.shape[0], "rank": len(spec.shape) - 1}
        own = part.loss(**{key: value for key, value in host.items() if key in asked})
        for beside in own.modules_beside.values():
            beside.to(device)
        media = drawn_media(spec)
        eps = normal(len(media), *part.shape(spec.shape), purpose="eps").float()
        conditions = [{"text": text} for text in CAPTIONS[: len(media)]]
        told = (conditions,) if getattr(own, "takes", ()) else ()
        yield from own.updates(part, media.to(device), eps.to(device), 0, *told)

    def test_takes_media_or_refuses_them(self) -> None:
        """It takes some media, and refuses others when it is made, by a ConfigError."""
        self._taken(strict=True)

    def test_latents_have_the_declared_shape(self) -> None:
        """``shape`` tells the shape of latents beforehand, for odd sizes too, or a ConfigError says what sizes go."""
        for spec in self._taken():
            for size in (spec, *odd(spec)):
                codec = self._odd(size)
                if codec is None:
                    continue
                shape = codec.shape(size.shape)
                whole = isinstance(shape, Sequence) and all(type(one) is int and one >= 1 for one in shape)
                holds(whole, f"shape({size.shape}): expected whole numbers (channels, *space), got {shape!r}")
                latent = self._encoded(codec, drawn_media(size, 2))
                holds(
                    latent.dtype == torch.float32, f"encode: expected float32 for media in float32, got {latent.dtype}"
                )

    def test_media_come_back_in_their_shape(self) -> None:
        """Media of any size come back in their shape and dtype, finite."""
        for spec in self._taken():
            for size in (spec, *odd(spec)):
                codec = self._odd(size)
                if codec is None:
                    continue
                self._decodes(codec)
                made = self._decoded(codec, self._encoded(codec, drawn_media(size, 2)), size)
                holds(made.dtype == torch.float32, f"decode: expected float32 for latents in float32, got {made.dtype}")

    def test_media_come_back_within_the_bound(self) -> None:
        """What comes back is no farther from what went in than is declared, for odd sizes too."""
        bound = self._bound()
        for spec in self._taken():
            for size in (spec, *odd(spec)):
                codec = self._odd(size)
                if codec is not None:
                    media = drawn_media(size)
                    made = self._decoded(codec, self._encoded(codec, media), size)
                    told = f"media of shape {size.shape} there and back, beside the bound of {bound:g}"
                    same(made, media, told, atol=bound)

    def test_has_a_way_back_or_says_so(self) -> None:
        """A codec without a way back says ``decodes = False``, refuses to decode, and compares latents in its place."""
        for codec, spec, media in self._each():
            if decodes(codec):
                skip("it decodes")
            latent = self._encoded(codec, media)
            with refused(ConfigError, "decode, where decodes is False"):
                codec.decode(latent, spec.shape)
            like = called("similarity", codec.similarity, latent, latent[:2])
            tensor_of(like, (3, 2), "similarity(latents, others)")
            holds(like[0].argmax() == 0 and like[1].argmax() == 1, "similarity: a latent is not most like itself")
            said = called("described", codec.described, [{"text": text} for text in CAPTIONS])
            tensor_of(said, (len(CAPTIONS), *latent.shape[1:]), "described(conditions)")

    def test_tells_media_apart(self) -> None:
        """Different media have different latents, and these become different media."""
        for codec, spec, media in self._each():
            latent = self._encoded(codec, media)
            for row in (1, 2):
                holds(not torch.equal(latent[row], latent[0]), f"two media of {spec.shape} have the same latent")
            if decodes(codec):
                made = self._decoded(codec, latent, spec)
                holds(not torch.equal(made[1], made[0]), f"two latents of media of {spec.shape} become the same media")

    def test_is_deterministic(self) -> None:
        """Nothing is drawn and nothing kept: the same media have the same latents, whatever came between."""
        for codec, spec, media in self._each():
            other = drawn_media(spec, purpose="other")
            with seeded(11), no_global_draws():
                latent = self._encoded(codec, media)
                made = self._decoded(codec, latent, spec) if decodes(codec) else None
            fresh = self._encoded(self._codec(spec), other)
            same(self._encoded(codec, other), fresh, "encode after other media, and in one that has seen none")
            same(self._encoded(codec, media), latent, "encode twice, with other media between")
            if made is not None:
                self._decoded(codec, fresh, spec)
                same(self._decoded(codec, latent, spec), made, "decode twice, with others between")

    def test_items_do_not_depend_on_their_batch(self) -> None:
        """An item alone is encoded and decoded as in a batch."""
        for codec, spec, media in self._each():
            latent = self._encoded(codec, media)
            made = self._decoded(codec, latent, spec) if decodes(codec) else None
            for row in range(len(media)):
                alone = self._encoded(codec, media[row : row + 1])
                self._close(alone[0], latent[row], f"encode: item {row} alone beside the same in a batch")
                if made is not None:
                    alone = self._decoded(codec, latent[row : row + 1], spec)
                    self._close(alone[0], made[row], f"decode: item {row} alone beside the same in a batch")

    def test_leaves_its_inputs_alone(self) -> None:
        """Neither media nor latents are changed in place."""
        for codec, spec, media in self._each():
            with unchanged(media=media):
                latent = self._encoded(codec, media)
            if decodes(codec):
                with unchanged(latent=latent):
                    self._decoded(codec, latent, spec)

    def test_memory_may_lie_anyhow(self) -> None:
        """Tensors with gaps between their numbers come out as compact ones do."""
        for codec, spec, media in self._each():
            latent = self._encoded(codec, media)
            self._close(self._encoded(codec, scattered(media)), latent, "encode: media that are not contiguous")
            if decodes(codec):
                made = self._decoded(codec, scattered(latent), spec)
                self._close(made, self._decoded(codec, latent, spec), "decode: latents that are not contiguous")

    def test_keeps_the_device(self) -> None:
        """What it makes on the way lies where its weights and media lie, on a GPU too, in use and when it learns."""
        codec, spec = self._ready(), self._taken()[0]
        with another_device() as device, seeded(0):
            codec = moved(codec, device)
            with torch.no_grad():
                latent = codec.encode(moved(drawn_media(spec), device))
                lies_on(device, latent, "encode")
                if decodes(codec):
                    lies_on(device, codec.decode(latent, spec.shape), "decode")
            for _, loss in self._updates(codec.train(), device) if hasattr(codec, "loss") else ():
                learns_on(device, loss, codec)

    def test_constant_media_are_finite(self) -> None:
        """Silence, black, grey and white have latents, and come back finite."""
        for codec, spec, media in self._each():
            for value in (spec.low, (spec.low + spec.high) / 2, spec.high):
                latent = self._encoded(codec, torch.full_like(media, value))
                holds(latent.isfinite().all(), f"media that are {value:g} throughout have latents that are not finite")
                if decodes(codec):
                    self._decoded(codec, latent, spec)

    def test_any_latent_becomes_media(self) -> None:
        """What a model makes is no latent of any medium; it is decoded all the same, to finite values."""
        for codec, spec, media in self._each():
            self._decodes(codec)
            latent = self._encoded(codec, media)
            made = latent.mean() + latent.std() * normal(*latent.shape, purpose="made").float()
            for values in (made, 2 * made, torch.zeros_like(made)):
                self._decoded(codec, values, spec)

    def test_chunks_make_no_difference(self) -> None:
        """What is decoded in pieces is what is decoded at once."""
        if not self.chunks:
            skip("the suite's `chunks` names no parameters for it")
        for spec in self._taken():
            channels, *space, last = spec.shape
            large = replace(spec, shape=(channels, *(2 * size for size in space[:1]), *space[1:], 8 * last))
            whole, pieces = self._codec(large), self._codec(large, **self.chunks)
            latent = normal(2, *whole.shape(large.shape), purpose="made").float()
            made = self._decoded(pieces, latent, large)
            self._close(made, self._decoded(whole, latent, large), f"media of {large.shape} in pieces, and at once")

    def test_measured_latents_are_normalised(self) -> None:
        """Once ``measure`` was given items, their latents have mean 0 and variance 1 in each channel."""
        codec, spec = self._module(), self._taken()[0]
        if not hasattr(codec, "measure"):
            skip("it measures nothing")
        media: Any = drawn_media(spec, 12)
        with torch.no_grad():
            called("measure", lambda: codec.measure([codec.posterior(one[None])[0] for one in media]))  # type: ignore[operator]
        flat = self._encoded(codec, media).transpose(0, 1).flatten(1).double()
        far = max(flat.mean(1).abs().max().item(), (flat.std(1, correction=0) - 1).abs().max().item())
        # A variance over 12 latents of one number each may be measured with 11 in the place of 12.
        holds(far < 0.06, f"after measure the mean or deviation of a channel of their latents is {far:.2g} off")

    def _encoded(self, codec: Any, media: Tensor) -> Tensor:
        """Return latents, as a Finding where they are none."""
        with torch.no_grad():
            latent = called(f"encode, for media {tuple(media.shape)},", codec.encode, media)
        return tensor_of(latent, (len(media), *codec.shape(tuple(media.shape[1:]))), "encode")

    def _decoded(self, codec: Any, latent: Tensor, spec: MediaSpec) -> Tensor:
        """Return media, as a Finding where they are none."""
        with torch.no_grad():
            made = called(f"decode, to media of {spec.shape},", codec.decode, latent, spec.shape)
        made = tensor_of(made, (len(latent), *spec.shape), "decode")
        holds(made.isfinite().all(), f"decode: media of shape {spec.shape} are not finite")
        return made

    def _bound(self) -> float:
        """Return how far off media may be that come back; leave the check out where nothing is promised."""
        if isinstance(self.declared_error, EllipsisType):
            codec = self._codec(self._taken()[0])
            self._decodes(codec)
            learns = isinstance(codec, nn.Module) and any(True for _ in codec.parameters())
            holds(learns, "say declared_error, how far media may be off that come back, or None where it claims none")
            skip("it learns, and no bound is declared; the suite's `declared_error` does")
        if self.declared_error is None:
            skip("it claims no bound")
        return self.declared_error

    def _odd(self, size: MediaSpec) -> Any:
        """Return the codec for media of some size, or None where it says which sizes go."""
        try:
            return self._codec(size)
        except ConfigError as error:
            numbered(error, f"media of shape {size.shape}")
            return None

    def _decodes(self, codec: Any) -> None:
        if not decodes(codec):
            skip("it does not decode")

    def _close(self, made: Tensor, expected: Tensor, told: str) -> None:
        same(made, expected, told, atol=1e-4 * max(1.0, expected.abs().max().item()))


def decodes(codec: Any) -> bool:
    """Return whether a codec has a way back."""
    return bool(getattr(codec, "decodes", True))
