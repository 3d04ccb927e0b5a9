"""The suite of networks passes on every built-in one."""

from __future__ import annotations

import pytest
from noiseform.core.registration.registry import current
from noiseform.testing import NetworkSuite

UNET = {"channels": [8, 16], "blocks": 1, "attention": [1], "patch": 2, "head_width": 8}
TRANSFORMER = {"width": 48, "depth": 2, "heads": 2}
BLOCKS = {"block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4, "attention_head_dim": 4}
THEIRS = {"sample_size": 8, "in_channels": 3, "out_channels": 3}
CLAIMS = {
    "dit": [{"parameters": {**TRANSFORMER, "rank": rank}} for rank in (1, 2, 3)],
    "mm-dit": [{"parameters": {**TRANSFORMER, "rank": rank}} for rank in (1, 2, 3)],
    "diffusers-unet-2d": [
        {
            "parameters": {
                "config": {
                    **THEIRS,
                    **BLOCKS,
                    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
                    "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
                }
            }
        }
    ],
    "diffusers-unet-2d-condition": [
        {
            "parameters": {
                "config": {
                    **THEIRS,
                    **BLOCKS,
                    "cross_attention_dim": 6,
                    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
                    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
                }
            }
        }
    ],
    "diffusers-dit": [
        {
            "parameters": {
                "config": {
                    "num_attention_heads": 2,
                    "attention_head_dim": 8,
                    "in_channels": 3,
                    "out_channels": 3,
                    "num_layers": 2,
                    "sample_size": 8,
                    "num_embeds_ada_norm": 4,
                }
            },
            "size": (8, 8),
            "widths": {"vector": 1},
            "classes": 4,
        }
    ],
}
"""What is claimed of each built-in network, small, beside what it claims itself."""
BUILT_IN = [part for part in current().plugins.parts("network") if part.plugin.candidate.builtin]
CASES = [(part, claims) for part in BUILT_IN for claims in CLAIMS.get(part.name, [{}])]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # diffusers' own
@pytest.mark.parametrize(("part", "claims"), CASES, ids=[part.name for part, _ in CASES])
def test_built_in(part, claims, found):
    if part.name.startswith("diffusers"):
        pytest.importorskip("diffusers", reason="diffusers is not installed (pip install noiseform[dev])")
    assert found("network", part.name, {**getattr(part.load(), "claims", {}), **claims}) == {}


class TestAsAnAuthorWritesIt(NetworkSuite):
    """Collected by pytest: two lines are a whole test, with small sizes in a third."""

    component = "unet-1d"
    parameters = UNET
