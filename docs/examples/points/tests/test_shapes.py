"""The shapes lie where their formulas say, evenly, and are written as files to train on."""

from __future__ import annotations

import math

import pytest
import torch
from noiseform.core.cli.main import main
from noiseform_points import Cloud, read
from noiseform_points.shapes import SHAPES, shape


@pytest.mark.parametrize("name", SHAPES)
def test_every_seed_is_a_cloud_of_its_own_within_reach(name):
    clouds = [shape(name, 200, seed) for seed in range(6)]
    assert torch.equal(shape(name, 200, 3), clouds[3])
    assert all(cloud.shape == (3, 200) and cloud.abs().max() <= 0.98 for cloud in clouds)
    assert all(cloud.abs().max() < 0.98 for cloud in clouds), "something was cut off"
    sizes = torch.stack([cloud.amax(1) - cloud.amin(1) for cloud in clouds])
    assert (sizes.std(0) > 0.02).any(), "proportions differ"


@pytest.fixture
def smooth(monkeypatch):
    monkeypatch.setattr("noiseform_points.shapes.ROUGHNESS", 0.0)


@pytest.mark.usefixtures("smooth")
def test_a_torus_is_even_by_area():
    points = shape("torus", 40_000, 5)
    radius = points[:2].norm(dim=0)
    inner, outer = radius.amin().item(), radius.amax().item()
    ring, tube = (inner + outer) / 2, (outer - inner) / 2
    surface = ((radius - ring) ** 2 + points[2] ** 2).sqrt()
    assert surface.tolist() == pytest.approx([tube] * 40_000, abs=1e-3)
    assert (radius > ring).float().mean().item() == pytest.approx(0.5 + tube / (math.pi * ring), abs=0.01)  # Pappus


@pytest.mark.usefixtures("smooth")
def test_a_cone_is_even_by_area():
    points = shape("cone", 40_000, 2)
    low, high = points[2].amin().item(), points[2].amax().item()
    side = points[2, points[2] > low + 1e-6]  # without its base
    assert (side > (low + high) / 2).float().mean().item() == pytest.approx(0.25, abs=0.01)  # (1 / 2)**2 of the area
    radius = points[:2].norm(dim=0).amax().item()
    base, lateral = radius, (radius**2 + (high - low) ** 2) ** 0.5  # areas, both divided by pi times the radius
    assert len(side) / 40_000 == pytest.approx(lateral / (base + lateral), abs=0.01)


def test_make_shapes(tmp_path, capsys):
    folder = tmp_path / "shapes"
    assert main(["make-shapes", str(folder), "-n", "2", "--points", "30", "--seed", "4"]) == 0
    assert "14 clouds of 7 shapes" in capsys.readouterr().out
    assert {path.parent.name for path in folder.rglob("*.ply")} == set(SHAPES)
    assert read(folder / "torus" / "00001.ply").points.shape == (3, 30)
    assert main(["make-shapes", str(folder), "-n", "2"]) == 2  # they are there


def test_fit_points(tmp_path):
    (tmp_path / "scans" / "chair").mkdir(parents=True)
    points = torch.tensor([[0.0, 100], [0, 400], [0, 200]])  # y is the longest, and points up
    Cloud(points).save(tmp_path / "scans" / "chair" / "a.xyz")
    out = tmp_path / "fitted"
    assert main(["fit-points", str(tmp_path / "scans"), str(out), "--up", "y"]) == 0
    assert read(out / "chair" / "a.ply").points.T.flatten().tolist() == pytest.approx(
        [-0.225, 0.45, -0.9, 0.225, -0.45, 0.9]
    )
    assert main(["fit-points", str(tmp_path / "nothing"), str(out)]) == 3
    (tmp_path / "empty").mkdir()
    assert main(["fit-points", str(tmp_path / "empty"), str(out)]) == 2
