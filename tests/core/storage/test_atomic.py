"""Files appear whole or not at all, and what was there before is never lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from noiseform.core.errors import ConfigError, NoiseformError, ResourceError
from noiseform.core.storage.atomic import (
    check_writable,
    publish_folder,
    temporary_folder,
    whole_file,
    write_whole,
)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def be_late(target: Path) -> None:
    """Write a file while another process is faster."""
    with whole_file(target) as file:
        file.write(b"late")
        target.write_bytes(b"another was faster")


def test_file_appears_at_the_end_of_the_block_only(tmp_path: Path) -> None:
    target = tmp_path / "x.bin"
    with whole_file(target) as file:
        file.write(b"half")
        assert not target.exists()
        assert Path(file.name).parent == tmp_path
        assert Path(file.name).suffix == ".bin"
        file.write(b" and half")
    assert target.read_bytes() == b"half and half"
    assert names(tmp_path) == ["x.bin"]


def test_library_that_writes_by_name_is_served(tmp_path: Path) -> None:
    with whole_file(tmp_path / "x") as file:
        Path(file.name).unlink()
        Path(file.name).write_bytes(b"another file of the same name")
    assert (tmp_path / "x").read_bytes() == b"another file of the same name"


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_failure_leaves_nothing_and_keeps_the_old(failure: type[BaseException], tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_bytes(b"old")

    def fail() -> None:
        with whole_file(target, overwrite=True) as file:
            file.write(b"new")
            raise failure

    with pytest.raises(failure):
        fail()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_existing_target_is_refused_before_and_after_the_work(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_whole(target, "first")
    with pytest.raises(ConfigError, match="exists") as caught:
        write_whole(target, "second")
    assert caught.value.exit_code == 2
    target.unlink()
    with pytest.raises(ConfigError, match="exists"):
        be_late(target)
    assert target.read_bytes() == b"another was faster"
    assert names(tmp_path) == ["x"]


def test_overwriting_replaces_the_name_not_what_a_link_points_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    with pytest.raises(ConfigError, match="exists"):
        write_whole(tmp_path / "link", b"new")
    write_whole(tmp_path / "link", b"new", overwrite=True)
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert (tmp_path / "link").read_bytes() == b"new"


def test_without_hard_links_the_name_is_still_taken_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    write_whole(tmp_path / "x", b"first")
    with pytest.raises(ConfigError, match="exists"):
        be_late(tmp_path / "y")
    assert (tmp_path / "x").read_bytes() == b"first"
    assert (tmp_path / "y").read_bytes() == b"another was faster"
    assert names(tmp_path) == ["x", "y"]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("missing/x", "no such file or directory; make the folder first"),
        ("file/x", "not a directory"),
        ("folder", "is a directory"),
        ("folder/", "is a directory"),
        ("pipe", "device or a pipe"),
        ("n" * 300, "name too long"),
        ("nul\0", "NUL"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_place_that_cannot_be_written_is_named(place: str, why: str, overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = names(tmp_path)
    for attempt in (write_whole, lambda path, _, overwrite: check_writable(path, overwrite=overwrite)):
        with pytest.raises(ConfigError, match=why) as caught:
            attempt(f"{tmp_path}/{place}", b"x", overwrite=overwrite)
        assert "\n" not in str(caught.value)
        assert "\0" not in str(caught.value)
    assert names(tmp_path) == before


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, ResourceError),
        (errno.EDQUOT, ResourceError),
        (errno.EFBIG, ResourceError),
        (errno.EIO, ResourceError),
        (errno.EROFS, ConfigError),
        (errno.EACCES, ConfigError),
    ],
)
def test_system_errors_are_told_apart(number: int, kind: type[NoiseformError], tmp_path: Path) -> None:
    def fail() -> None:
        with whole_file(tmp_path / "x") as file:
            file.write(b"x")
            raise OSError(number, os.strerror(number))

    with pytest.raises(kind, match=os.strerror(number).lower()):
        fail()
    assert names(tmp_path) == []


def test_failure_of_a_library_is_a_lack_of_resources(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="encoder gave up"), whole_file(tmp_path / "x", failures=(ValueError,)):
        raise ValueError("encoder gave up")
    assert names(tmp_path) == []


def test_limit_on_file_size_is_felt_even_by_buffered_writes(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    write_whole(tmp_path / "x", b"old")
    for size in (0, 1, 100, 8191, 8192, 9999):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            with pytest.raises(ResourceError):
                write_whole(tmp_path / "x", bytes(10_000), overwrite=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (tmp_path / "x").read_bytes() == b"old"
        assert names(tmp_path) == ["x"]


def test_read_only_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(ConfigError, match="permission denied"):
            check_writable(tmp_path / "x")
    finally:
        tmp_path.chmod(0o755)


def test_check_leaves_nothing_behind(tmp_path: Path) -> None:
    check_writable(tmp_path / "x")
    assert names(tmp_path) == []
    write_whole(tmp_path / "x", b"old")
    with pytest.raises(ConfigError, match="exists"):
        check_writable(tmp_path / "x")
    check_writable(tmp_path / "x", overwrite=True)
    assert (tmp_path / "x").read_bytes() == b"old"


def publish(target: Path, data: bytes) -> None:
    with temporary_folder(target) as folder:
        (folder / "x").write_bytes(data)
        assert folder.name in names(target.parent)
        publish_folder(folder, target)


def test_a_folder_is_published_whole_or_gone(tmp_path: Path) -> None:
    target = tmp_path / "model"
    publish(target, b"whole")
    assert names(tmp_path) == ["model"]
    with pytest.raises(ConfigError, match="directory not empty; choose another name"):
        publish(target, b"late")
    assert names(target) == ["x"]
    with pytest.raises(KeyError), temporary_folder(target):
        raise KeyError
    assert names(tmp_path) == ["model"]
    with pytest.raises(ConfigError, match="make the folder first"), temporary_folder(tmp_path / "no" / "model"):
        pass
