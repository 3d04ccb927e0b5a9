"""What a file is replayed as, where plugins have modalities whose files end alike, and what is said of a cut one."""

from __future__ import annotations

import pytest
import torch
from noiseform.core.cli.main import main
from noiseform.core.cli.replay import _record_of
from noiseform.modalities.image.picture import Image

PLUGIN = """
from noiseform import hookimpl

class Alike:
    endings = (".png",)
    spec = wrap = dataset = write = check_output = sheet = warnings = None

    def read_record(self, path):
        {reading}

class {name}(Alike):
    name = "{lower}"

@hookimpl
def noiseform_modalities():
    return {{"{lower}": {name}}}
"""


@pytest.mark.parametrize(
    "reading",
    [
        "return None",
        "raise ValueError('no such thing')",
        "return {'config': 3}",
        "return {'config': {'modality': 'image'}}",
    ],
)
@pytest.mark.parametrize("name", ["Aerials", "Zebras"])  # before and after the pictures by name
def test_a_picture_stays_one_whatever_a_plugin_makes_of_its_ending(site, tmp_path, name, reading):
    record = {"config": {"modality": "image"}, "seed": 3}
    Image(torch.rand(3, 4, 4), record).save(tmp_path / "a.png")
    site.add("alike", {"alike": PLUGIN.format(name=name, lower=name.lower(), reading=reading)})
    modality, table = _record_of(tmp_path / "a.png")
    assert modality.name == "image"
    assert table == record


def test_a_file_is_of_the_modality_that_its_record_names(site, tmp_path):
    record = {"config": {"modality": "aerials"}}
    Image(torch.rand(3, 4, 4), record).save(tmp_path / "a.png")
    site.add("alike", {"alike": PLUGIN.format(name="Aerials", lower="aerials", reading=f"return {record}")})
    modality, table = _record_of(tmp_path / "a.png")
    assert modality.name == "aerials"
    assert table == record


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("share", [0.03, 0.4, 0.97])
def test_a_cut_sound_is_told_as_such(tiny_model, tmp_path, capsys, ending, share):
    """Whether its record is gone with the end, as that of a WAV, or still there."""
    whole, cut = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
    assert main(["generate", "audio", str(tiny_model), "--label", "low", "--steps", "2", "-o", str(whole)]) == 0
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    assert main(["replay", str(cut), "--pipeline", str(tiny_model)]) == 3
    told = capsys.readouterr().err.splitlines()[-1]
    assert "cut short" in told or "damaged" in told


@pytest.mark.parametrize(("kind", "endings"), [("image", "png jpg webp"), ("video", "mp4 webm gif")])
def test_a_cut_picture_or_film_is_told_as_such(tiny_image_model, tiny_video_model, tmp_path, capsys, kind, endings):
    model = tiny_image_model if kind == "image" else tiny_video_model
    for ending in endings.split():
        whole, cut = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
        assert main(["generate", kind, str(model), "--steps", "2", "-o", str(whole)]) == 0
        for share in (0.4, 0.97):
            cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
            assert main(["replay", str(cut), "--pipeline", str(model)]) == 3
            assert "cut short" in capsys.readouterr().err


def test_a_whole_file_without_a_record_is_told_as_such(tiny_model, tmp_path, capsys):
    """Also one of a writer to a pipe, which leaves a length that no file has."""
    out = tmp_path / "a.wav"
    made = ["generate", "audio", str(tiny_model), "--label", "low", "--steps", "2", "--no-record", "-o", str(out)]
    assert main(made) == 0
    content = out.read_bytes()
    for length in (content[4:8], b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff"):
        out.write_bytes(content[:4] + length + content[8:])
        assert main(["replay", str(out)]) == 4
        assert "left out or stripped" in capsys.readouterr().err
