"""Captions of files: from a table, from lines of JSON, from texts beside them; and tables beside an archive."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from noiseform.core.data.dataset import DataConfig, list_items
from noiseform.core.data.source import open_source
from noiseform.core.errors import ConfigError
from noiseform.core.registration.config import checked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    for name in ("a.png", "b.PNG", "deep/c.png", "deep/d.e.png"):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return place


def listed(place: Path, **config: object) -> tuple[dict[str, str | None], dict[str, str]]:
    """Return captions and reasons of the files."""
    listing = list_items(open_source(place), DataConfig.model_validate(config), ("*.png",))
    return {item.entry.name: item.text for item in listing.items}, dict(listing.skipped)


WHOLE = {"a.png": "red  heart", "b.PNG": "b", "deep/c.png": "c", "./deep/d.e.png": " d "}
EXPECTED = {"a.png": "red heart", "b.PNG": "b", "deep/c.png": "c", "deep/d.e.png": "d"}


def write(place: Path, kind: str, captions: dict[str, str], field: str | None = None) -> None:
    if kind == "table":
        rows = [f'{name},"{text}",x' for name, text in captions.items()]
        (place / "captions.csv").write_text(
            "\n".join([f"file,{field or 'caption'},other", *rows]), encoding="utf-8-sig"
        )
    elif kind == "jsonl":
        names = [("file", "text"), ("file_name", "caption")]
        rows = [
            json.dumps({names[i % 2][0]: name, field or names[i % 2][1]: text, "width": 3})
            for i, (name, text) in enumerate(captions.items())
        ]
        (place / "captions.jsonl").write_text("\n\n".join(rows) + "\r\n", encoding="utf-8")
    else:
        for name, text in captions.items():
            (place / name).with_suffix(".txt").write_text(text + "\n", encoding="utf-8-sig")


@pytest.mark.parametrize("kind", ["table", "jsonl", "text"])
@pytest.mark.parametrize("archived", ["", ".tar", ".tar.gz"])
def test_captions_belong_to_their_files(kind: str, archived: str, folder: Path, tmp_path: Path) -> None:
    write(folder, kind, WHOLE)
    place = folder
    if archived:
        place = tmp_path / f"x{archived}"
        with tarfile.open(place, "w:gz" if archived.endswith("gz") else "w") as archive:
            archive.add(folder, arcname=".")
    assert listed(place, captions=kind) == (EXPECTED, {})


@pytest.mark.parametrize("kind", ["table", "jsonl"])
def test_field_and_file_can_have_other_names(kind: str, folder: Path) -> None:
    write(folder, kind, WHOLE, field="words")
    default = "captions.csv" if kind == "table" else "captions.jsonl"
    (folder / default).rename(folder / "deep" / "list")
    found = listed(folder, captions=kind, caption_file="deep/list", caption_field="words", include=["*.png", "list"])
    assert found == (EXPECTED, {})


@pytest.mark.parametrize("kind", ["table", "jsonl", "text"])
def test_file_without_a_caption_is_skipped_with_its_reason(kind: str, folder: Path) -> None:
    write(folder, kind, {"a.png": "a", "b.PNG": "b", "deep/c.png": "c"})
    captions, skipped = listed(folder, captions=kind)
    assert captions == {"a.png": "a", "b.PNG": "b", "deep/c.png": "c"}
    reasons = {"text": "there is no deep/d.e.txt with its caption"}
    assert skipped == {
        "deep/d.e.png": reasons.get(kind, f"captions.{'csv' if kind == 'table' else kind} has no caption of it")
    }


def test_last_part_of_a_name_is_enough(folder: Path) -> None:
    write(folder, "table", {"a.png": "a", "b.PNG": "b", "c.png": "c", "d.e.png": "d"})
    assert listed(folder, captions="table")[0]["deep/c.png"] == "c"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "empty file"),
        (b" \n\t ", "the caption is empty"),
        (b"\xff\xfe", "no UTF-8"),
        (b"x" * 10_001, "more than 10000"),
    ],
)
def test_bad_texts_are_told(text: bytes, reason: str, folder: Path) -> None:
    write(folder, "text", WHOLE)
    (folder / "a.txt").write_bytes(text)
    captions, skipped = listed(folder, captions="text")
    assert "a.png" not in captions
    assert reason in skipped["a.png"]
    assert "\n" not in skipped["a.png"]


BAD = {
    "no table": ("table", None, "holds no file 'captions.csv'; put the table there"),
    "no lines": ("jsonl", None, "holds no file 'captions.jsonl'; put the table there"),
    "no column": (
        "table",
        b"file,captions\na.png,x",
        "no column 'caption'; did you mean 'captions'?; set caption_field",
    ),
    "no file column": ("table", b"name,caption\na.png,x", "has no column 'file'"),
    "empty value": ("table", b"file,caption\na.png,", "line 2 has no text under caption; fill it in"),
    "blank value": ("table", b"file,caption\na.png,  ", "line 2: the caption is empty; correct it"),
    "twice": ("table", b"file,caption\na.png,x\n./a.png,y", "line 3 names a.png a second time"),
    "no UTF-8": ("table", b"file,caption\na.png,\xff", "in UTF-8"),
    "no csv": ("table", b'file,caption\n"a.png,x', "no table of comma-separated values"),
    "no json": ("jsonl", b'{"file": "a.png", "text": "x"}\n{"file"', "line 2 is no JSON"),
    "no object": ("jsonl", b"[1]", "line 1 is no object"),
    "no text": ("jsonl", b'{"file": "a.png", "text": 3}', "line 1 has no text under text or caption"),
    "no name": ("jsonl", b'{"path": "a.png", "text": "x"}', "line 1 has no text under file or file_name"),
    "deep": ("jsonl", b"[" * 100_000, "line 1 is no JSON"),
    "not utf-8": ("jsonl", b"\xff", "no UTF-8"),
    "long": ("jsonl", json.dumps({"file": "a.png", "text": "x" * 10_001}).encode(), "more than 10000 characters"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_refused_in_one_line(name: str, folder: Path) -> None:
    kind, content, why = BAD[name]
    if content is not None:
        (folder / f"captions.{'csv' if kind == 'table' else 'jsonl'}").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        listed(folder, captions=kind)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tables_may_lie_beside_an_archive(folder: Path, tmp_path: Path) -> None:
    write(tmp_path, "table", WHOLE)
    (tmp_path / "labels.csv").write_text("file,label\n" + "".join(f"{name},l\n" for name in WHOLE))
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(folder, arcname=".")
    assert listed(tmp_path / "x.tar", captions="table") == (EXPECTED, {})
    config = DataConfig(captions="table", labels="csv", csv="labels.csv")
    items = list_items(open_source(tmp_path / "x.tar"), config, ("*.png",)).items
    assert {(item.labels, item.text) for item in items} == {(("l",), text) for text in EXPECTED.values()}
    with pytest.raises(ConfigError, match="holds no file"):  # of a folder, the table lies inside
        listed(folder, captions="table")


def test_one_table_may_give_labels_and_captions(folder: Path) -> None:
    (folder / "captions.csv").write_text("file,caption,kind\n" + "".join(f"{name},t,k\n" for name in WHOLE))
    config = DataConfig(captions="table", labels="csv", csv="captions.csv", fields=("kind",))
    items = list_items(open_source(folder), config, ("*.png",)).items
    assert {(item.labels, item.text) for item in items} == {(("k",), "t")}


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"captions": "csv"}, "captions: expected 'none', 'table', 'jsonl' or 'text', got 'csv'"),
        ({"caption_file": "x.csv"}, "captions = 'none' takes no caption_file"),
        ({"captions": "text", "caption_field": "x"}, "captions = 'text' takes no caption_file and no caption_field"),
        ({"captions": "table", "caption_file": "../x.csv"}, "caption_file must name a file inside the data"),
        ({"captions": "table", "caption_file": ""}, "caption_file must name a file inside the data"),
        ({"caption": "table"}, "unknown key 'caption'; did you mean 'captions'?"),
        ({"fit": "cover"}, "fit: expected 'crop', 'pad', 'stretch' or 'cut'"),
    ],
)
def test_wrong_data_tables_are_refused(table: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(DataConfig, table, what="data")
    assert why in str(caught.value)


def test_labels_are_off_where_there_are_captions_unless_asked_for() -> None:
    assert DataConfig().labels == "folder"
    assert DataConfig(captions="text").labels == "none"
    assert DataConfig(captions="text", labels="folder").labels == "folder"
