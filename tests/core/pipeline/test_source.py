"""What a stage is made from: when the latent of the stage before it is taken as it is."""

from __future__ import annotations

import pytest
import torch
from noiseform.core.pipeline.source import Source
from noiseform.core.registration.config import PartConfig

LATENT = torch.randn(8, 4)


@pytest.mark.parametrize(
    ("made_by", "taken"),
    [
        ({"use": "mel", "bins": 8}, True),
        ({"use": "mel", "bins": 8, "iterations": 64}, True),  # which says only how it decodes
        ({"use": "mel", "bins": 9}, False),
        ({"use": "mel"}, False),
        ({"use": "stft", "bins": 8}, False),
        (None, False),
    ],
)
def test_a_latent_is_taken_if_the_codec_would_make_the_same(made_by, taken):
    codec = None if made_by is None else PartConfig(**made_by)
    source = Source(lambda: torch.zeros(1, 64), lambda shape: torch.zeros(shape), LATENT, codec)
    made = source.latent_of(PartConfig(use="mel", bins=8), ("iterations",))
    assert (made is not None and torch.equal(made, LATENT)) == taken


def test_there_is_none_where_nothing_was_made():
    source = Source(lambda: torch.zeros(1, 64), lambda shape: torch.zeros(shape), None, PartConfig(use="mel", bins=8))
    assert source.latent_of(PartConfig(use="mel", bins=8)) is None
