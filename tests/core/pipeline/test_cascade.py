"""Cascades: stages that were trained apart run as one pipeline, from one registry entry, and each runs alone."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from noiseform import audio
from noiseform.core.cli.main import main
from noiseform.core.errors import CheckpointError, ConfigError
from noiseform.core.registration.registry import load_registry, use_registry, using_registry
from noiseform.modalities.audio.clip import Audio


def test_training_says_what_the_stage_is_for(large, tmp_path, capsys):
    data, recipe = str(large.parent / "tones"), str(large.parent / "recipe.toml")
    assert main(["train", recipe, "--data", data, "-o", str(tmp_path / "run"), "--set", "training.steps=1"]) == 0
    told = capsys.readouterr().out
    assert told == f"model folder: {tmp_path / 'run'}  (noiseform upscale audio INPUT --pipeline {tmp_path / 'run'})\n"


@pytest.fixture
def registry(tmp_path: Path, tiny_model: Path, large: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a registry file with a cascade of three stages, which is that of this process, and the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.toml"
    path.write_text(
        textwrap.dedent(f"""\
            schema = 1
            [pipelines.tones-4k]
            modality = "audio"
            summary = "tones at 4 kHz"
            [[pipelines.tones-4k.stages]]
            name = "base"
            weights = "{tiny_model}"
            [[pipelines.tones-4k.stages]]
            name = "large"
            weights = "{large}"
            media = {{ seconds = 0.064 }}
            [[pipelines.tones-4k.stages]]
            name = "larger"
            weights = "{large}"
            media = {{ sample_rate = 4000, seconds = 0.032 }}
            steps = 2
            """),
        encoding="utf-8",
    )
    monkeypatch.setenv("NOISEFORM_REGISTRY", str(path))
    use_registry(None)
    return path


def test_three_stages_run_from_one_command_and_tell_what_each_took(registry, capsys):
    assert main(["generate", "audio", "tones-4k", "--label", "low", "-o", "x.wav", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["nfe"]) for one in told["stages"]] == [("base", 8), ("large", 3), ("larger", 6)]
    assert told["nfe"] == 17
    assert told["seconds"] >= sum(one["seconds"] for one in told["stages"]) * 0.9
    clip = audio.read("x.wav")
    assert (clip.sample_rate, clip.samples.shape) == (4000, (1, 256))
    assert main(["generate", "audio", "tones-4k", "--label", "low", "-o", "y.wav"]) == 0
    assert "17 NFE" in (said := capsys.readouterr().out)
    assert "larger 6 NFE" in said


def test_a_cascade_is_made_again_from_its_record(registry, capsys):
    assert main(["generate", "audio", "tones-4k", "--label", "low", "--seed", "4", "-n", "2", "-o", "x.wav"]) == 0
    assert main(["replay", "x-0001.wav"]) == 0
    record = json.dumps(audio.read_record("x-0001.wav"))
    assert str(registry.parent) not in record
    assert "twice" not in record


def test_an_item_does_not_change_with_the_others(registry):
    several = audio.generate("tones-4k", label="high", count=3, seed=7)
    alone = audio.generate("tones-4k", label="high", count=1, seed=7, first=2)
    assert torch.equal(several[2].samples, alone[0].samples)
    batch = audio.generate("tones-4k", label="high", count=3, seed=7, batch_size=3)
    for one, other in zip(several, batch, strict=True):
        torch.testing.assert_close(one.samples, other.samples, atol=1e-3, rtol=0)


def test_each_stage_draws_noise_of_its_own_and_is_set_by_its_name(registry):
    plain = audio.generate("tones-4k", label="low")[0].samples
    changed = audio.generate("tones-4k", label="low", settings=["stages.larger.steps=5"])[0].samples
    assert not torch.equal(plain, changed)
    assert audio.load("tones-4k", steps=7).config.stages[0].steps == 7
    assert [stage.steps for stage in audio.load("tones-4k", steps=7).config.stages[1:]] == [3, 2]
    level = audio.generate("tones-4k", label="low", settings=["stages.large.conditioners.0.level=0.15"])[0].samples
    assert not torch.equal(plain, level)


def test_what_was_learnt_cannot_be_set(registry):
    with pytest.raises(
        ConfigError, match=r"stages\.large\.conditioners\.0\.residual: the weights were trained with 0\.1"
    ):
        audio.load("tones-4k", settings=["stages.large.conditioners.0.residual=0.2"])


def test_longer_items_go_through_every_stage(registry):
    clip = audio.generate("tones-4k", label="low", seconds=0.2)[0]
    assert clip.samples.shape == (1, 800)


def test_previews_of_every_stage(registry):
    assert main(["generate", "audio", "tones-4k", "--label", "low", "-o", "x.wav", "--previews", "seen"]) == 0
    names = sorted(path.name for path in Path("seen").iterdir())
    assert names[0].startswith("item-0000-base-step-")
    assert sum("-large-step-" in name for name in names) == 3
    assert sum("-larger-window-" in name for name in names) == 6


def test_any_stage_runs_alone(registry, large, tones):
    low = audio.read(tones / "low" / "0.wav")
    twice = audio.upscale(low, large)
    assert (twice.sample_rate, twice.samples.shape) == (2000, (1, 128))
    cascade = audio.upscale(low, "tones-4k")  # its stages after the first
    assert (cascade.sample_rate, cascade.samples.shape) == (4000, (1, 256))


def test_upscale_command_and_its_record(registry, large, tones, capsys):
    source = str(tones / "low" / "0.wav")
    assert main(["upscale", "audio", source, "--pipeline", str(large), "-o", "x.wav", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["nfe"] == 9
    assert main(["replay", "x.wav", "--source", source, "--pipeline", str(large)]) == 0
    assert main(["replay", "x.wav", "--pipeline", str(large)]) == 2
    assert "name its file by --source" in capsys.readouterr().err
    assert main(["replay", "x.wav", "--source", str(tones / "low" / "1.wav"), "--pipeline", str(large)]) == 2
    assert "it was not made from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (
            ["generate", "audio", "LARGE", "-o", "x.wav"],
            "its first stage makes larger what is there; use noiseform upscale",
        ),
        (["edit", "audio", "LOW", "--pipeline", "LARGE", "--strength", "0.5", "-o", "x.wav"], "cannot edit"),
        (["upscale", "audio", "LOW", "--pipeline", "TINY", "-o", "x.wav"], "none of its stages makes anything larger"),
        (
            ["upscale", "audio", "LOW", "--pipeline", "LARGE", "--factor", "3", "-o", "x.wav"],
            "or a power of that, not 3",
        ),
        (["upscale", "audio", "LOW", "--pipeline", "LARGE", "--factor", "1", "-o", "x.wav"], "a whole number from 2"),
        (["upscale", "audio", "LOW", "--pipeline", "LARGE", "--factor", "4", "-o", "x.wav"], "once and no more"),
        (["upscale", "audio", "LOW", "--pipeline", "LARGE", "--label", "low", "-o", "x.wav"], "takes no such label"),
        (["upscale", "audio", "none.wav", "--pipeline", "LARGE", "-o", "x.wav"], "none.wav"),
        (["upscale", "audio", "FAST", "--pipeline", "LARGE", "-o", "x.wav"], "the item has 8000 already"),
    ],
)
def test_what_cannot_be_done_is_one_line(registry, large, tiny_model, tones, command, complaint, capsys):
    Audio(torch.zeros(1, 800) + 0.1, 8000).save("fast.wav")
    names = {"LARGE": str(large), "TINY": str(tiny_model), "LOW": str(tones / "low" / "0.wav"), "FAST": "fast.wav"}
    code = main([names.get(word, word) for word in command])
    said = capsys.readouterr().err
    assert code in (2, 3)
    assert complaint in said
    assert said.count("\n") == 1
    assert not Path("x.wav").exists()


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('name = "x"\nweights = "/nowhere/at/all"', "there is no such folder"),
        ('name = "large"\nweights = "LARGE"\nmedia = { channels = 2 }', "got"),
        ('name = "twin"\nweights = "TINY"', "nothing of it takes what the stage before it makes"),
        ('name = "large"\nweights = "."', "no model folder"),
    ],
)
def test_stages_that_do_not_go_together(registry, large, tiny_model, table, complaint):
    table = table.replace("LARGE", str(large)).replace("TINY", str(tiny_model))
    text = 'schema = 1\n[pipelines.p]\nmodality = "audio"\n'
    for stage in (f'name = "base"\nweights = "{tiny_model}"', table):
        text += f"[[pipelines.p.stages]]\n{stage}\n"
    registry.write_text(text, encoding="utf-8")
    with using_registry(load_registry(registry)), pytest.raises((ConfigError, CheckpointError), match=complaint):
        audio.load("p")


def test_paths_of_stages_are_relative_to_their_registry_file(
    registry, large, trained_as: Callable[..., Path], tmp_path
):
    copy = trained_as(large)
    (tmp_path / "deep").mkdir()
    copy.rename(tmp_path / "deep" / "model")
    text = 'schema = 1\n[pipelines.p]\nmodality = "audio"\n[[pipelines.p.stages]]\nweights = "model"\n'
    (tmp_path / "deep" / "r.toml").write_text(text, encoding="utf-8")
    with using_registry(load_registry(tmp_path / "deep" / "r.toml")):
        assert audio.load("p", upscale=True).stages[0].config.name == "large"


def test_a_model_folder_holds_the_stage_that_was_trained(tmp_path, tones, large):
    base = '[[stages]]\nname = "base"\nmedia = { sample_rate = 1000 }\nprocess = { use = "flow" }\n'
    base += 'objective = { use = "velocity" }\nnetwork = { use = "unet-1d", channels = [8, 8], head_width = 8 }\n'
    alone = (large.parent / "recipe.toml").read_text(encoding="utf-8")
    both = alone.replace("[[stages]]", f"{base}[[stages]]", 1).replace("steps = 30", 'steps = 2\nstage = "large"')
    (tmp_path / "recipe.toml").write_text(both, encoding="utf-8")
    command = ["train", str(tmp_path / "recipe.toml"), "--data", str(tones), "-o", str(tmp_path / "run"), "--quiet"]
    assert main(command) == 0
    loaded = audio.load(str(tmp_path / "run"), upscale=True)
    assert [stage.config.name for stage in loaded.stages] == ["large"]
    assert loaded.stages[0].media.rates == (2000.0,)
