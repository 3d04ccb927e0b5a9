"""The suite of codecs passes on every built-in one."""

from __future__ import annotations

import pytest
from noiseform.core.registration.registry import current
from noiseform.core.testing.tried_on.media_samples import PICTURE
from noiseform.testing import CodecSuite

THEIRS = {
    "block_out_channels": [8, 16],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
}
PARAMETERS = {
    "identity": [{}, {"companding": 50.0, "scale": 2.0}],
    "stft": [{}, {"layout": "channels"}],
    "mel": [{}, {"layout": "channels"}],
    "diffusers-vae": [{"config": THEIRS}],
    "diffusers-vq": [{"config": {**THEIRS, "num_vq_embeddings": 32}}],
}
"""What built-in codecs are made with, small, beside what they claim themselves."""
BUILT_IN = [part for part in current().plugins.parts("codec") if part.plugin.candidate.builtin]
CASES = [(part, parameters) for part in BUILT_IN for parameters in PARAMETERS.get(part.name, [{}])]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # diffusers' own
@pytest.mark.parametrize(("part", "parameters"), CASES, ids=[part.name for part, _ in CASES])
def test_built_in(part, parameters, found):
    if part.name.startswith("diffusers"):
        pytest.importorskip("diffusers", reason="diffusers is not installed (pip install noiseform[dev])")
    claims = getattr(part.load(), "claims", {})
    assert found("codec", part.name, {**claims, **({"parameters": parameters} if parameters else {})}) == {}


class TestAsAnAuthorWritesIt(CodecSuite):
    """Collected by pytest: what it takes, and how near media come back."""

    component = "identity"
    media = (PICTURE,)
    declared_error = 1e-6
