"""The classifier of noisy items: its training, its model folder, and what a recipe of one may not say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from noiseform import ConfigError, audio
from noiseform.core.cli.main import main
from noiseform.core.diffusion.level import Level
from noiseform.core.pipeline.classifier import Classifier, ClassifierConfig
from noiseform.core.storage.model_folder import load_model_folder
from noiseform.core.training.classifier import ClassifierTask
from noiseform.core.training.recipe import read_recipe
from torch.testing import assert_close

TRAINING = """\
[training]
steps = 120
batch_size = 12
learning_rate = 1e-2
warmup = 5
ema = 0.9
checkpoint_every = 60
sample_every = 120
samples = 3
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, tiny_classifier: str) -> Path:
    path = tmp_path_factory.mktemp("classifier") / "recipe.toml"
    path.write_text(tiny_classifier + TRAINING)
    return path


def run(recipe: Path, data: Path, folder: Path, *more: str) -> int:
    return main(["train", str(recipe), "--data", str(data), "-o", str(folder), *more])


@pytest.fixture(scope="module")
def trained(recipe: Path, tones: Path) -> Path:
    folder = recipe.parent / "run"
    assert run(recipe, tones, folder, "--quiet") == 0
    return folder


def model_of(folder: Path) -> Classifier:
    described, weights = load_model_folder(folder)
    model = Classifier(ClassifierConfig.model_validate(described.pipeline["classifier"]), (1, 64))
    model.load_state_dict(weights["classifier"])
    return model.eval()


def test_trained_classifier_knows_what_it_hears(trained, tones):
    assert (trained / "samples" / "step-00000120.png").is_file()
    model = model_of(trained)
    clean = Level(0.0, 1.0, 0.0, -1.0, 1.0, float("inf"))
    for number, name in enumerate(model.names):
        clips = torch.stack([4 * audio.read(path).samples for path in sorted((tones / name).iterdir())])
        assert_close(model(clips, clean).argmax(1), torch.full((4,), number))


def test_one_level_for_all_is_the_same_as_one_each(trained):
    model, x = model_of(trained), torch.randn(3, 1, 64, generator=torch.Generator().manual_seed(0))
    one = (0.3, 0.7, 0.3, -1.0, 1.0, 1.69)
    each = Level(*(torch.full((3,), value, dtype=torch.float64) for value in one))
    assert_close(model(x, each), model(x, Level(*one)))


def test_interrupted_training_goes_on_to_the_last_bit(recipe, trained, tones, tmp_path):
    torn = tmp_path / "torn"
    for more in (["--until", "13"], ["--until", "61"], []):
        assert run(recipe, tones, torn, "--resume", "--quiet", *more) == 0
    assert (torn / "log.jsonl").read_bytes() == (trained / "log.jsonl").read_bytes()
    assert (torn / "manifest.json").read_bytes() == (trained / "manifest.json").read_bytes()


def test_what_it_is_for_is_told(recipe, trained, tones, tmp_path, capsys):
    assert run(recipe, tones, tmp_path / "run", "--set", "training.steps=2") == 0
    assert 'guidance = { use = "classifier", weights = "' in capsys.readouterr().out
    with pytest.raises(ConfigError, match="a classifier, which makes nothing by itself"):
        audio.generate(trained)


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("names=['low', 'middle']", "none of the classifier's labels"),
        ("names=['low', 'low']", "stands there twice"),
        ("network.use='unet-2d'", "takes items of 2 axes of space"),
        ("codec={use='kl-vae'}", "has to be trained first"),
        ("colour='red'", "unknown key 'classifier.colour'"),
    ],
)
def test_what_a_recipe_may_not_say(recipe, tones, tmp_path, capsys, setting, why):
    assert run(recipe, tones, tmp_path / "run", "--set", f"classifier.{setting}") == 2
    assert why in capsys.readouterr().err


def test_loss_is_even_before_anything_is_learnt(recipe, tones):
    """The output of a new network is 0, so each label is as probable as the others."""
    from noiseform import build
    from noiseform.core.training.batches import Batches

    wanted, modality = read_recipe(recipe), build("modality", "audio")
    task = ClassifierTask(wanted, modality)
    items = modality.dataset(tones, modality.spec(wanted.media), wanted.data)
    batch = Batches(items, size=4, seed=0, dropout=0.0, conditioners=0).batch(0)
    ((name, loss),) = task.updates(batch)
    assert name == "model"
    assert loss.item() == pytest.approx(torch.log(torch.tensor(3.0)).item())
