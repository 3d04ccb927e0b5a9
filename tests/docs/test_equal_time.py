"""The script that trains garments and its peers for equal times: a step each, and the table."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

EVALUATION = ROOT / "docs" / "evaluation"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give Fashion-MNIST's training set with pictures of nothing: 64 to learn from, and the 5,000 held back."""
    folder = tmp_path / "data"
    folder.mkdir()
    count = 5064
    pixels = (bytes(range(256)) * (count * 28 * 28 // 256 + 1))[: count * 28 * 28]
    images = b"\0\0\x08\x03" + count.to_bytes(4) + (28).to_bytes(4) * 2 + pixels
    labels = b"\0\0\x08\x01" + count.to_bytes(4) + bytes(count)
    for name, content in (("images-idx3", images), ("labels-idx1", labels)):
        (folder / f"train-{name}-ubyte.gz").write_bytes(gzip.compress(content, 1))
    return folder


def told(*arguments: str) -> str:
    """Run the script and return what it prints."""
    command = [sys.executable, str(EVALUATION / "equal_time.py"), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_each_trains_until_its_time_is_over_and_the_table_names_all(data, tmp_path):
    places = ("--data", str(data), "--out", str(tmp_path / "out"))
    for name in ("noiseform", "diffusers-small"):
        assert "step 1 " in told("train", name, *places, "--minutes", "0", "--count", "2", "--steps", "2")
    table = told("compare", *places, "--sheet", str(tmp_path / "sheet.png"))
    assert "| noiseform | 3.8 million | 1 | 64 | 0 | 25 |" in table
    assert "| diffusers-small | 5.0 million | 1 | 16 | 0 | 2 |" in table
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_a_peer_that_is_not_installed_is_named_with_how_to_install_it(monkeypatch):
    monkeypatch.syspath_prepend(str(EVALUATION))
    monkeypatch.setitem(sys.modules, "denoising_diffusion_pytorch", None)
    import peers

    try:
        with pytest.raises(SystemExit, match=r"pip install denoising-diffusion-pytorch==2\.3\.4"):
            peers.peer_named("lucidrains", steps=2, pictures=64)
    finally:
        sys.modules.pop("peers")
