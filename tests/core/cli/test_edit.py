"""The command ``edit`` and the verb in Python: for sounds, pictures and films the same keywords and the same rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from noiseform import audio, image, video
from noiseform.core.cli.main import main
from noiseform.core.errors import ConfigError, MediaError
from noiseform.modalities.audio.clip import Audio
from noiseform.modalities.image.picture import Image
from noiseform.modalities.video.film import Video


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tone() -> Audio:
    clip = Audio(0.5 * torch.sin(torch.arange(100) / 3)[None], 1000)
    clip.save("tone.wav")
    return audio.read("tone.wav")


@pytest.fixture
def picture() -> Image:
    Image(torch.rand(3, 8, 8)).save("picture.png")
    return image.read("picture.png")


@pytest.fixture
def film() -> Video:
    sound = Audio(0.1 * torch.ones(1, 1000), 8000)
    Video((torch.rand(6, 3, 16, 16) * 255).round() / 255, 8.0, sound).save("film.mp4")
    return video.read("film.mp4")


def test_outside_of_the_mask_sounds_stay_sample_by_sample(tiny_model, tone):
    command = ["edit", "audio", "tone.wav", "--pipeline", str(tiny_model), "--mask", "0.02:0.04", "--label", "low"]
    assert main([*command, "-o", "x.wav"]) == 0
    made = audio.read("x.wav")
    assert made.samples.shape == tone.samples.shape
    inside = torch.zeros(100, dtype=torch.bool)
    inside[20:40] = True
    assert torch.equal(made.samples[:, ~inside], tone.samples[:, ~inside])
    assert (made.samples[:, inside] != tone.samples[:, inside]).float().mean() > 0.9
    assert main(["replay", "x.wav", "--source", "tone.wav", "--pipeline", str(tiny_model)]) == 0


def test_outside_of_the_mask_pictures_stay_pixel_by_pixel(tiny_image_model, picture):
    mask = torch.zeros(1, 8, 8)
    mask[:, 2:5, 1:7] = 1
    Image(mask).save("mask.png")
    command = ["edit", "image", "picture.png", "--pipeline", str(tiny_image_model), "--mask", "mask.png"]
    assert main([*command, "--label", "rows", "-o", "x.png"]) == 0
    made, inside = image.read("x.png").pixels, mask[0] > 0
    assert torch.equal(made[:, ~inside], picture.pixels[:, ~inside])
    assert (made[:, inside] != picture.pixels[:, inside]).any()
    box = image.edit(picture, str(tiny_image_model), mask="1,2,7,5", label="rows")[0]
    assert torch.equal((box.pixels * 255).round(), (made * 255).round())
    record = image.read_record("x.png")
    assert record["made_from"]["mask"] == ["a file or an array"]
    assert main(["replay", "x.png", "--source", "picture.png", "--pipeline", str(tiny_image_model)]) == 2


def test_films_keep_their_sound_and_what_no_mask_names(tiny_video_model, film, capsys):
    command = ["edit", "video", "film.mp4", "--pipeline", str(tiny_video_model), "--label", "down"]
    assert main([*command, "--mask", "4,4,12,12", "-o", "x.frames"]) == 0
    made = video.read("x.frames")
    assert torch.equal(made.frames[..., :4, :], film.frames[..., :4, :])
    assert (made.frames[..., 4:12, 4:12] != film.frames[..., 4:12, 4:12]).any()
    assert main([*command, "--mask", "0.25:0.5", "-o", "x.mp4"]) == 0
    assert video.read("x.mp4").audio is not None


def test_items_go_on_at_either_end(tiny_model, tiny_video_model, tiny_image_model, tone, film, picture):
    longer = audio.edit(tone, str(tiny_model), extend=0.1, label="low")[0]
    assert longer.samples.shape == (1, 200)
    assert torch.equal(longer.samples[:, :100], tone.samples)
    assert longer.samples[:, 100:].abs().max() > 0
    before = audio.edit("tone.wav", str(tiny_model), extend="start=0.05", label="low")[0]
    assert torch.equal(before.samples[:, 50:], tone.samples)
    films = video.edit(film, str(tiny_video_model), extend=0.5, label="down")[0]
    assert len(films.frames) == 10
    torch.testing.assert_close(films.frames[:6], film.frames)
    assert films.audio is not None
    earlier = video.edit(film, str(tiny_video_model), extend={"start": 0.25}, label="down")[0]
    assert earlier.audio is None  # which would no longer fit the pictures
    wide = image.edit(picture, str(tiny_image_model), extend={"left": 3, "right": 5}, label="rows")[0]
    assert wide.pixels.shape == (3, 8, 16)
    assert torch.equal(wide.pixels[:, :, 3:11], picture.pixels)


def test_variations_are_as_many_as_asked_for_and_differ_by_their_strength(tiny_model, tone, capsys):
    command = ["edit", "audio", "tone.wav", "--pipeline", str(tiny_model), "--label", "high", "--json"]
    assert main([*command, "--strength", "0.5", "-n", "3", "-o", "x.wav"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len({one["sha256"] for one in told}) == 3
    assert main([*command, "--strength", "1", "-o", "y.wav"]) == 0
    assert told[0]["nfe"] < json.loads(capsys.readouterr().out)["nfe"]
    weak, strong = (audio.edit(tone, str(tiny_model), strength=s, label="high")[0].samples for s in (0.01, 1.0))
    assert (weak - tone.samples).abs().mean() < 0.05 < (strong - tone.samples).abs().mean()


def test_an_item_does_not_change_with_the_others(tiny_model, tone):
    three = audio.edit(tone, str(tiny_model), mask="0.01:0.03", label="low", count=3, seed=5)
    alone = audio.edit(tone, str(tiny_model), mask="0.01:0.03", label="low", seed=5, first=2)
    assert torch.equal(three[2].samples, alone[0].samples)


def test_between_two_items_lie_others(tiny_image_model, picture):
    other = image.generate(str(tiny_image_model), label="rows", seed=1)[0]
    ends = image.edit(picture, str(tiny_image_model), between=other, at=[0.0, 1.0], steps=24)
    torch.testing.assert_close(ends[1].pixels, other.pixels, atol=0.12, rtol=0)
    spread = image.edit(picture, str(tiny_image_model), between=other, count=2)
    assert [one.record["made_from"]["at"] for one in spread] == [1 / 3, 2 / 3]


def test_an_item_of_another_size_is_brought_to_the_model_and_told_of(tiny_image_model, capsys):
    Image(torch.rand(1, 24, 20)).save("large.png")
    mask = torch.zeros(1, 24, 20)
    mask[:, :12] = 1
    Image(mask).save("mask.png")
    command = ["edit", "image", "large.png", "--pipeline", str(tiny_image_model), "--label", "rows", "-o", "x.png"]
    assert main([*command, "--mask", "mask.png"]) == 0
    assert "brought from 20 x 24 to 8 x 8" in capsys.readouterr().err
    assert image.read("x.png").pixels.shape == (3, 8, 8)
    assert (
        main(["edit", "image", "large.png", "--pipeline", str(tiny_image_model), "--mask", "x.png", "-o", "y.png"]) == 2
    )
    assert "the item (24, 20); give one of the item's size" in capsys.readouterr().err


def test_other_channels_are_told_of(tiny_image_model, tiny_model, tiny_video_model, capsys):
    """By a warning for each change, in every modality, and by none where there is no change."""
    colours, grey = Image(torch.rand(3, 8, 8)), Image(torch.rand(1, 8, 8))
    stereo = Audio(0.1 * torch.rand(2, 60), 1000)
    film = Video(torch.rand(4, 1, 16, 16), 8.0)
    cases = [
        (image, Image(torch.rand(4, 8, 8)), tiny_image_model, "rows", "from 4 channels to 3"),
        (image, grey, tiny_image_model, "rows", "from 1 channel to 3"),
        (audio, stereo, tiny_model, "low", "from 2 channels to 1"),
        (video, film, tiny_video_model, "down", "from 1 channel to 3"),
    ]
    for verbs, item, model, label, told in cases:
        with pytest.warns(UserWarning, match=f"^edit: the item is brought {told}, as the model makes them$") as warned:
            (made,) = verbs.edit(item, str(model), strength=0.5, label=label)
        assert len(warned) == 1
        assert f"{made.channels}" == told[-1]
    image.edit(colours, str(tiny_image_model), strength=0.5, label="rows")  # where a warning would be an error
    with pytest.warns(UserWarning, match="from 1 channel to 3"):
        image.edit(colours, str(tiny_image_model), between=grey)


def test_masks_in_files_are_items_or_pictures_for_all_frames(tiny_video_model, film, tmp_path):
    drawn = torch.zeros(1, 16, 16)
    drawn[:, 4:9, 2:7] = 1
    Image(drawn).save("mask.png")
    Video(drawn.expand(6, 1, 16, 16) * torch.tensor([0, 0, 1, 1, 0, 0.0]).reshape(6, 1, 1, 1), 8.0).save("mask.frames")
    for mask, frames in (("mask.png", range(6)), ("mask.frames", (2, 3))):
        (made,) = video.edit(film, str(tiny_video_model), mask=mask, label="down")
        inside = torch.zeros(6, 1, 16, 16, dtype=torch.bool)
        for number in frames:
            inside[number] = drawn > 0
        inside = inside.expand(-1, 3, -1, -1)
        assert torch.equal(made.frames[~inside], film.frames[~inside])
        assert (made.frames[inside] != film.frames[inside]).float().mean() > 0.9
    Path("mask.wav").write_bytes(b"RIFF and so on")
    with pytest.raises(MediaError, match=r"mask\.wav"):
        video.edit(film, str(tiny_video_model), mask="mask.wav", label="down")


def test_more_chances_cost_more(tiny_model, tone):
    plain, often = (
        audio.edit(tone, str(tiny_model), mask="0.02:0.04", label="low", resample=times)[0] for times in (1, 3)
    )
    assert often.record["nfe"] == 3 * plain.record["nfe"] - 2 * 2  # the last step is made once, with guidance


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "say what changes"),
        (["--at", "0.5"], "give the second one as between"),
        (["--between", "tone.wav", "--mask", "0:1"], "exclude each other"),
        (["--strength", "0"], "above 0, up to 1"),
        (["--strength", "1.5"], "above 0, up to 1"),
        (["--strength", "nan"], "above 0, up to 1"),
        (["--resample", "0", "--mask", "0.01:0.02"], "from 1 to 100"),
        (["--mask", "5:6"], "no part of an item of 0.1 s"),
        (["--mask", "1,2,3,4"], "such items have none"),
        (["--mask", "none.wav"], "none.wav"),
        (["--extend", "-1"], "seconds from 0"),
        (["--extend", "left=3"], "such items have start, end"),
        (["--extend", "0"], "nothing is to be added"),
        (["--between", "tone.wav", "--at", "2"], "numbers from 0 to 1"),
        (["--between", "tone.wav"], "longer than"),
        (["--strength", "0.5", "--label", "none"], "unknown label"),
        (["--strength", "0.5", "--seed", "-1"], "seed"),
    ],
)
def test_wrong_wishes_are_one_line_and_leave_nothing(tiny_model, tone, options, complaint, capsys):
    assert main(["edit", "audio", "tone.wav", "--pipeline", str(tiny_model), *options, "-o", "x.wav"]) in (2, 3)
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
    assert not Path("x.wav").exists()


def test_what_is_no_item_is_refused(tiny_model, picture):
    with pytest.raises(ConfigError, match="expected an Audio"):
        audio.edit(picture, str(tiny_model), strength=0.5)
    with pytest.raises(MediaError, match="not finite"):
        audio.edit(Audio(torch.full((1, 10), torch.nan), 1000), str(tiny_model), strength=0.5)
    with pytest.raises(MediaError, match="empty"):
        audio.edit(Audio(torch.zeros(1, 0), 1000), str(tiny_model), strength=0.5)


def test_files_are_read_strictly(tiny_model, tone):
    data = Path("tone.wav").read_bytes()
    Path("cut.wav").write_bytes(data[:-40])
    assert main(["edit", "audio", "cut.wav", "--pipeline", str(tiny_model), "--strength", "0.5", "-o", "x.wav"]) == 3
