"""Which files make a data set, and what they are called."""

from __future__ import annotations

import io
import os
import tarfile
import time
from pathlib import Path

import pytest
from noiseform.core.data.dataset import DataConfig, Listing, list_items, refuse_too_many
from noiseform.core.data.labelling import parse_pattern
from noiseform.core.data.source import Archive, Folder, open_source
from noiseform.core.errors import ConfigError, MediaError
from pydantic import ValidationError

FILES = ["b/two.x", "a/one.x", "a/deep/three.x", "a/notes.txt", "top.x", ".hidden.x"]


def fill(folder: Path, names: list[str]) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def pack(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def listed(place: Path, endings: tuple[str, ...] = ("*.x",), **config: object) -> Listing:
    return list_items(open_source(place), DataConfig.model_validate(config), endings)


def labels(listing: Listing) -> dict[str, tuple[str, ...]]:
    return {item.entry.name: item.labels for item in listing.items}


@pytest.mark.parametrize("kind", ["folder", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_folder_and_archives_list_alike(kind: str, tmp_path: Path) -> None:
    if kind == "folder":
        place = fill(tmp_path, FILES)
    else:
        mode = "w:" + kind.removeprefix("tar").removeprefix(".")
        place = pack(tmp_path / f"x.{kind}", {name: name.encode() for name in FILES}, mode)
    listing = listed(place, labels="none")
    assert [item.entry.name for item in listing.items] == [".hidden.x", "a/deep/three.x", "a/one.x", "b/two.x", "top.x"]
    for item in listing.items:
        with item.entry.open() as file:
            assert file.read().decode() == item.entry.name
        assert item.entry.size == len(item.entry.name)


def test_labels_from_folders(tmp_path: Path) -> None:
    listing = listed(fill(tmp_path, FILES), rename={"a": "alpha"})
    assert labels(listing) == {"a/deep/three.x": ("deep",), "a/one.x": ("alpha",), "b/two.x": ("b",)}
    assert [name for name, _ in listing.skipped] == [".hidden.x", "top.x"]
    assert listing.fields == ("label",)


def test_labels_from_a_pattern(tmp_path: Path) -> None:
    fill(tmp_path, ["rec/0_george_12.x", "rec/1_anna maria_3.x", "rec/odd.x", "rec/7_x_1_extra.x"])
    pattern = "{digit}_{speaker}_{take}"
    listing = listed(
        tmp_path, labels="pattern", pattern=pattern, fields=["speaker", "digit"], rename={"0": "zero", "george": "G"}
    )
    assert listing.fields == ("speaker", "digit")
    assert labels(listing) == {
        "rec/0_george_12.x": ("G", "zero"),
        "rec/1_anna maria_3.x": ("anna maria", "1"),
        "rec/7_x_1_extra.x": ("x", "7"),  # the last field may hold what separates the others
    }
    assert listing.skipped == (("rec/odd.x", f"the name does not match {pattern}"),)
    assert listed(tmp_path, labels="pattern", pattern=pattern).fields == ("digit", "speaker", "take")


def test_pattern_over_folders(tmp_path: Path) -> None:
    fill(tmp_path, ["x/george/0_1.x", "george/0_1.x", "0_1.x"])
    listing = listed(tmp_path, labels="pattern", pattern="{speaker}/{digit}_{take}", fields=["digit", "speaker"])
    assert labels(listing) == {"george/0_1.x": ("0", "george"), "x/george/0_1.x": ("0", "george")}


@pytest.mark.parametrize(
    "pattern", ["", "plain", "{a}{b}", "{a}_{a}", "{1a}_{b}", "{a", "{}_{b}", "{a}_{b c}", "a}{b}"]
)
def test_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        parse_pattern(pattern)


def test_pattern_is_matched_in_linear_time() -> None:
    expression, _ = parse_pattern("_".join(f"{{f{i}}}" for i in range(20)) + "!")
    started = time.perf_counter()
    assert expression.fullmatch("_" * 4000) is None
    assert expression.fullmatch("a_" * 2000) is None
    assert time.perf_counter() - started < 0.5


TABLE = "file,label,who\na/one.x,eins,A\ntwo.x,zwei,B\n./top.x,oben,C\ngone.x,weg,D\n"


@pytest.mark.parametrize("archived", [False, True])
def test_labels_from_a_table(archived: bool, tmp_path: Path) -> None:
    place = fill(tmp_path / "data", FILES)
    (place / "labels.csv").write_text(TABLE, encoding="utf-8-sig")
    if archived:
        members = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
        place = pack(tmp_path / "x.tar.gz", members)
    listing = listed(place, labels="csv", csv="labels.csv", fields=["label"], rename={"eins": "one"})
    assert labels(listing) == {"a/one.x": ("one",), "b/two.x": ("zwei",), "top.x": ("oben",)}
    assert [name for name, _ in listing.skipped] == [".hidden.x", "a/deep/three.x"]
    assert listed(place, labels="csv", csv="labels.csv").fields == ("label", "who")


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (b"name,label\n", "no column 'file'"),
        (b"file\na\n", "no field for a label"),
        (b"file,label\na.x\n", "line 2 has an empty or missing value"),
        (b"file,label\na.x,\n", "line 2 has an empty or missing value"),
        (b"file,label\n\xff\xfe,x\n", "in UTF-8"),
        (b'file,label\n"a,x\n', "comma-separated"),
        (b"file,label\n" + b"x" * 200_000 + b",y\n", "comma-separated"),
    ],
)
def test_table_that_is_none_is_refused(table: bytes, why: str, tmp_path: Path) -> None:
    fill(tmp_path, FILES)
    (tmp_path / "t.csv").write_bytes(table)
    with pytest.raises(ConfigError, match=why):
        listed(tmp_path, labels="csv", csv="t.csv")


def test_missing_table_and_unknown_field_are_named(tmp_path: Path) -> None:
    fill(tmp_path, FILES)
    with pytest.raises(ConfigError, match=r"no file 't\.csv'"):
        listed(tmp_path, labels="csv", csv="t.csv")
    with pytest.raises(ConfigError, match="did you mean 'digit'"):
        listed(tmp_path, labels="pattern", pattern="{digit}_{take}", fields=["digits"])


def test_globs_choose_by_name_or_path_whatever_the_case(tmp_path: Path) -> None:
    fill(tmp_path, ["a/ONE.X", "a/two.x", "b/three.x", "b/four.y"])

    def chosen(**config: object) -> list[str]:
        return [item.entry.name for item in listed(tmp_path, labels="none", **config).items]

    assert chosen() == ["a/ONE.X", "a/two.x", "b/three.x"]
    assert chosen(include=["*.y"]) == ["b/four.y"]
    assert chosen(include=["a/*"]) == ["a/ONE.X", "a/two.x"]
    assert chosen(exclude=["one*", "b/*"]) == ["a/two.x"]
    with pytest.raises(MediaError, match=r"no file matches \*\.z"):
        chosen(include=["*.z"])


@pytest.mark.parametrize(
    "config",
    [
        {"labels": "pattern"},
        {"labels": "csv"},
        {"labels": "folder", "pattern": "{a}"},
        {"labels": "none", "csv": "x.csv"},
        {"labels": "folder", "fields": ["a"]},
        {"labels": "pattern", "pattern": "{a}{b}"},
        {"labels": "csv", "csv": "../x.csv"},
        {"labels": "csv", "csv": "/etc/x.csv"},
        {"labels": "names"},
        {"max_bad": 1.5},
        {"max_bad": float("nan")},
        {"window": "end"},
        {"lables": "folder"},
    ],
)
def test_table_of_a_recipe_that_contradicts_itself_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DataConfig.model_validate(config)


def test_only_regular_files_inside_are_taken(tmp_path: Path) -> None:
    outside = fill(tmp_path / "outside", ["secret.x"])
    inside = fill(tmp_path / "inside", ["good.x", "sub/good.x"])
    (inside / "link.x").symlink_to(outside / "secret.x")
    (inside / "link-folder").symlink_to(outside)
    (inside / "loop").symlink_to(inside)
    os.mkfifo(inside / "pipe.x")
    (inside / ".noiseform-tmp-0-1-2.x").write_text("half")
    listing = listed(inside, labels="none")
    assert [item.entry.name for item in listing.items] == ["good.x", "sub/good.x"]
    assert sorted(listing.unread) == [
        ("link-folder", "link"),
        ("link.x", "link"),
        ("loop", "link"),
        ("pipe.x", "no regular file"),
    ]


def test_file_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    fill(tmp_path, ["a.x", "b.x"])
    entry = Folder(tmp_path).entries(lambda name: name == "a.x")[0]
    (tmp_path / "a.x").unlink()
    with pytest.raises(MediaError, match="no such file"):
        entry.open()
    (tmp_path / "a.x").symlink_to(tmp_path / "b.x")
    with pytest.raises(MediaError, match="symbolic link"):
        entry.open()


def test_strange_names_are_kept_and_sorted(tmp_path: Path) -> None:
    for name in (b"\xff.x", b"a\nb.x", "ü.x".encode()):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(b"x")
    listing = listed(tmp_path, labels="none")
    assert [os.fsencode(item.entry.name) for item in listing.items] == [b"a\nb.x", "ü.x".encode(), b"\xff.x"]
    for item in listing.items:
        item.entry.open().close()


def test_archive_is_never_unpacked_and_its_links_never_followed(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("../../evil.x", "/etc/evil.x", "./good.x"):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
        for name, kind in (("link.x", tarfile.SYMTYPE), ("hard.x", tarfile.LNKTYPE), ("device.x", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    listing = listed(path, labels="none")
    assert [item.entry.name for item in listing.items] == ["../../evil.x", "/etc/evil.x", "good.x"]
    assert [name for name, _ in listing.unread] == ["link.x", "hard.x", "device.x"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["x.tar"]


def test_of_two_members_with_one_name_the_later_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for data in (b"old", b"newer"):
            info = tarfile.TarInfo("a.x")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    (entry,) = Archive(path).entries(lambda _: True)
    assert entry.open().read() == b"newer"


@pytest.mark.parametrize("limit", ["MEMBER_LIMIT", "ARCHIVE_LIMIT"])
def test_archive_that_unfolds_without_end_is_refused(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from noiseform.core.data import source

    path = pack(tmp_path / "x.tar.gz", {"a.x": bytes(100_000), "b.x": b"b"})
    monkeypatch.setattr(source, limit, 50_000)
    if limit == "ARCHIVE_LIMIT":
        with pytest.raises(MediaError, match="unpack it"):
            listed(path, labels="none")
    else:
        listing = listed(path, labels="none")
        assert [item.entry.name for item in listing.items] == ["b.x"]
        assert listing.unread == (("a.x", "100000 bytes, more than 50000"),)


@pytest.mark.parametrize("damage", ["cut", "random", "empty", "missing", "text"])
@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_damaged_archive_is_refused(damage: str, ending: str, tmp_path: Path) -> None:
    path = pack(tmp_path / f"x.{ending}", {f"{i}.x": os.urandom(2000) for i in range(20)}, "w:" + ending[4:])
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        contents = {"cut": data[: len(data) // 2], "random": os.urandom(3000), "empty": b"", "text": b"hi"}
        path.write_bytes(contents[damage])
    with pytest.raises(MediaError, match=path.name):
        listed(path, labels="none")


@pytest.mark.parametrize("kept", [512 * 10, 512 * 10 + 100, 512 * 10 + 700])
def test_archive_cut_at_or_between_files_is_refused(kept: int, tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar", {f"{i}.x": bytes(2000) for i in range(20)}, "w")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(MediaError, match=r"cut short|unexpected end"):
        listed(path, labels="none")


def test_missing_or_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such folder"):
        listed(tmp_path / "missing")
    with pytest.raises(MediaError, match="no file matches"):
        listed(tmp_path)


def test_too_many_bad_files_are_refused_with_counts(tmp_path: Path) -> None:
    refuse_too_many(tmp_path, 5, 100, 0.05, [])
    refuse_too_many(tmp_path, 0, 1, 0.0, [])
    with pytest.raises(
        MediaError, match=r"6 of 100 files cannot be used: a\\nb \(broken\) and 5 more; repair or exclude"
    ):
        refuse_too_many(tmp_path, 6, 100, 0.05, [("a\nb", "broken")])
    with pytest.raises(MediaError, match="3 of 3"):
        refuse_too_many(tmp_path, 3, 3, 1.0, [("a", "broken")])


@pytest.mark.parametrize("count", [1, 5, 7])
def test_of_too_many_bad_files_some_are_told_with_their_reasons(count: int, tmp_path: Path) -> None:
    bad = [(f"{number}\t.x", f"cannot read: {number}\\t.x: empty file; make it again") for number in range(count)]
    shown = ", ".join(rf"{number}\t.x (empty file; make it again)" for number in range(min(count, 5)))
    more = " and 2 more" if count == 7 else ""
    with pytest.raises(MediaError) as caught:
        refuse_too_many(tmp_path, count, 10, 0.0, bad)
    assert f"{count} of 10 files cannot be used: {shown}{more}; repair or exclude them" in str(caught.value)


def test_a_file_that_cannot_be_opened_is_called_by_its_name_in_the_data(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("empty.x", "gone.x"):
        (tmp_path / "in" / name).touch()
    empty, gone = (item.entry for item in listed(tmp_path, labels="none").items)
    (tmp_path / "in" / "gone.x").unlink()
    with pytest.raises(MediaError, match=r"^cannot read: in/empty\.x: empty file"):
        empty.open()
    with pytest.raises(MediaError, match=r"^cannot read: in/gone\.x: no such file"):
        gone.open()


def test_one_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "seven.wav").write_bytes(b"RIFF" + bytes(2000))
    with pytest.raises(MediaError, match=r"seven\.wav: is a file, not a folder or a tar archive; name the folder it"):
        open_source(tmp_path / "seven.wav").entries(lambda name: True)
    (tmp_path / "cut.tar.gz").write_bytes(b"\x1f\x8b" + bytes(20))
    with pytest.raises(MediaError, match="damaged or no tar archive"):
        open_source(tmp_path / "cut.tar.gz").entries(lambda name: True)
