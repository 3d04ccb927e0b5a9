"""Guidance by models with weights of their own: found, checked, asked row by row, recorded, made again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from noiseform import CheckpointError, ConfigError, audio
from noiseform.core.cli.main import main
from noiseform.core.diffusion.level import Level
from noiseform.core.pipeline.classifier import Classifier, ClassifierConfig
from noiseform.core.pipeline.guide import ClassifierGuide
from torch.testing import assert_close

LEVEL = Level(0.5, 0.5, 0.5, -1.0, 1.0, 0.0)
TRAINING = """\
[training]
steps = 20
batch_size = 6
warmup = 5
sample_every = 0
"""


def run(recipe: Path, data: Path, folder: Path, *settings: str) -> int:
    line = ["train", str(recipe), "--data", str(data), "-o", str(folder), "--quiet"]
    return main([*line, *(part for setting in settings for part in ("--set", setting))])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tones: Path, tiny_model: Path, tiny_classifier: str) -> Path:
    """Give a folder with a classifier, a weak model and a model that knows no labels."""
    made = tmp_path_factory.mktemp("guides")
    (made / "classifier.toml").write_text(tiny_classifier + TRAINING)
    assert run(made / "classifier.toml", tones, made / "classifier") == 0
    recipe = tiny_model.parent / "recipe.toml"
    assert run(recipe, tones, made / "weak", "training.steps=5", "stages.base.objective.use=v") == 0
    bare = ("training.steps=5", "stages.base.conditioners=[]", "data.labels=none")
    assert run(recipe, tones, made / "bare", *bare) == 0
    return made


def setting(use: str, weights: Path, scale: float = 3.0) -> tuple[str]:
    return (f"stages.base.guidance={{use='{use}', weights='{weights}', scale={scale}}}",)


def made(model: Path, use: str, weights: Path, *, label: str | None = "low", **more: object) -> torch.Tensor:
    return audio.generate(model, label=label, seed=1, settings=setting(use, weights), **more)[0].samples


@pytest.mark.parametrize(("use", "weights"), [("classifier", "classifier"), ("autoguidance", "weak")])
def test_generates_records_and_replays(folder, tiny_model, tmp_path, monkeypatch, use, weights):
    monkeypatch.chdir(tmp_path)
    line = [
        "generate",
        "audio",
        str(tiny_model),
        "--label",
        "low",
        "-n",
        "2",
        "-o",
        "x.wav",
        "--quiet",
        "--sampler",
        "euler",
    ]
    assert main([*line, "--set", *setting(use, folder / weights)]) == 0
    record = audio.read("x-0001.wav").record
    assert record["weights"].keys() == {"base", "base.guidance"}
    assert record["nfe"] == 8 - (use == "classifier")  # at pure noise there is nothing to classify
    assert main(["replay", "x-0001.wav", "--pipeline", str(tiny_model)]) == 0
    plain = audio.generate(tiny_model, label="low", seed=1, guidance=1.0)[0].samples
    assert (plain - made(tiny_model, use, folder / weights)).abs().max() > 1e-4


def test_another_guide_is_noticed_by_replay(folder, tiny_model, tmp_path, tones, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(folder / "classifier.toml", tones, tmp_path / "c", "training.steps=2") == 0
    line = ["generate", "audio", str(tiny_model), "--label", "low", "-o", "x.wav", "--quiet"]
    assert main([*line, "--set", *setting("classifier", Path("c"))]) == 0
    (tmp_path / "c").rename(tmp_path / "before")
    assert run(folder / "classifier.toml", tones, tmp_path / "c", "training.steps=3") == 0
    assert main(["replay", "x.wav", "--pipeline", str(tiny_model)]) == 4
    assert "other weights" in capsys.readouterr().err


@pytest.mark.parametrize(("use", "weights"), [("classifier", "classifier"), ("autoguidance", "weak")])
def test_items_of_one_batch_are_those_made_alone(folder, tiny_model, use, weights):
    loaded = audio.load(str(tiny_model), settings=setting(use, folder / weights))
    wishes = [{"labels": ("high",)}, {"labels": ()}, {"labels": ("low",)}]
    together = [one.media.samples for one in loaded.make(wishes, seed=3, batch_size=3)]
    for number, wish in enumerate(wishes):
        (alone,) = loaded.make([wish], seed=3, first=number)
        assert_close(together[number], alone.media.samples, atol=1e-3, rtol=0)


def test_a_model_without_labels_makes_what_its_classifier_is_asked_for(folder):
    low = made(folder / "bare", "classifier", folder / "classifier", guidance=50.0)
    nothing = made(folder / "bare", "classifier", folder / "classifier", label=None)
    plain = audio.generate(folder / "bare", seed=1)[0].samples
    assert_close(nothing, plain)
    assert (low - plain).abs().max() > 1e-4
    with pytest.raises(ConfigError, match="label: unknown label 'red'"):
        made(folder / "bare", "classifier", folder / "classifier", label="red")


def test_classifier_guide_asks_each_row_for_its_own_label():
    network = {"use": "unet-1d", "channels": [8, 8], "blocks": 1, "head_width": 8, "embedding": 16}
    model = Classifier(
        ClassifierConfig.model_validate({"process": {"use": "flow"}, "network": network, "names": ["a", "b"]}), (1, 16)
    )
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.3, generator=generator)
    x = torch.randn(3, 1, 16, generator=generator)
    bound = ClassifierGuide(model, "").bound([{"labels": ("b",)}, {}, {"labels": ("a", "other")}])
    chances = model(x, LEVEL).log_softmax(1)
    assert_close(bound(x, LEVEL), torch.stack([chances[0, 1], torch.tensor(0.0), chances[2, 0]]))
    assert bound.rows == 2


def test_what_does_not_fit_is_refused(folder, tiny_model, tiny_recipe, tones, tmp_path, capsys):
    with pytest.raises(ConfigError, match="it asks a model of its own; name its folder"):
        audio.load(str(tiny_model), settings=("stages.base.guidance={use='classifier'}",))
    with pytest.raises(ConfigError, match="it needs no weights"):
        made(tiny_model, "cfg", folder / "weak")
    with pytest.raises(CheckpointError, match="holds no classifier; name a folder that a classifier's recipe made"):
        made(tiny_model, "classifier", folder / "weak")
    with pytest.raises(CheckpointError, match="holds no denoiser"):
        made(tiny_model, "autoguidance", folder / "classifier")
    for change, why in {
        "classifier.process.use=vp-linear": "process.use: it was trained with 'vp-linear'",
        "classifier.codec.scale=2.0": "codec.scale: it was trained with 2.0",
    }.items():
        other = tmp_path / change
        assert run(folder / "classifier.toml", tones, other, "training.steps=1", change) == 0
        with pytest.raises(ConfigError, match=why):
            made(tiny_model, "classifier", other)
    assert run(tiny_recipe, tones, tmp_path / "run", *setting("autoguidance", folder / "weak")) == 2
    assert "is for generating: leave it out here" in capsys.readouterr().err
