"""Pictures through the command line: trained, generated, replayed, previewed and warned of like sound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from noiseform import image
from noiseform.core.cli.main import main
from noiseform.core.errors import ConfigError
from noiseform.core.media import MediaSpec
from noiseform.modalities.image.modality import ImageModality
from noiseform.modalities.image.picture import Image
from PIL import Image as PillowImage


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the test's own folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def generate(tiny_image_model: Path):
    """Give the command on the tiny model."""

    def run(*options: str) -> int:
        return main(["generate", "image", str(tiny_image_model), *options])

    return run


def test_same_seed_same_bytes(generate, tmp_path):
    assert generate("--label", "rows", "-o", "one.png") == 0
    assert generate("--label", "rows", "-n", "5", "-o", "five.png") == 0
    assert generate("--label", "rows", "-n", "2", "-o", "watched.png", "--previews", "steps", "--sheet", "all.png") == 0
    one = Path("one.png").read_bytes()
    assert one == Path("five-0000.png").read_bytes() == Path("watched-0000.png").read_bytes()
    assert Path("five-0001.png").read_bytes() == Path("watched-0001.png").read_bytes() != one
    pictures = sorted(path.name for path in Path("steps").iterdir())
    assert pictures == [f"item-000{item}-step-00{step}.png" for item in range(2) for step in range(1, 5)]
    with PillowImage.open("all.png") as sheet:
        assert sheet.width > 2 * 96
    assert image.read("one.png").pixels.shape == (3, 8, 8)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.jpeg", "x.webp"])
def test_every_format_has_the_record_and_can_be_replayed(generate, tiny_image_model, capsys, name):
    assert generate("--label", "board", "--seed", "3", "-n", "2", "-o", name) == 0
    written = f"x-0001.{name.split('.')[1]}"
    record = image.read_record(written)
    assert (record["seed"], record["item"], record["conditions"]) == (3, 1, {"labels": ["board"]})
    capsys.readouterr()
    assert main(["replay", written, "--pipeline", str(tiny_image_model)]) == 0
    assert f"{written}: the same, byte by byte" in capsys.readouterr().out
    assert generate("--label", "board", "--no-record", "-o", f"plain-{name}") == 0
    assert image.read_record(f"plain-{name}") is None
    assert main(["replay", f"plain-{name}", "--pipeline", str(tiny_image_model)]) == 4


def test_python_makes_what_the_command_makes(generate, tiny_image_model):
    made = image.generate(str(tiny_image_model), label="rows", count=3, seed=9)
    loaded = image.load(str(tiny_image_model))
    again = image.generate(loaded, label="rows", seed=9, first=2)
    assert torch.equal(made[2].pixels, again[0].pixels)
    assert made[0].pixels.min() >= 0
    assert made[0].pixels.max() <= 1
    assert generate("--label", "rows", "--seed", "9", "-o", "cli.png") == 0
    made[0].save("python.png")
    assert Path("python.png").read_bytes() == Path("cli.png").read_bytes()


def test_names_without_output(generate, tmp_path):
    assert generate("--label", "rows", "--seed", "7") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["three-patterns-rows-7.png"]


def test_wrong_outputs_are_refused_before_anything_is_made(generate, tmp_path, capsys):
    for output, why in (
        ("x.gif", "unknown image format; end the name in .png, .jpg, .jpeg, .webp"),
        ("no/x.png", "make the folder first"),
    ):
        assert generate("-o", output) == 2
        assert why in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="jpeg holds no alpha"):
        ImageModality().check_output("x.jpg", MediaSpec((4, 8, 8), (None, None), 0.0, 1.0))


def test_training_leaves_pictures_of_samples_and_a_log(tiny_image_model):
    with PillowImage.open(tiny_image_model / "samples" / "step-00000040.png") as sheet:
        assert sheet.width > 2 * 96
    lines = (tiny_image_model / "log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert sum(losses[-10:]) < sum(losses[:10])


def test_training_on_idx_files(tmp_path, tiny_image_model, capsys):
    pixels, labels = bytes(range(200)) * 32, bytes([0, 1] * 50)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train-images-idx3-ubyte").write_bytes(
        bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4) for n in (100, 8, 8)) + pixels
    )
    (tmp_path / "data" / "train-labels-idx1-ubyte").write_bytes(bytes((0, 0, 8, 1)) + (100).to_bytes(4) + labels)
    recipe = str(tiny_image_model.parent / "recipe.toml")
    command = ["train", recipe, "--data", "data", "-o", "run", "--set", "training.steps=3", "--set", "media.channels=1"]
    assert main([*command, "--quiet"]) == 2
    assert "train-images-idx3-ubyte/00000: label: unknown label '0'" in capsys.readouterr().err
    named = [*command, "--set", 'data.rename={"0"="rows","1"="columns"}']
    assert main([*named, "--until", "2"]) == 0
    assert "data: 100 items" in capsys.readouterr().err
    assert main([*named, "--resume", "--quiet"]) == 0
    assert '"items": 100' in Path("run/manifest.json").read_text()
    assert main(["generate", "image", "./run", "--label", "rows", "-o", "x.png", "--quiet"]) == 0
    assert image.read("x.png").channels == 1


def test_captions_need_a_model_that_takes_text(tmp_path, patterns, tiny_image_model, capsys):
    rows = [f"{path.name},a picture" for path in sorted(patterns.glob("rows/*"))]
    (tmp_path / "data").mkdir()
    for path in patterns.glob("rows/*"):
        (tmp_path / "data" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "data" / "captions.csv").write_text("\n".join(["file,caption", *rows]))
    recipe = str(tiny_image_model.parent / "recipe.toml")
    assert main(["train", recipe, "--data", "data", "-o", "run", "--set", 'data.captions="table"']) == 2
    assert '0.png: a caption, but no conditioner takes text; set data.captions = "none"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("media", "why"),
    [
        ({"height": 8}, "width is missing"),
        ({"height": 0, "width": 8}, "height: expected greater than or equal to 1, got 0"),
        ({"height": 8, "width": 8193}, "width: expected less than or equal to 8192, got 8193"),
        ({"height": 8.0, "width": 8}, "height: expected a valid integer"),
        ({"height": 8, "width": 8, "channels": 2}, "channels: expected 1, 3 or 4, got 2"),
        ({"hight": 8, "height": 8, "width": 8}, "did you mean 'height'?"),
    ],
)
def test_wrong_media_tables_are_refused(media, why):
    with pytest.raises(ConfigError) as caught:
        ImageModality().spec(media)
    assert why in str(caught.value)


def test_specification_is_that_of_pictures():
    assert ImageModality().spec({"height": 5, "width": 7}) == MediaSpec((3, 5, 7), (None, None), 0.0, 1.0)


@pytest.mark.parametrize(
    ("pixels", "found"),
    [
        (torch.zeros(3, 8, 8), ["black: the brightest value is 0"]),
        (torch.full((3, 8, 8), 0.003), ["black: the brightest value is 0.003"]),
        (torch.full((3, 8, 8), 0.5), ["constant: every value is 0.5"]),
        (torch.ones(1, 8, 8), ["constant: every value is 1"]),
        (torch.eye(8)[None], ["clipped: 100.0% of the values are 0 or 1"]),
        (torch.linspace(0, 1, 64).reshape(1, 8, 8), []),
        (torch.cat([torch.ones(1, 4, 8), torch.linspace(0, 1, 32).reshape(1, 4, 8)], 1), []),
    ],
)
def test_what_looks_wrong_is_told(pixels, found):
    assert ImageModality().warnings(Image(pixels)) == found


def test_dark_and_clipped_items_are_told(tiny_image_model, trained_as, capsys):
    loud, dark = (str(trained_as(tiny_image_model, f"stages.base.codec.scale={scale}")) for scale in (1e-6, 1e6))
    assert main(["generate", "image", loud, "-o", "x.png"]) == 0
    assert "warning: item 0 is clipped: " in capsys.readouterr().err
    assert main(["generate", "image", dark, "-o", "y.png"]) == 0
    assert "warning: item 0 is constant: every value is 0.5" in capsys.readouterr().err
    assert main(["generate", "image", dark, "-o", "z.png", "--strict"]) == 7
    assert not Path("z.png").exists()
