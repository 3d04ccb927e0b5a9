"""Clouds as the core takes and gives them: shapes, data sets, masks, warnings, pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from noiseform import ConfigError, MediaError, build
from noiseform.core.data.dataset import DataConfig
from noiseform_points import Cloud
from noiseform_points.sheet import drawn
from PIL import Image


@pytest.fixture
def modality():
    return build("modality", "points")


@pytest.fixture
def spec(modality):
    return modality.spec({"points": 40})


@pytest.mark.parametrize("media", [{}, {"points": 0}, {"points": "many"}, {"points": 40, "pixels": 3}])
def test_wrong_media(modality, media):
    with pytest.raises(ConfigError):
        modality.spec(media)


def test_a_data_set_takes_labels_from_folders_and_other_points_each_time(modality, spec, tmp_path):
    for label, count in (("cup", 100), ("vase", 40), ("vase", 39)):
        (tmp_path / label).mkdir(exist_ok=True)
        Cloud(torch.rand(3, count)).save(tmp_path / label / f"{count}.ply")
    Cloud(torch.full((3, 50), 20.0)).save(tmp_path / "cup" / "far.ply")
    data = modality.dataset(tmp_path, spec, DataConfig(max_bad=0.5))
    assert data.vocabulary == (("cup", "vase"),)
    assert [data.conditions(index)["labels"] for index in range(len(data))] == [("cup",), ("vase",)]
    first, again, other = (data.item(0, start=start) for start in (0.1, 0.1, 0.9))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    whole = data.kept(0).T.tolist()
    assert all(point in whole for point in other.T.tolist())
    told = dict(data.skipped)
    assert "39 points, where the model takes 40" in told["vase/39.ply"]
    assert "noiseform fit-points" in told["cup/far.ply"]
    with pytest.raises(ConfigError, match="flip: point clouds take"):
        modality.dataset(tmp_path, spec, DataConfig(flip=True))


def test_what_is_given_is_brought_to_the_model(modality, spec):
    points = torch.rand(3, 100)
    taken, found = modality.take(Cloud(points), spec, fit=True)
    assert taken.shape == found.shape == (3, 40)
    # By places in the list alone, as a mask is brought there too.
    places = modality.take(Cloud(torch.arange(100.0).expand(3, -1) / 100), spec, fit=True)[0][0]
    assert torch.equal(taken, points[:, (places * 100).round().long()])
    assert torch.equal(modality.take(Cloud(points), spec, fit=False)[0], points)
    for wrong, told in (
        (torch.rand(3, 39), "39, where"),
        (torch.rand(3, 40) * 9, "fit-points"),
        (torch.zeros(3, 0), "none"),
    ):
        with pytest.raises(MediaError, match=told):
            modality.take(Cloud(wrong), spec, fit=True)
    with pytest.raises(ConfigError, match="expected a Cloud"):
        modality.take(points, spec, fit=True)


def test_a_region_is_a_slab(modality):
    points = torch.tensor([[0.0, 0.5, -0.5], [0, 0, 0], [0.1, 0.2, 0.3]])
    for text, inside in (("z=0.2:", [0, 1, 1]), ("x=:0", [1, 0, 1]), ("x=-.1:.6", [1, 1, 0]), ("y=1:2", [0, 0, 0])):
        assert modality.region(text)(points).int().tolist() == inside
    assert modality.region("mask.ply") is None
    for text in ("z>0.2", "x=0.5", "z=:", "y=a:b"):
        with pytest.raises(ConfigError, match=r"such as z=0\.2:"):
            modality.region(text)


def test_warnings(modality):
    assert modality.warnings(Cloud(torch.rand(3, 20))) == []
    assert "collapsed" in modality.warnings(Cloud(torch.full((3, 20), 0.3)))[0]
    assert "1 of 2 points" in modality.warnings(Cloud(torch.tensor([[0, torch.nan], [0, 1], [0, 1]])))[0]
    assert "clipped: 100.0%" in modality.warnings(Cloud(torch.rand(3, 20).round() * 2 - 1))[0]


def test_a_sheet_shows_every_cloud_with_near_points_dark(modality, tmp_path):
    clouds = [
        Cloud(torch.rand(3, 50) - 0.5),
        Cloud(torch.full((3, 1), torch.nan)),
        Cloud(torch.tensor([[0.0], [0], [0]])),
    ]
    modality.sheet(clouds, ["one", "nowhere", "a long caption " * 20], tmp_path / "sheet.png", overwrite=False)
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.width == picture.height - 2 * 18
        assert len(picture.getcolors(1 << 20)) > 20
    with pytest.raises(ConfigError, match="one caption for each"):
        modality.sheet(clouds, ["one"], tmp_path / "b.png", overwrite=False)
    near, far = (np.asarray(drawn(Cloud(torch.tensor([[x], [0.0], [0.0]])), 64)) for x in (0.8, -0.8))
    assert near.min() < far.min()
    assert (near < 250).sum() > (far < 250).sum()


def test_a_cloud_shows_itself_in_a_notebook():
    assert Cloud(torch.rand(3, 9))._repr_png_().startswith(b"\x89PNG")
    assert Cloud(torch.zeros(3, 0))._repr_png_() is None
    assert repr(Cloud(torch.rand(3, 9))) == "Cloud(3 x 9)"
