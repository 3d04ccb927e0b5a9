"""Negative prompts and labels: what guidance leads away from in the place of the null condition."""

from __future__ import annotations

import types

import pytest
import torch
from noiseform import ConfigError, audio, build
from noiseform.core.cli.main import main
from noiseform.core.pipeline.model import Model
from noiseform.core.pipeline.wishes import heard
from torch import nn
from torch.testing import assert_close


@pytest.fixture
def stage():
    """Give what `heard` asks of a stage whose model takes labels and text."""
    torch.manual_seed(0)
    labels = build("conditioner", "labels", names=["low", "high"], width=8)
    text = build("conditioner", "text", width=8)
    for one in (labels, text):
        for parameter in one.parameters():
            nn.init.normal_(parameter, std=0.3)
    model = Model(nn.Identity(), [labels, text]).eval()
    return types.SimpleNamespace(model=model, guide=None, guidance=build("guidance", "cfg"), config=None)


def test_it_takes_the_place_of_the_null_condition_row_by_row(stage):
    wish = {"labels": ("low",), "text": "short"}
    rows = [
        {**wish, "negative_labels": ("high",)},
        wish,
        {**wish, "negative_text": "something much longer than that"},
    ]
    with torch.no_grad():
        told = heard(stage, rows, "cpu")
        cond, null = told.cond, told.null
        for row, asked in enumerate(({"labels": ("high",)}, {}, {"text": "something much longer than that"})):
            alone = heard(stage, [asked], "cpu").cond
            assert_close(null["vector"][row], alone["vector"][0])
            assert_close(cond["vector"][row], heard(stage, [wish], "cpu").cond["vector"][0])
    assert {name: value.shape for name, value in cond.items()} == {name: value.shape for name, value in null.items()}


def test_negative_label_is_recorded_and_replayed(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = [
        "generate",
        "audio",
        str(tiny_model),
        "--label",
        "low",
        "--negative-label",
        "high",
        "-o",
        "x.wav",
        "--quiet",
    ]
    assert main(line) == 0
    assert audio.read("x.wav").record["conditions"] == {"labels": ["low"], "negative_labels": ["high"]}
    assert main(["replay", "x.wav", "--pipeline", str(tiny_model)]) == 0
    plain, away = (audio.generate(tiny_model, label="low", negative_label=one)[0].samples for one in (None, "high"))
    assert (plain - away).abs().max() > 1e-5
    same = audio.generate(tiny_model, label="low", negative_label="low", guidance=7.0)[0].samples
    assert_close(same, audio.generate(tiny_model, label="low", guidance=1.0)[0].samples, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("wishes", "why"),
    [
        ({"negative_prompt": "noise"}, "negative prompt: this model takes no prompt"),
        ({"negative_label": "lo"}, "negative label: unknown label 'lo'"),
        ({"negative_prompt": 3}, "negative_prompt: expected text, got 3"),
        ({"negative_label": "low", "settings": ["stages.base.guidance={use='none'}"]}, "guidance 'none' does not lead"),
    ],
)
def test_what_nobody_listens_to_is_refused(tiny_model, wishes, why):
    with pytest.raises(ConfigError, match=why):
        audio.generate(tiny_model, **wishes)
