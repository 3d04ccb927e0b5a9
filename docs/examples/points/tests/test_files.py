"""Clouds in files: what is written is read again, what other programs write is read, what is damaged is told."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from noiseform import ConfigError, MediaError, NumericError
from noiseform_points import Cloud, read
from noiseform_points.reading import decode, read_mask, read_record

RECORD = {"pipeline": "shapes", "seed": 7, "long": "x y  z " * 100, "letters": "é\n"}

HEADER = "ply\nformat {form} 1.0\ncomment made by hand\nelement vertex 2\n{properties}end_header\n"


def points_of(text: str | bytes) -> list[list[float]]:
    data = text.encode() if isinstance(text, str) else text
    return decode(io.BytesIO(data), "a.ply")[0].T.tolist()


@pytest.mark.parametrize(("name", "ascii"), [("a.ply", False), ("a.ply", True), ("a.xyz", False)])
def test_every_number_and_the_record_come_back(tmp_path, name, ascii):
    points = torch.randn(3, 50, generator=torch.Generator().manual_seed(0)) * torch.logspace(-9, 9, 50)
    Cloud(points, RECORD).save(tmp_path / name, ascii=ascii)
    found = read(tmp_path / name)
    assert torch.equal(found.points, points)
    assert found.record == read_record(tmp_path / name) == RECORD
    again = (tmp_path / name).read_bytes()
    Cloud(points, RECORD).save(tmp_path / name, ascii=ascii, overwrite=True)
    assert (tmp_path / name).read_bytes() == again
    Cloud(points, RECORD).save(tmp_path / name, record=False, overwrite=True)
    assert read(tmp_path / name).record is None


def test_no_line_of_a_header_is_too_long_for_others(tmp_path):
    Cloud(torch.zeros(3, 1), {"long": "x" * 5000}).save(tmp_path / "a.ply")
    header = (tmp_path / "a.ply").read_bytes().partition(b"end_header")[0]
    assert max(map(len, header.splitlines())) <= 200


def test_any_order_and_type_and_what_is_not_asked_for(tmp_path):
    text = HEADER.format(
        form="ascii", properties="property uchar red\nproperty double z\nproperty float y\nproperty short x\n"
    )
    assert points_of(text + "255 0.5 -2 1\n0 1e-3 2 -1\n") == [[1, -2, 0.5], [-1, 2, pytest.approx(1e-3)]]
    assert points_of(text.replace("\n", "\r\n") + "255 0.5 -2 1\r\n0 1 2 -1\r\n")[1] == [-1, 2, 1]


@pytest.mark.parametrize(("form", "order"), [("binary_little_endian", "<"), ("binary_big_endian", ">")])
def test_bytes_with_things_before_and_after(form, order):
    header = f"ply\nformat {form} 1.0\nelement camera 1\nproperty float focus\nproperty uchar kind\n"
    header += "element vertex 2\nproperty double x\nproperty float y\nproperty uchar red\nproperty float z\n"
    header += "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    kind = np.dtype([("x", order + "f8"), ("y", order + "f4"), ("red", "u1"), ("z", order + "f4")])
    vertices = np.array([(1.5, 2, 9, 3), (-1, 0.25, 9, 7)], kind)
    data = header.encode() + b"\0" * 5 + vertices.tobytes() + b"\x03" + bytes(12)
    assert points_of(data) == [[1.5, 2, 3], [-1, 0.25, 7]]


def test_text_with_a_point_in_each_line(tmp_path):
    assert points_of("# scanned\nx, y, z, red\n1, 2, 3, 255\n\n4 5 6\n".replace("# scanned\n", "")) == [
        [1, 2, 3],
        [4, 5, 6],
    ]
    assert points_of("# scanned\n1\t2\t3\n") == [[1, 2, 3]]


VERTICES = "property float x\nproperty float y\nproperty float z\n"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (HEADER.format(form="ascii", properties=VERTICES) + "1 2 3\n4 5\n", "cut short, 5 of 6 numbers"),
        (HEADER.format(form="ascii", properties=VERTICES) + "1 2 3\n4 5 six\n", "a word among its numbers is none"),
        (HEADER.format(form="ascii", properties=VERTICES) + "1 2 3\n4 5 nan\n", "1 of 2 points have a coordinate"),
        (HEADER.format(form="binary_little_endian", properties=VERTICES) + "1234", "cut short, 4 of 24 bytes"),
        (HEADER.format(form="ascii", properties="property float x\n") + "1 2\n", "have no y, z"),
        (HEADER.format(form="ascii", properties="property list uchar int x\n"), "only numbers are read"),
        (HEADER.format(form="ascii", properties="property half x\n"), "which PLY does not know"),
        (HEADER.format(form="gzip", properties=VERTICES), "which PLY does not know"),
        ("ply\nformat ascii 1.0\nelement face 1\nend_header\n", "names no vertices"),
        ("ply\nelement vertex 0\n" + VERTICES + "end_header\n", "names no format"),
        ("ply\nformat ascii 1.0\nelement vertex 0\n" + VERTICES + "end_header\n", "holds no points"),
        ("ply\nformat ascii 1.0\nelement vertex 99999999999\n" + VERTICES + "end_header\n", "cut short"),
        ("ply\nformat ascii 1.0\n", "its header does not end"),
        ("1 2 3\nfour\n", "line 2 is 'four'"),
        (b"\x89PNG\r\n", "neither PLY nor text"),
    ],
)
def test_what_is_damaged_is_told_in_a_line_with_the_cure(data, told):
    with pytest.raises(MediaError, match=told) as caught:
        points_of(data)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("cannot read: a.ply: ")


def test_a_mask_is_a_property_of_the_points(tmp_path):
    path = tmp_path / "mask.ply"
    path.write_text(HEADER.format(form="ascii", properties=VERTICES + "property uchar mask\n") + "1 2 3 1\n4 5 6 0\n")
    assert read_mask(path).tolist() == [1, 0]
    path.write_text(HEADER.format(form="ascii", properties=VERTICES) + "1 2 3\n4 5 6\n")
    with pytest.raises(MediaError, match="no property mask"):
        read_mask(path)


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ConfigError, match=r"end the name in .ply or .xyz"):
        Cloud(torch.zeros(3, 2)).save(tmp_path / "a.obj")
    with pytest.raises(ConfigError, match="give \\(3, count\\)"):
        Cloud(torch.zeros(2, 3)).save(tmp_path / "a.ply")
    with pytest.raises(NumericError, match="1 of 2 points"):
        Cloud(torch.tensor([[0.0, 1], [0, 1], [0, torch.nan]])).save(tmp_path / "a.ply")
    (tmp_path / "a.ply").write_text("mine")
    with pytest.raises(ConfigError, match="exists"):
        Cloud(torch.zeros(3, 2)).save(tmp_path / "a.ply")
    assert [path.name for path in tmp_path.iterdir()] == ["a.ply"]
    assert (tmp_path / "a.ply").read_text() == "mine"
