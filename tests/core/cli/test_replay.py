"""Which modality a file is of, where plugins have some whose files end alike."""

from __future__ import annotations

import pytest
import torch
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
