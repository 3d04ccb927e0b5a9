"""The embedded models, heard by the listener that their cards quote."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from noiseform import audio

EVALUATION = Path(__file__).resolve().parents[2] / "docs" / "evaluation"
# Least numbers of 20 clips heard right, digit and speaker. For a model whose true share is that of its card, fewer
# would come about in less than one of a thousand such tests.
LEAST = {"spoken-digits": (17, 17), "spoken-digits-cascade": (14, 14)}


@pytest.fixture(scope="module")
def listening():
    """Give the modules of docs/evaluation."""
    sys.path.insert(0, str(EVALUATION))
    try:
        import fsdd
        import listener

        yield fsdd, listener.load_listener()
    finally:
        sys.path.remove(str(EVALUATION))
        for name in ("fsdd", "listener"):
            sys.modules.pop(name, None)


@pytest.mark.parametrize("name", LEAST)
def test_the_listener_hears_what_was_asked_for(name, listening):
    fsdd, listener = listening
    loaded = audio.load(name)
    wishes = [(number % 10, number % 6) for number in range(20)]
    clips = [
        audio.generate(loaded, label=[fsdd.DIGITS[digit], fsdd.SPEAKERS[speaker]], seed=seed)[0]
        for seed, (digit, speaker) in enumerate(wishes)
    ]
    assert all(clip.record["nfe"] <= 50 and clip.sample_rate == fsdd.SAMPLE_RATE for clip in clips)
    heard = listener.hear(torch.cat([clip.samples for clip in clips]))
    right = [int((heard[place] == torch.tensor(wishes)[:, place]).sum()) for place in (0, 1)]
    assert all(got >= least for got, least in zip(right, LEAST[name], strict=True)), right


@pytest.mark.parametrize("name", LEAST)
def test_the_card_says_the_licence_of_the_weights(name):
    card = EVALUATION.parents[1] / "plugins" / name.replace("-", "_") / "CARD.md"
    assert "CC BY-SA 4.0" in card.read_text("utf-8")
