"""Latents of training items: each encoded once by a codec with weights, whatever batch it comes in."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from noiseform.core.errors import PluginError
from noiseform.core.training import latents
from noiseform.core.training.latents import Latents
from torch import Tensor, nn


class Codec(nn.Module):
    """Halves an item, and remembers what it was given."""

    def __init__(self, *, learnt: bool) -> None:
        super().__init__()
        if learnt:
            self.weight = nn.Parameter(torch.tensor(0.5))
        self.seen: list[int] = []

    def encode(self, media: Tensor) -> Tensor:
        self.seen.append(len(media))
        return media[:, :, ::2] * 0.5


def latents_of(codec: nn.Module) -> Latents:
    config = SimpleNamespace(codec=SimpleNamespace(use="half"))
    return Latents(SimpleNamespace(codec=codec, latent_shape=(1, 4), config=config))


@pytest.fixture
def media() -> Tensor:
    return torch.randn(3, 1, 8, generator=torch.Generator().manual_seed(0))


def test_an_item_is_encoded_once_and_by_itself(media):
    codec = Codec(learnt=True)
    kept = latents_of(codec)
    for batch in (media, media.flip(0), media[[1, 1]]):
        assert torch.equal(kept.of(batch), batch[:, :, ::2] * 0.5)
    assert codec.seen == [1, 1, 1]
    kept.of(media + 1e-6)
    assert len(codec.seen) == 6


def test_a_codec_without_weights_takes_the_batch(media):
    codec = Codec(learnt=False)
    kept = latents_of(codec)
    kept.of(media), kept.of(media)
    assert codec.seen == [3, 3]


def test_positions_that_are_encoded_apart_are_encoded_once_whatever_window_they_come_in():
    class Frames(Codec):
        apart = 2

        def encode(self, media: Tensor) -> Tensor:
            self.seen.append(media.shape[2])
            return media[..., ::2] * 0.5

    codec, film = Frames(learnt=True), torch.randn(1, 1, 9, 8)
    config = SimpleNamespace(codec=SimpleNamespace(use="half"))
    kept = Latents(SimpleNamespace(codec=codec, latent_shape=(1, 6, 4), config=config))
    for start in (0, 3, 1):
        clip = film[:, :, start : start + 6]
        assert torch.equal(kept.of(clip), clip[..., ::2] * 0.5)
    assert codec.seen == [1] * 9


def test_no_more_is_kept_than_fits(media, monkeypatch):
    monkeypatch.setattr(latents, "MAX_BYTES", 40)  # two latents of four floats, and not the third
    codec = Codec(learnt=True)
    kept = latents_of(codec)
    for _ in range(3):
        assert torch.equal(kept.of(media), media[:, :, ::2] * 0.5)
    assert codec.seen == [1] * 5


def test_a_latent_of_another_shape_is_refused(media):
    with pytest.raises(PluginError, match="codec 'half': encode"):
        latents_of(Codec(learnt=True)).of(media[:, :, :4])
