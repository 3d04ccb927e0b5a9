"""The embedded model of pictures, seen by the classifier that its card quotes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from noiseform import image

EVALUATION = Path(__file__).resolve().parents[2] / "docs" / "evaluation"


@pytest.fixture
def judging(monkeypatch):
    """Give the module of docs/evaluation."""
    monkeypatch.syspath_prepend(str(EVALUATION))
    import garments

    yield garments
    for name in ("garments", "distance"):
        sys.modules.pop(name, None)


def test_the_classifier_sees_what_was_asked_for(judging):
    loaded = image.load("garments")
    pictures = [image.generate(loaded, label=name, seed=seed)[0] for seed, name in enumerate(judging.CLASSES * 2)]
    assert all(one.record["nfe"] <= 50 and one.pixels.shape == (1, 28, 28) for one in pictures)
    seen, _ = judging.load_viewer().see(torch.stack([one.pixels for one in pictures]))
    right = int((seen == torch.arange(20) % 10).sum())
    assert right >= 14, right  # fewer would come about in less than one of a thousand such tests
