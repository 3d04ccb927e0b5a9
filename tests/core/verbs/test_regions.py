"""What is made anew: ranges, boxes, files and arrays as masks, and what is added at the ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from noiseform.core.errors import ConfigError
from noiseform.core.media import MediaSpec
from noiseform.core.verbs.regions import grown, is_text_of_region, margins_of, mask_of

SOUND = MediaSpec((1, 100), (100.0,), -1.0, 1.0)
PICTURE = MediaSpec((3, 6, 8), (None, None), 0.0, 1.0)
POINTS = MediaSpec((3, 40), (None,), -1.0, 1.0)
FILM = MediaSpec((3, 10, 6, 8), (5.0, None, None), 0.0, 1.0)


def nothing_to_read(path: str) -> torch.Tensor:
    raise AssertionError(f"{path} was read")


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [("0.2:0.4", 20, 40), (":0.05", 0, 5), ("0.95:", 95, 100), (".1:1.", 10, 100), ("0.5:1.004", 50, 100)],
)
def test_range_of_sound(text, first, last):
    mask = mask_of(text, SOUND, nothing_to_read)
    assert mask.nonzero().flatten().tolist() == list(range(first, last))


def test_range_of_what_has_one_axis_without_time_is_of_positions():
    assert mask_of("5:10", POINTS, nothing_to_read).nonzero().flatten().tolist() == [5, 6, 7, 8, 9]
    with pytest.warns(UserWarning, match="ends at 50 positions, the item at 40 positions"):
        assert int(mask_of("30:50", POINTS, nothing_to_read).sum()) == 10


def test_a_modality_has_words_of_its_own_for_parts_of_an_item(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd").write_text("a file whose name is a word that the modality knows")
    said = {"odd": torch.arange(40) % 2 == 1, "wrong": torch.ones(3)}
    assert torch.equal(mask_of("odd", POINTS, nothing_to_read, said.get), said["odd"])
    assert int(mask_of(["odd", "0:2"], POINTS, nothing_to_read, said.get).sum()) == 21
    with pytest.raises(ConfigError, match=r"shape \(3,\), the item \(40,\)"):
        mask_of("wrong", POINTS, nothing_to_read, said.get)
    with pytest.raises(ConfigError, match="expected a range"):
        mask_of("even", POINTS, nothing_to_read, said.get)


def test_range_of_film_is_of_whole_frames():
    mask = mask_of("0.4:1", FILM, nothing_to_read)
    assert mask.any((1, 2)).tolist() == mask.all((1, 2)).tolist() == [False] * 2 + [True] * 3 + [False] * 5


@pytest.mark.parametrize("spec", [PICTURE, FILM])
def test_box_is_left_top_right_bottom(spec):
    mask = mask_of("1,2,4,6", spec, nothing_to_read)
    expected = torch.zeros(6, 8, dtype=torch.bool)
    expected[2:6, 1:4] = True
    assert torch.equal(mask, expected.expand(spec.shape[1:]))


@pytest.mark.parametrize(
    ("text", "spec", "inside", "told"),
    [
        ("0.5:9", SOUND, "0.5:", "mask: 0.5:9: it ends at 9 s, the item at 1 s; what lies beyond is left out"),
        ("1:2.5", FILM, "1:", "it ends at 2.5 s, the item at 2 s"),
        ("1,2,4,99", PICTURE, "1,2,4,6", "it ends at 4, 99, the item at 8, 6"),
        ("1,2,9,6", FILM, "1,2,8,6", "it ends at 9, 6, the item at 8, 6"),
    ],
)
def test_what_reaches_beyond_the_end_is_told_of(text, spec, inside, told):
    with pytest.warns(UserWarning, match=told) as warned:
        mask = mask_of(text, spec, nothing_to_read)
    assert len(warned) == 1
    assert torch.equal(mask, mask_of(inside, spec, nothing_to_read))


def test_several_count_together():
    mask = mask_of(["0.1:0.2", "0.3:0.4"], SOUND, nothing_to_read)
    assert int(mask.sum()) == 20


def test_arrays_count_above_one_half():
    values = np.zeros((6, 8), np.float32)
    values[1, 1], values[2, 2], values[3, 3] = 1.0, 0.5, 0.51
    assert mask_of(values, PICTURE, nothing_to_read).nonzero().tolist() == [[1, 1], [3, 3]]
    assert mask_of(torch.from_numpy(values > 0.5), FILM, nothing_to_read).any((1, 2)).all()  # in all frames


def test_file_is_read():
    assert torch.equal(mask_of("mask.png", PICTURE, lambda path: torch.ones(6, 8)), torch.ones(6, 8, dtype=torch.bool))


@pytest.mark.parametrize(
    ("given", "spec", "complaint"),
    [
        ("0.4:0.2", SOUND, "the end does not lie after the start"),
        ("2:3", SOUND, "no part of an item of 1 s"),
        ("40:41", POINTS, "no part of an item of 40 positions"),
        ("4:4", POINTS, "give start:end in positions"),
        ("1,2,3,4", POINTS, "such items have none; give a range or a file"),
        ("0.2:0.4", PICTURE, "such items have no time"),
        ("1,2,3,4", SOUND, "a box in pixels, but such items have none"),
        ("9,0,12,4", PICTURE, "no part of 8 x 6 pixels"),
        ("4,0,4,4", PICTURE, "does not lie after left or top"),
        (torch.zeros(6, 8), PICTURE, "nothing is to be made anew"),
        (torch.ones(6, 9), PICTURE, r"shape \(6, 9\), the item \(6, 8\)"),
        (torch.ones(1, 6, 8), PICTURE, "give one of the item's size"),
        (torch.tensor(1.0), PICTURE, "give one of the item's size"),
        (torch.full((6, 8), torch.nan), PICTURE, "not finite"),
        (object(), PICTURE, "expected a range"),
        ([], PICTURE, "nothing is to be made anew"),
    ],
)
def test_wrong_masks(given, spec, complaint):
    with pytest.raises(ConfigError, match=complaint):
        mask_of(given, spec, nothing_to_read)


@pytest.mark.parametrize(
    ("given", "spec", "margins"),
    [
        (0.5, SOUND, ((0, 50),)),
        ("0.5", SOUND, ((0, 50),)),
        ("start=0.1,end=0.2", SOUND, ((10, 20),)),
        ({"start": 1}, FILM, ((5, 0), (0, 0), (0, 0))),
        (2, FILM, ((0, 10), (0, 0), (0, 0))),
        ("left=3, right=4", PICTURE, ((0, 0), (3, 4))),
        ({"top": 1, "bottom": 2, "end": 1}, FILM, ((0, 5), (1, 2), (0, 0))),
    ],
)
def test_margins(given, spec, margins):
    assert margins_of(given, spec) == margins


@pytest.mark.parametrize(
    ("given", "spec", "complaint"),
    [
        (3, PICTURE, "expected sides such as left=16"),
        ("3", PICTURE, "expected sides"),
        (0, SOUND, "nothing is to be added"),
        (-1, SOUND, "expected seconds from 0"),
        ("left=1", SOUND, "such items have start, end"),
        ("left=1.5", PICTURE, "expected whole pixels"),
        ("end=nan", SOUND, "expected seconds"),
        ("end=x", SOUND, "expected seconds"),
        (True, SOUND, "expected seconds"),
        ({}, SOUND, "expected seconds"),
        (1e12, SOUND, "expected seconds from 0"),
        ("start=1", POINTS, "such items have no ends"),
    ],
)
def test_wrong_margins(given, spec, complaint):
    with pytest.raises(ConfigError, match=complaint):
        margins_of(given, spec)


def test_what_is_added_is_new_and_the_item_stays_in_its_place():
    media, mask = torch.rand(3, 6, 8), torch.zeros(6, 8, dtype=torch.bool)
    mask[0, 0] = True
    canvas, new, spec = grown(media, mask, PICTURE, ((1, 0), (2, 3)))
    assert spec.shape == (3, 7, 13)
    assert torch.equal(canvas[:, 1:, 2:10], media)
    assert torch.equal(new[1:, 2:10], mask)
    assert int(new.sum()) == 7 * 13 - 6 * 8 + 1


@pytest.mark.parametrize(
    ("given", "whole"), [("0.2:0.4", True), ("1,2,3,4", True), ("mask.png", False), (":", False), (1, False)]
)
def test_a_record_holds_regions_and_no_names_of_files(given, whole):
    assert is_text_of_region(given) is whole


def test_a_record_holds_what_only_the_modality_understands():
    class Modality:
        def region(self, text):
            return torch.ones_like if text == "odd" else None

    assert is_text_of_region("odd", Modality())
    assert is_text_of_region("0.2:0.4", Modality())
    assert not is_text_of_region("mask.png", Modality())
    assert not is_text_of_region("odd")
