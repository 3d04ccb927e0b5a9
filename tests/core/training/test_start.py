"""Training that starts from a model to which its own network adds: a film's from a picture's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from noiseform.core.errors import CheckpointError, ConfigError, PluginError
from noiseform.core.media import MediaSpec
from noiseform.core.pipeline.loading import load_pipeline
from noiseform.core.pipeline.model import Model
from noiseform.core.storage.checkpoint import latest_checkpoint
from noiseform.core.storage.model_folder import load_model_folder
from noiseform.core.storage.weights import assign
from noiseform.core.training.denoising import DenoisingTask
from noiseform.core.training.recipe import Recipe, read_recipe
from noiseform.core.training.start import start_from
from noiseform.core.training.trainer import train
from torch import Tensor

FILMS = """\
modality = "films"
[media]
frames = {frames}
[[stages]]
process = {{ use = "flow" }}
objective = {{ use = "velocity" }}
network = {{ use = "unet-3d", channels = [8, 8], blocks = 1, head_width = 8, embedding = 16 }}
conditioners = [{{ use = "labels", names = ["rows", "columns", "board"], width = 8 }}]
[training]
start = "{start}"
steps = 12
batch_size = 3
warmup = 0
ema = 0.9
weights = "fp32"
sample_every = 0
"""


class Films:
    """As much of a modality of films as training asks for."""

    name = "films"

    def spec(self, media: Mapping[str, object]) -> MediaSpec:
        return MediaSpec((3, int(str(media["frames"])), 8, 8), (8.0, None, None), -1.0, 1.0)


class Noise:
    """Six clips of random frames that fade."""

    vocabulary = (("rows", "columns", "board"),)
    fingerprint = "noise"

    def __init__(self, frames: int) -> None:
        self.skipped: list[tuple[str, str]] = []
        self.clips = torch.rand(6, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * torch.linspace(
            1, -1, frames
        ).reshape(-1, 1, 1)

    def __len__(self) -> int:
        return len(self.clips)

    def item(self, index: int, *, start: float) -> Tensor:
        return self.clips[index]

    def conditions(self, index: int) -> Mapping[str, object]:
        return {"labels": (self.vocabulary[0][index % 3],)}

    def name(self, index: int) -> str:
        return f"{index}.mp4"


@pytest.fixture
def film_recipe(tmp_path, tiny_image_model):
    """Return a function that gives the recipe of a film's model that starts from the tiny model of pictures."""

    def recipe(*settings: str, start: Path = tiny_image_model, frames: int = 4) -> Recipe:
        path = tmp_path / "film.toml"
        path.write_text(FILMS.format(start=start, frames=frames), encoding="utf-8")
        return read_recipe(path, settings=settings)

    return recipe


def run(recipe: Recipe, folder: Path, **options: object) -> Path:
    return train(recipe, Noise(int(recipe.media["frames"])), Films(), folder, **options)


def model_of(recipe: Recipe) -> Model:
    return DenoisingTask(recipe, Films()).modules["model"].eval()


def told(model: Model, x: Tensor, label: str) -> Tensor:
    """Return what a model's network says of items of one label."""
    with torch.no_grad():
        cond = model.condition(model.encode([{"labels": (label,)}] * len(x)))
        return model.network(x, torch.linspace(0.1, 0.9, len(x)), cond)


def pictures(folder: Path) -> Model:
    return load_pipeline(str(folder), "image").stages[0].model.eval()


def noise(frames: int) -> Tensor:
    return torch.randn(3, 3, frames, 8, 8, generator=torch.Generator().manual_seed(5))


def test_a_film_starts_as_the_model_of_pictures_frame_by_frame(film_recipe, tiny_image_model):
    model, image, x = model_of(film_recipe()), pictures(tiny_image_model), noise(4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    start_from(str(tiny_image_model), "base", model)
    for label in ("rows", "board"):
        expected = torch.stack([told(image, frame, label) for frame in x.unbind(2)], 2)
        assert expected.abs().max() > 0.01
        torch.testing.assert_close(told(model, x, label), expected, rtol=0, atol=1e-6)
    kept = {name for name, tensor in model.state_dict().items() if torch.equal(tensor, before[name])}
    assert frozenset().union(*model.additions) <= kept  # the layers of time have their initial values


def test_what_is_started_from_can_be_frozen(film_recipe, tiny_image_model, tmp_path):
    recipe = film_recipe("training.freeze=true")
    folder = run(recipe, tmp_path / "run")
    image, weights = load_model_folder(tiny_image_model)[1]["base"], load_model_folder(folder)[1]["base"]
    model = model_of(recipe)
    assert weights.keys() - image.keys() == frozenset().union(*model.additions)
    assert all(torch.equal(weights[name], tensor.float()) for name, tensor in image.items())  # conditioners too
    mixes = [tensor for name, tensor in weights.items() if name.endswith("mix.weight")]
    assert mixes
    assert all(bool(mix.abs().min() > 0) for mix in mixes)
    assign(model, weights)
    x = noise(4)
    still = told(model, x[:, :, :1], "rows")
    torch.testing.assert_close(still[:, :, 0], told(pictures(tiny_image_model), x[:, :, 0], "rows"), rtol=0, atol=1e-6)
    assert (told(model, x, "rows")[:, :, :1] - still).abs().max() > 1e-4


def test_a_frozen_run_is_resumed_bit_by_bit(film_recipe, tmp_path):
    recipe = film_recipe("training.freeze=true", "training.checkpoint_every=4")
    run(recipe, tmp_path / "whole")
    for until in (2, 9, None):
        run(recipe, tmp_path / "torn", resume=True, until=until)
    whole, torn = (latest_checkpoint(tmp_path / name).tensors for name in ("whole", "torn"))
    for entry in ("model", "ema", "optimizer"):
        assert all(torch.equal(torn[entry][name], tensor) for name, tensor in whole[entry].items())
    with pytest.raises(ConfigError, match=r"training\.freeze: was True, is False"):
        run(film_recipe("training.checkpoint_every=4"), tmp_path / "torn", resume=True)


def test_unfrozen_everything_learns_and_a_film_starts_from_a_film(film_recipe, tiny_image_model, tmp_path):
    first = run(film_recipe(), tmp_path / "first")
    image, weights = load_model_folder(tiny_image_model)[1]["base"], load_model_folder(first)[1]["base"]
    changed = [name for name, tensor in image.items() if not torch.equal(weights[name], tensor.float())]
    assert len(changed) > len(image) / 2
    model = model_of(film_recipe())
    start_from(str(first), "base", model)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in weights.items())


def test_what_is_missing_or_left_over_is_named(film_recipe, tiny_image_model, tmp_path, tiny_model):
    wider = film_recipe("stages.0.network.attention=[0, 1]")
    with pytest.raises(CheckpointError, match=r"\d+ missing: network\.down\.0\.attention\.norm\.bias"):
        run(wider, tmp_path / "missing")
    with pytest.raises(CheckpointError, match=r"unexpected: conditioners\.0"):
        start_from(str(tiny_image_model), "base", model_of(film_recipe("stages.0.conditioners=[]")))
    film = run(film_recipe("training.steps=1"), tmp_path / "film")
    timely = film_recipe("stages.0.network.temporal_attention=[0]", start=film)
    with pytest.raises(CheckpointError, match=r"missing: network\.down\.0\.temporal\.attention"):
        run(timely, tmp_path / "timely")
    with pytest.raises(CheckpointError, match="mismatching"):
        start_from(str(tiny_model), "base", model_of(film_recipe()))


def test_labels_in_another_order_and_folders_that_are_not_there_are_refused(film_recipe, tmp_path):
    names = "stages.0.conditioners=[{use='labels', width=8, names=['columns', 'rows', 'board']}]"
    with pytest.raises(
        ConfigError, match=r"knows other names, or in another order.*conditioners\.0: rows, columns, board"
    ):
        run(film_recipe(names), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"training\.start: .*nowhere"):
        run(film_recipe(start=tmp_path / "nowhere"), tmp_path / "run")


def test_freezing_what_nothing_is_added_to_is_refused(film_recipe, tiny_recipe, tiny_model, tmp_path):
    settings = (f"training.start='{tiny_model}'", "training.freeze=true")
    with pytest.raises(ConfigError, match=r"training\.freeze: this model has nothing beside"):
        train(read_recipe(tiny_recipe, settings=settings), Noise(4), _waves(), tmp_path / "same")
    with pytest.raises(ConfigError, match="freeze = true needs start"):
        read_recipe(tiny_recipe, settings=settings[1:])
    with pytest.raises(ConfigError, match="nothing that learns has a say in the loss"):
        run(film_recipe("training.freeze=true", frames=1), tmp_path / "stills")


def _waves():
    from noiseform import build

    return build("modality", "audio")


def test_additions_that_are_not_there_are_the_parts_fault(tiny_image_model, monkeypatch):
    model = pictures(tiny_image_model)
    monkeypatch.setattr(type(model.network), "additions", [{"nowhere"}])
    with pytest.raises(PluginError, match=r"additions name 'network\.nowhere'"):
        start_from(str(tiny_image_model), "base", model)
