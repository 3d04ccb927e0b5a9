"""What a verb is asked for, refused: from the command line and from Python the same first error for the same call."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from noiseform import audio
from noiseform.core.cli.main import main
from noiseform.core.errors import NoiseformError
from noiseform.core.verbs.requests import EditRequest
from noiseform.modalities.audio.clip import Audio


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Audio(0.5 * torch.sin(torch.arange(60) / 3)[None], 1000).save("tone.wav")


NOWHERE = "none-such"  # a pipeline that is not there, which is the last thing to be found out

WRONG = [
    ({"seed": -1, "count": 0}, "seed: "),
    ({"count": 0, "strength": 2.0}, "count: "),
    ({"mask": "0:1", "between": "tone.wav", "strength": 7.0}, "between and mask exclude"),
    ({"strength": 2.0, "device": "none"}, "strength: "),
    ({"resample": 0, "mask": "9:10"}, "resample: "),
    ({"between": "tone.wav", "at": [0.5, 2.0]}, "at: expected numbers"),
    ({"between": "tone.wav", "at": [0.2, 0.4, 0.6], "count": 2}, "at: 3 places for 2 items"),
    ({"between": "tone.wav", "guidance": 3.0}, "takes no guidance"),
    ({"between": "tone.wav", "sampler": "heun"}, "takes no sampler"),
    ({"between": "tone.wav", "resample": 2}, "takes no resample"),
    ({"between": "tone.wav", "negative_prompt": "noise"}, "takes no negative_prompt"),
    ({"between": "tone.wav", "negative_label": "high"}, "takes no negative_label"),
    ({"strength": 0.5, "device": "none", "dtype": "none"}, "device: "),
    ({"strength": 0.5, "steps": 0}, "none-such"),
]


def said(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    assert main([*command, "-o", "x.wav"]) in (2, 3)
    lines = capsys.readouterr().err.splitlines()
    return next(line for line in lines if line.startswith("error: ")).removeprefix("error: ")


def options(given: dict[str, object]) -> list[str]:
    """Return what the command line is to be told."""
    written = []
    for name, value in given.items():
        for one in value if isinstance(value, list) else [value]:
            written += [f"--{name.replace('_', '-')}", str(one)]
    return written


@pytest.mark.parametrize(("given", "complaint"), WRONG)
def test_edit_refuses_alike(given, complaint, capsys):
    told = said(capsys, "edit", "audio", "tone.wav", "--pipeline", NOWHERE, *options(given))
    assert complaint in told
    with pytest.raises(NoiseformError) as error:
        audio.edit("tone.wav", NOWHERE, **given)
    assert str(error.value) == told


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"seed": -1, "factor": 1}, "seed: "),
        ({"factor": 1, "device": "none"}, "factor: "),
        ({"factor": 2, "dtype": "none"}, "dtype: "),
        ({"factor": 2, "steps": 0}, "none-such"),
    ],
)
def test_upscale_refuses_alike(given, complaint, capsys):
    told = said(capsys, "upscale", "audio", "tone.wav", "--pipeline", NOWHERE, *options(given))
    assert complaint in told
    with pytest.raises(NoiseformError) as error:
        audio.upscale("tone.wav", NOWHERE, **given)
    assert str(error.value) == told


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"seed": -1, "count": 0}, "seed: "),
        ({"count": 0, "batch_size": 0}, "count: "),
        ({"batch_size": 0, "steps": 0}, "batch_size: "),
        ({"steps": 0}, "none-such"),
    ],
)
def test_generate_refuses_alike(given, complaint, capsys):
    told = said(capsys, "generate", "audio", NOWHERE, *options(given))
    assert complaint in told
    with pytest.raises(NoiseformError) as error:
        audio.generate(NOWHERE, **given)
    assert str(error.value) == told


@pytest.mark.parametrize(
    "given",
    [
        {"mask": "5:6", "label": "none"},
        {"strength": 0.5, "label": "none", "item": "nowhere.wav"},
        {"extend": "left=3", "mask": "5:6"},
        {"between": "nowhere.wav", "label": "none"},
    ],
)
def test_what_only_a_model_can_refuse_comes_in_the_same_order_too(tiny_model, given, capsys):
    item, asked = given.get("item", "tone.wav"), {name: value for name, value in given.items() if name != "item"}
    told = said(capsys, "edit", "audio", item, "--pipeline", str(tiny_model), *options(asked))
    with pytest.raises(NoiseformError) as error:
        audio.edit(item, str(tiny_model), **asked)
    assert str(error.value) == told


def test_places_between_two_are_as_many_as_are_named():
    def places(count: int, at: object) -> list[float]:
        return EditRequest(wishes=[{"labels": ()}] * count, seed=0, between="other.wav", at=at).places

    assert places(3, None) == [0.25, 0.5, 0.75]
    assert places(1, 0.2) == [0.2]
    assert places(1, [0.2, 0.4]) == places(2, (0.2, 0.4)) == [0.2, 0.4]
