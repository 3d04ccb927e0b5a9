"""The suite of converters passes on the built-in one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from noiseform.core.testing.mutants.converters import Squares, example
from noiseform.testing import ConverterSuite


def folder_of_diffusers(folder: Path) -> None:
    """Write a tiny pipeline as diffusers does."""
    import diffusers

    with torch.random.fork_rng(devices=[]):
        unet = diffusers.UNet2DModel(
            sample_size=8,
            in_channels=1,
            out_channels=1,
            layers_per_block=1,
            block_out_channels=(8, 8),
            norm_num_groups=4,
            down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"),
        )
    diffusers.DDPMPipeline(unet=unet, scheduler=diffusers.DDPMScheduler()).save_pretrained(folder)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_built_in(found):
    assert found("converter", "diffusers", {"example": staticmethod(folder_of_diffusers)}) == {}


class TestAsAnAuthorWritesIt(ConverterSuite):
    """Collected by pytest, with an example written as a method."""

    component = Squares

    @staticmethod
    def example(folder):
        example(folder)
