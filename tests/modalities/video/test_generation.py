"""Films through the command line: trained, generated, replayed, previewed and warned of like sound and pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from noiseform import video
from noiseform.core.cli.main import main
from noiseform.core.errors import ConfigError
from noiseform.core.media import MediaSpec
from noiseform.modalities.video.film import Video
from noiseform.modalities.video.modality import VideoModality
from PIL import Image as PillowImage


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the test's own folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def generate(tiny_video_model: Path):
    """Give the command on the tiny model."""

    def run(*options: str) -> int:
        return main(["generate", "video", str(tiny_video_model), *options])

    return run


def test_same_seed_same_bytes(generate):
    assert generate("--label", "down", "-o", "one.mp4") == 0
    assert generate("--label", "down", "-n", "5", "-o", "five.mp4") == 0
    assert generate("--label", "down", "-n", "2", "-o", "watched.mp4", "--previews", "steps", "--sheet", "all.png") == 0
    one = Path("one.mp4").read_bytes()
    assert one == Path("five-0000.mp4").read_bytes() == Path("watched-0000.mp4").read_bytes()
    assert Path("five-0001.mp4").read_bytes() == Path("watched-0001.mp4").read_bytes() != one
    pictures = sorted(path.name for path in Path("steps").iterdir())
    assert pictures == [f"item-000{item}-step-00{step}.png" for item in range(2) for step in range(1, 5)]
    with PillowImage.open("all.png") as sheet:
        assert sheet.width >= 4 * 64
    made = video.read("one.mp4")
    assert (made.frames.shape, made.fps, made.audio) == ((4, 3, 16, 16), 8.0, None)


@pytest.mark.parametrize("name", ["x.mp4", "x.webm", "x.gif", "x.frames"])
def test_every_format_has_the_record_and_can_be_replayed(generate, tiny_video_model, capsys, name):
    assert generate("--label", "right", "--seed", "3", "-n", "2", "-o", name, "--json") == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len({report["sha256"] for report in reports}) == 2
    written = f"x-0001.{name.split('.')[1]}"
    record = video.read_record(written)
    assert (record["seed"], record["item"], record["conditions"]) == (3, 1, {"labels": ["right"]})
    assert main(["replay", written, "--pipeline", str(tiny_video_model)]) == 0
    assert f"{written}: the same, byte by byte" in capsys.readouterr().out
    assert generate("--label", "right", "--seed", "3", "-n", "2", "-o", name) == 2
    assert "it exists; choose another name" in capsys.readouterr().err
    assert generate("--label", "right", "--seed", "3", "-n", "2", "-o", name, "--overwrite", "--json") == 0
    assert [json.loads(line)["sha256"] for line in capsys.readouterr().out.splitlines()] == [
        report["sha256"] for report in reports
    ]
    assert generate("--label", "right", "--no-record", "-o", f"plain-{name}") == 0
    assert video.read_record(f"plain-{name}") is None
    assert main(["replay", f"plain-{name}", "--pipeline", str(tiny_video_model)]) == 4


def test_python_makes_what_the_command_makes(generate, tiny_video_model):
    made = video.generate(str(tiny_video_model), label="down", count=3, seed=9)
    loaded = video.load(str(tiny_video_model))
    again = video.generate(loaded, label="down", seed=9, first=2)
    assert torch.equal(made[2].frames, again[0].frames)
    assert made[0].frames.min() >= 0
    assert made[0].frames.max() <= 1
    assert generate("--label", "down", "--seed", "9", "-o", "cli.mp4") == 0
    made[0].save("python.mp4")
    assert Path("python.mp4").read_bytes() == Path("cli.mp4").read_bytes()


def test_names_without_output(generate, tmp_path):
    assert generate("--label", "down", "--seed", "7") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["two-motions-down-7.mp4"]


def test_without_a_name_the_embedded_model_films():
    assert main(["generate", "video", "--label", "lemon", "--steps", "2", "-o", "lemon.mp4"]) == 0
    assert video.read_record("lemon.mp4")["pipeline"] == "turning-fruit"
    assert main(["replay", "lemon.mp4"]) == 0


def test_wrong_outputs_are_refused_before_anything_is_made(generate, tmp_path, capsys):
    for options, why in (
        (("-o", "x.avi"), "unknown video format; end the name in .mp4, .webm, .gif, .frames"),
        (("-o", "no/x.mp4"), "make the folder first"),
    ):
        assert generate(*options) == 2
        assert why in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "shape", "fps", "why"),
    [
        ("x.mp4", (3, 4, 15, 16), 8.0, "16 x 15 pixels, mp4 holds even sides only; choose gif or frames"),
        ("x.webm", (3, 4, 16, 15), 8.0, "even sides only"),
        ("x.gif", (3, 4, 15, 15), 60.0, "gif holds at most 50"),
        ("x.mp4", (3, 0, 16, 16), 8.0, "0 frames; give 1 to"),
        ("x.mp4", (4, 4, 16, 16), 8.0, "4 channels; films have 1"),
        ("x.mp4", (3, 4, 16, 16), 0.0, "0.0 frames per second; give 0.1 to 240"),
        ("x.mp4", (3, 4, 16, 16), float("nan"), "nan frames per second"),
        ("x.mp4", (3, 4, 16, 16), 1e9, "1000000000.0 frames per second"),
        ("x.mp4", (3, 4, 16, 20000), 8.0, "mp4 holds 1 to 16384 a side"),
    ],
)
def test_what_a_format_cannot_hold_is_told_before_sampling(name, shape, fps, why):
    with pytest.raises(ConfigError, match=why):
        VideoModality().check_output(name, MediaSpec(shape, (fps, None, None), 0.0, 1.0))


def test_training_leaves_strips_of_samples(tiny_video_model):
    with PillowImage.open(tiny_video_model / "samples" / "step-00000020.png") as sheet:
        assert sheet.width >= 4 * 64


@pytest.mark.parametrize(
    ("media", "why"),
    [
        ({"height": 8, "fps": 8, "frames": 4}, "width is missing"),
        ({"height": 8, "width": 8, "fps": 8}, "give either frames or seconds"),
        ({"height": 8, "width": 8, "fps": 8, "frames": 4, "seconds": 1}, "give either frames or seconds"),
        ({"height": 8, "width": 8, "fps": 0, "frames": 4}, "fps: expected greater than or equal to 0.1, got 0"),
        ({"height": 8, "width": 8, "fps": 1e9, "frames": 4}, "fps: expected less than or equal to 240"),
        ({"height": 8, "width": 8, "fps": float("nan"), "frames": 4}, "fps: expected a finite number"),
        ({"height": 8, "width": 8, "fps": 8, "frames": 0}, "frames: expected greater than or equal to 1, got 0"),
        ({"height": 8, "width": 8, "fps": 8, "frames": 4, "channels": 4}, "channels: expected 1 or 3, got 4"),
        ({"hight": 8, "height": 8, "width": 8, "fps": 8, "frames": 4}, "did you mean 'height'?"),
    ],
)
def test_wrong_media_tables_are_refused(media, why):
    with pytest.raises(ConfigError) as caught:
        VideoModality().spec(media)
    assert why in str(caught.value)


def test_specification_is_that_of_films():
    wanted = MediaSpec((3, 12, 5, 7), (8.0, None, None), 0.0, 1.0)
    assert VideoModality().spec({"height": 5, "width": 7, "fps": 8, "frames": 12}) == wanted
    assert VideoModality().spec({"height": 5, "width": 7, "fps": 8, "seconds": 1.5}) == wanted


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        (torch.zeros(2, 3, 8, 8), "black"),
        (torch.full((2, 3, 8, 8), 0.5), "constant"),
        (torch.linspace(0, 1, 192).reshape(1, 3, 8, 8).expand(3, -1, -1, -1), "frozen"),
        (torch.stack([torch.eye(8), 1 - torch.eye(8)])[:, None], "clipped"),
        (torch.linspace(0, 1, 384).reshape(2, 3, 8, 8), None),
        (torch.linspace(0, 1, 192).reshape(1, 3, 8, 8), None),
    ],
)
def test_what_looks_wrong_is_told(frames, found):
    told = VideoModality().warnings(Video(frames, 8.0))
    assert [line.split(":")[0] for line in told] == ([found] if found else [])
