"""Films that go on: a model learns to heed what is known, and the verbs make longer films and more frames with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from noiseform import image, video
from noiseform.core.cli.main import main
from noiseform.core.errors import ConfigError, NumericError
from noiseform.modalities.video.film import Video
from torch import Tensor

RECIPE = """\
modality = "video"
[media]
height = 8
width = 8
fps = 4
seconds = 2
channels = 1
[extend]
context = 1.0
[[stages]]
process = { use = "flow" }
objective = { use = "velocity" }
network = { use = "unet-3d", channels = [16, 16], blocks = 1, head_width = 16, embedding = 32 }
conditioners = [{ use = "mask", first = 0.5, keys = 0.3, every = [2], noise = 0.0 }]
guidance = { use = "none" }
steps = 4
[data]
labels = "none"
[training]
steps = 260
seed = 3
batch_size = 8
warmup = 10
learning_rate = 4e-3
ema = 0.9
dropout = 0.0
weights = "fp32"
sample_every = 0
"""


@pytest.fixture(scope="module")
def greys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a model of films of one grey, dark or light, that goes on as it began."""
    folder = tmp_path_factory.mktemp("greys")
    data = folder / "films"
    data.mkdir()
    for number, grey in enumerate((0.1, 0.15, 0.85, 0.9)):
        Video(torch.full((12, 1, 8, 8), grey), 4.0, None, None).save(data / f"{number}.frames")
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    run = folder / "greys"
    assert main(["train", str(folder / "recipe.toml"), "--data", str(data), "-o", str(run), "--quiet"]) == 0
    return run


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shades(films: list[Video]) -> Tensor:
    """Return the mean of each frame, a row for each film."""
    return torch.stack([film.frames.mean((1, 2, 3)) for film in films])


def test_a_model_goes_on_as_its_films_began(greys):
    of_films = shades(video.generate(str(greys), count=6, seed=5, extend=6.0))
    assert of_films.shape == (6, 32)
    assert 0 < (of_films[:, 0] < 0.5).sum() < 6  # both kinds are there
    # A window that did not heed the one before it would be of the other kind half of the time: three joints a film.
    assert bool(((of_films < 0.5) == (of_films[:, :1] < 0.5)).all())
    assert of_films.diff(dim=1).abs().max() < 0.3


def test_frames_are_put_between_key_frames(greys):
    keys = torch.cat([torch.full((8, 1, 8, 8), 0.12), torch.full((8, 1, 8, 8), 0.88)])
    made = video.interpolate(Video(keys, 2.0, None, None), str(greys), factor=2)
    assert (made.frames.shape, made.fps) == ((31, 1, 8, 8), 4.0)
    torch.testing.assert_close(made.frames[::2], keys, atol=1e-5, rtol=0)
    between = made.frames[1::2].mean((1, 2, 3))
    assert bool((between[:6] < 0.4).all())
    assert bool((between[9:] > 0.6).all())
    made.save("more.mp4")
    assert main(["replay", "more.mp4", "--pipeline", str(greys)]) == 4


def test_key_frames_of_another_size_are_brought_to_the_models(greys):
    film = Video(torch.rand(8, 3, 24, 30), 2.0, None, None)
    assert video.interpolate(film, str(greys)).frames.shape == (15, 1, 8, 8)


@pytest.mark.parametrize(("factor", "complaint"), [(1, "whole number from 2"), (2.0, "whole number"), (3, "learnt 2")])
def test_wrong_factors(greys, factor, complaint):
    with pytest.raises(ConfigError, match=complaint):
        video.interpolate(Video(torch.rand(8, 1, 8, 8), 2.0, None, None), str(greys), factor=factor)


@pytest.mark.parametrize(
    ("film", "wishes", "complaint"),
    [
        (None, {}, "film: expected a Video, such as video.read gives, got None"),
        ("pear.mp4", {}, "film: expected a Video, such as video.read gives, got 'pear.mp4'"),
        (Video(torch.rand(8, 2, 8, 8), 2.0), {}, "2 channels"),
        (Video(torch.rand(8, 1, 8, 8), 200.0), {}, "400.0 frames per second"),
        (Video(torch.rand(8, 1, 8, 8), 2.0), {"label": 3}, "label: expected text"),
        (Video(torch.rand(8, 1, 8, 8), 2.0), {"pipeline": 5}, "pipeline: expected a name"),
    ],
)
def test_what_cannot_be_interpolated_is_said(greys, film, wishes, complaint):
    with pytest.raises(ConfigError, match=complaint):
        video.interpolate(film, **{"pipeline": str(greys), **wishes})


def test_a_film_that_is_not_finite_and_wishes_for_what_is_loaded_are_refused(greys):
    with pytest.raises(NumericError, match="values are not finite"):
        video.interpolate(Video(torch.full((8, 1, 8, 8), torch.nan), 2.0), str(greys))
    film, loaded = Video(torch.rand(8, 1, 8, 8), 2.0), video.load(str(greys))
    with pytest.raises(ConfigError, match="steps, settings: say it to load"):
        video.interpolate(film, loaded, steps=3, settings=["extend.noise=0"])


def test_command_line_sets_length_and_goes_on(greys, capsys):
    generate = ["generate", "video", str(greys)]
    assert main([*generate, "-o", "long.mp4", "--extend", "3", "--previews", "steps", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["nfe"] == 4 * 4
    assert video.read("long.mp4").frames.shape[0] == 20
    assert sorted(path.name for path in Path("steps").iterdir())[:5] == [
        *(f"item-0000-window-000-step-00{step}.png" for step in (1, 2, 3, 4)),
        "item-0000-window-001-step-001.png",
    ]
    assert main(["replay", "long.mp4", "--pipeline", str(greys)]) == 0
    assert main([*generate, "-o", "one.mp4", "--seconds", "3"]) == 0
    assert video.read("one.mp4").frames.shape[0] == 12
    assert main([*generate, "-n", "2", "-o", "two.mp4", "--extend", "3"]) == 0
    assert Path("two-0000.mp4").read_bytes() == Path("long.mp4").read_bytes()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--extend", "-1"], "extend: seconds: expected greater than or equal to 0"),
        (["--extend", "1", "--set", "extend.context=2"], "learnt to go on from 1 s of 2 at most; take less"),
        (["--extend", "1", "--seconds", "0.25"], "no beginnings in training"),
        (["--extend", "1", "--set", "extend.cotext=2"], "unknown key 'extend.cotext'; did you mean"),
        (["--seconds", "0"], "seconds: expected greater than 0"),
        (["--seconds", "nan"], "seconds: expected"),
    ],
)
def test_wrong_lengths(greys, capsys, options, complaint):
    assert main(["generate", "video", str(greys), "-o", "x.mp4", *options]) == 2
    assert complaint in capsys.readouterr().err
    assert not Path("x.mp4").exists()


def test_models_that_cannot_go_on_say_so(tiny_video_model, capsys):
    assert main(["generate", "video", str(tiny_video_model), "--label", "down", "--extend", "1", "-o", "x.mp4"]) == 2
    assert "training without the conditioner mask; make a longer item at once (--seconds)" in capsys.readouterr().err


def test_pictures_have_no_length():
    for wish, complaint in (({"seconds": 1.0}, "have no length"), ({"extend": 1.0}, "do not go on in time")):
        with pytest.raises(ConfigError, match=complaint):
            image.generate("garments", label="bag", **wish)
