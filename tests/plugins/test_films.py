"""films-x2 on a film of a real photograph that it was not trained on: faithful, nearer than bicubic, at any rate."""

from __future__ import annotations

from pathlib import Path

import torch
from noiseform import image, video
from noiseform.core.cli.main import main
from noiseform.core.raster.resampling import resampled
from torch import Tensor

PHOTOGRAPH = Path(__file__).resolve().parents[1] / "data" / "kodim05-part.webp"
ROWS, COLUMNS = 64, 96


def psnr(one: Tensor, other: Tensor) -> float:
    return -10 * torch.log10((one - other).square().mean()).item()


def test_a_film_gets_larger_frames_by_the_default_pipeline(tmp_path, capsys):
    photograph = image.read(PHOTOGRAPH).pixels
    real = torch.stack([photograph[:, 100 : 100 + ROWS, 60 + by : 60 + by + COLUMNS] for by in range(0, 14, 2)])
    small = resampled(real, ROWS // 2, COLUMNS // 2).clamp(0, 1)
    video.Video(small, 25.0).save(tmp_path / "small.frames")
    given = video.read(tmp_path / "small.frames")
    command = ["upscale", "video", str(tmp_path / "small.frames"), "-o", str(tmp_path / "large.frames")]
    assert main(command) == 0
    assert capsys.readouterr().err == ""
    made = video.read(tmp_path / "large.frames")
    assert (made.frames.shape, made.fps) == (real.shape, 25.0)
    bicubic = resampled(given.frames, ROWS, COLUMNS).clamp(0, 1)
    assert psnr(made.frames, real) > psnr(bicubic, real) + 0.5
    assert psnr(resampled(made.frames, ROWS // 2, COLUMNS // 2).clamp(0, 1), given.frames) > 40  # asked for is 32
    assert main(["replay", str(tmp_path / "large.frames"), "--source", str(tmp_path / "small.frames")]) == 0
