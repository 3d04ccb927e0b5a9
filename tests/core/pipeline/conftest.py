"""A stage that makes sounds larger, for the tests of what is made of several stages."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from noiseform.core.cli.main import main
from noiseform.modalities.audio.clip import Audio

LARGE = """\
modality = "audio"
[media]
sample_rate = 2000
seconds = 0.032
[[stages]]
name = "large"
process = { use = "flow" }
objective = { use = "velocity" }
network = { use = "unet-1d", channels = [8, 8], blocks = 1, head_width = 8, embedding = 16 }
codec = { use = "identity", scale = 4.0 }
conditioners = [{ use = "low-res", noise = 0.2, residual = 0.1 }]
steps = 3
[data]
labels = "none"
[training]
steps = 30
batch_size = 4
warmup = 5
ema = 0.9
sample_every = 0
"""


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a stage that doubles the sample rate to 2 kHz, trained on tones."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "tones").mkdir()
    for number in range(4):
        wave = 0.5 * torch.sin(torch.arange(128) * (number + 1) / 5)
        Audio(wave[None], 2000).save(folder / "tones" / f"{number}.wav")
    (folder / "recipe.toml").write_text(LARGE, encoding="utf-8")
    run = folder / "twice"
    assert main(["train", str(folder / "recipe.toml"), "--data", str(folder / "tones"), "-o", str(run), "--quiet"]) == 0
    return run
