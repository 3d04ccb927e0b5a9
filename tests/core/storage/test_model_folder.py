"""Model folders: whole at every moment of an export, and refused when anything of them was altered."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from noiseform.core.errors import CheckpointError, ConfigError, NumericError, PluginError
from noiseform.core.registration.weights_reference import resolve_weights
from noiseform.core.storage import model_folder
from noiseform.core.storage.model_folder import ModelFolder, load_model_folder, read_model_folder, write_model_folder
from noiseform.core.storage.model_parts import RequiredPart, check_parts

PARTS = (
    RequiredPart("network", "unet-1d", "noiseform", "0.1.0"),
    RequiredPart("sampler", "midpoint", "some-dist", "2.0"),
)


def pipeline(steps: int = 20) -> dict[str, object]:
    stage = {"name": "base", "steps": steps, "guidance": {"use": "cfg", "scale": 2.0}, "names": ["zero", "é"]}
    return {"modality": "audio", "media": {"seconds": 0.75}, "stages": [stage]}


def export(folder: Path, value: float, steps: int = 20, stages: tuple[str, ...] = ("base",)) -> ModelFolder:
    tensors = {"w": torch.full((3, 2), value), "n": torch.tensor(7)}
    return write_model_folder(folder, pipeline(steps), dict.fromkeys(stages, tensors), PARTS, {"steps": 100})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written = export(tmp_path / "deep" / "model", 1.0)
    model, weights = load_model_folder(tmp_path / "deep" / "model")
    assert model == written
    assert model.pipeline == pipeline() == tomllib.loads((model.folder / "pipeline.toml").read_text("utf-8"))
    assert model.parts == PARTS
    assert model.facts == {"steps": 100}
    assert torch.equal(weights["base"]["w"], torch.ones(3, 2))
    assert names(model.folder) == {"manifest.json", "pipeline.toml", f"base-{model.sha256('base')[:8]}.safetensors"}
    with pytest.raises(CheckpointError, match="no stage 'up'; it has base"):
        model.weights("up")


def test_equal_models_have_equal_bytes(tmp_path: Path) -> None:
    for place in ("one", "two"):
        export(tmp_path / place, 1.0)
    for name in names(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_new_export_takes_the_place_of_the_old_and_leaves_foreign_files(tmp_path: Path) -> None:
    first = export(tmp_path, 1.0, stages=("base", "up"))
    foreign = {"README.md", "card-0123abcd.safetensors", "base.safetensors", "notes"}
    for name in foreign:
        (tmp_path / name).write_text("mine")
    second = export(tmp_path, 2.0, steps=30)
    assert second.pipeline == pipeline(30)
    assert second.sha256("base") != first.sha256("base")
    assert names(tmp_path) == foreign | {"manifest.json", "pipeline.toml", second.stages["base"]}


def test_a_damaged_model_can_be_exported_over(tmp_path: Path) -> None:
    export(tmp_path, 1.0)
    (tmp_path / "manifest.json").write_text("{")
    assert export(tmp_path, 2.0).weights("base")["w"][0, 0] == 2


@pytest.mark.parametrize("steps", [20, 30])
def test_interrupted_at_any_write_it_is_the_old_or_the_new_model(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for allowed in range(4):
        folder, done = tmp_path / str(allowed), list[int]()
        export(folder, 1.0)
        with monkeypatch.context() as patch:
            for name in ("save_tensors", "write_whole", "_prune"):
                patch.setattr(model_folder, name, interrupting(getattr(model_folder, name), allowed, done))
            with pytest.raises(KeyboardInterrupt):
                export(folder, 2.0, steps)
        model, weights = load_model_folder(folder)
        value = weights["base"]["w"][0, 0].item()
        assert (value, model.pipeline) in ((1.0, pipeline(20)), (2.0, pipeline(steps)))
        assert value == (2.0 if allowed >= 2 else 1.0)
        export(folder, 3.0, 40)
        assert load_model_folder(folder)[0].pipeline == pipeline(40)
        assert len(names(folder)) == 3


def interrupting(call: Callable[..., object], allowed: int, done: list[int]) -> Callable[..., object]:
    def wrapped(*args: object, **options: object) -> object:
        if len(done) == allowed:
            raise KeyboardInterrupt
        done.append(1)
        return call(*args, **options)

    return wrapped


def test_a_reader_survives_a_new_export_under_its_hands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(tmp_path, 1.0)
    original, exported = model_folder.load_tensors, []

    def slow(*args: object, **options: object) -> dict[str, torch.Tensor]:
        if not exported:
            exported.append(export(tmp_path, 2.0, 30))
        return original(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(model_folder, "load_tensors", slow)
    model, weights = load_model_folder(tmp_path)
    assert model.pipeline == pipeline(30)
    assert weights["base"]["w"][0, 0] == 2


def altered(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def renamed_weights(name: str) -> Callable[[dict[str, object]], None]:
    def change(manifest: dict[str, object]) -> None:
        entry = {"sha256": "0" * 64, "size": 5}
        manifest["files"][name] = entry  # type: ignore[index]
        manifest["stages"]["base"] = name  # type: ignore[index]

    return change


LEAVING = [
    "../w.safetensors",
    "/etc/passwd",
    "a/b",
    "..",
    ".",
    "",
    "-x",
    "a\0b",
    "x" * 300,
    "\uff57",
    ".hidden",
    "a\\..\\b",
]


@pytest.mark.parametrize("name", LEAVING)
def test_names_that_leave_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    export(tmp_path, 1.0)
    altered(tmp_path, renamed_weights(name))
    with pytest.raises(CheckpointError, match="no plain file name"):
        read_model_folder(tmp_path)


def test_links_that_leave_the_folder_are_refused(tmp_path: Path) -> None:
    name = export(tmp_path / "model", 1.0).stages["base"]
    (tmp_path / "model" / name).rename(tmp_path / "outside")
    (tmp_path / "model" / name).symlink_to(tmp_path / "outside")
    with pytest.raises(CheckpointError, match="leads out of the folder"):
        read_model_folder(tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    (tmp_path / "model" / name).symlink_to(name)
    with pytest.raises(CheckpointError):
        read_model_folder(tmp_path / "model")


BROKEN: dict[str, tuple[Callable[[dict[str, object]], object], str]] = {
    "newer format": (lambda manifest: manifest.update(format=2), "update noiseform"),
    "no format": (lambda manifest: manifest.pop("format"), "no format version"),
    "format true": (lambda manifest: manifest.update(format=True), "no format version"),
    "no pipeline": (lambda manifest: manifest.pop("pipeline"), "its pipeline is not"),
    "another pipeline": (lambda manifest: manifest.update(pipeline="a = 1"), "its pipeline is not"),
    "facts a list": (lambda manifest: manifest.update(facts=[]), "no table 'facts'"),
    "no files": (lambda manifest: manifest.pop("files"), "no table of files"),
    "no entries": (lambda manifest: manifest.update(files={}), "entries of its files"),
    "stage of no file": (lambda manifest: manifest.update(stages={"base": "x"}), "entries of its files"),
    "stage no string": (lambda manifest: manifest.update(stages={"base": []}), "entries of its files"),
    "version a number": (lambda manifest: manifest.update(noiseform=3), "its version"),
    "parts no list": (lambda manifest: manifest.update(parts={}), "list of parts"),
    "part no table": (lambda manifest: manifest.update(parts=[1]), "a part lacks"),
    "part of numbers": (lambda m: m.update(parts=[dict.fromkeys(m["parts"][0], 1)]), "a part lacks"),  # type: ignore[index]
    "bad sha256": (lambda m: m["files"]["pipeline.toml"].update(sha256="x"), "lacks sha256"),  # type: ignore[index]
    "negative size": (lambda m: m["files"]["pipeline.toml"].update(size=-1), "lacks sha256"),  # type: ignore[index]
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_manifests_are_refused(case: str, tmp_path: Path) -> None:
    change, message = BROKEN[case]
    export(tmp_path, 1.0)
    altered(tmp_path, lambda manifest: change(manifest) and None)
    with pytest.raises(CheckpointError, match=message):
        read_model_folder(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": 1, "format": 1}', "\udcff", "[" * 100_000, '{"format": NaN}']
)
def test_a_manifest_that_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    export(tmp_path, 1.0)
    (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        read_model_folder(tmp_path)


def test_altered_and_missing_files_are_refused(tmp_path: Path) -> None:
    name = export(tmp_path / "good", 1.0).stages["base"]
    export(tmp_path / "good", 1.0)
    for number, (file, content, message) in enumerate(
        [
            ("pipeline.toml", b"modality = 'image'", "altered"),
            ("pipeline.toml", None, "missing"),
            (name, b"short", "bytes instead of"),
            (name, None, "missing"),
            ("manifest.json", None, "no model folder"),
        ]
    ):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "good", folder)
        (folder / file).unlink() if content is None else (folder / file).write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            load_model_folder(folder)
    path = tmp_path / "good" / name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="sha256"):
        read_model_folder(tmp_path / "good").weights("base")


def test_what_must_not_be_exported_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    fine = {"base": {"w": torch.ones(1)}}
    with pytest.raises(NumericError, match="stage 'base': w holds NaN"):
        write_model_folder(tmp_path / "a", pipeline(), {"base": {"w": torch.tensor([float("nan")])}}, (), {})
    with pytest.raises(ConfigError, match="name of a stage"):
        write_model_folder(tmp_path / "a", pipeline(), {"../x": {}}, (), {})
    for bad in (None, {1, 2}, Path("x"), torch.ones(1)):
        with pytest.raises(ConfigError, match="TOML"):
            write_model_folder(tmp_path / "a", {"value": bad}, fine, (), {})
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be made"):
        write_model_folder(tmp_path / "file", pipeline(), fine, (), {})


def test_parts_are_compared_with_what_is_installed() -> None:
    assert check_parts(PARTS, lambda part: part.version) == []
    (warning,) = check_parts(PARTS, lambda part: "2.0")
    assert warning == "the model was made with noiseform 0.1.0, installed is 2.0; results may differ"
    with pytest.raises(PluginError, match=r"sampler 'midpoint'.*install some-dist==2\.0"):
        check_parts(PARTS, lambda part: part.version if part.distribution == "noiseform" else None)


def test_references_to_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a:b" / "weights").mkdir(parents=True)
    assert resolve_weights(str(tmp_path / "a:b")) == tmp_path / "a:b"
    assert resolve_weights("weights", base=tmp_path / "a:b") == tmp_path / "a:b" / "weights"
    monkeypatch.chdir(tmp_path)
    assert resolve_weights("./a:b").resolve() == (tmp_path / "a:b").resolve()
    for reference in ("absent", "", "nul\0", "x" * 5000):
        with pytest.raises(ConfigError):
            resolve_weights(reference)


@pytest.mark.parametrize("reference", ["hf://owner/name", "https://example.org/model", "file:///etc"])
def test_nothing_is_downloaded(reference: str) -> None:
    with pytest.raises(ConfigError, match="downloads nothing"):
        resolve_weights(reference)


def test_references_to_package_resources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "resource_package_for_tests"
    (package / "inner" / "weights").mkdir(parents=True)
    for place in (package, package / "inner"):
        (place / "__init__.py").touch()
    (tmp_path / "outside").mkdir()
    os.symlink(tmp_path / "outside", package / "link")
    (tmp_path / "raising_package_for_tests.py").write_text("raise OSError('broken')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert resolve_weights("resource_package_for_tests:inner/weights") == package / "inner" / "weights"
    assert resolve_weights("resource_package_for_tests.inner:weights") == package / "inner" / "weights"
    with pytest.raises(ConfigError, match="no folder 'absent'"):
        resolve_weights("resource_package_for_tests:absent")
    with pytest.raises(ConfigError, match="leads out"):
        resolve_weights("resource_package_for_tests:link")
    with pytest.raises(ConfigError):
        resolve_weights("resource_package_for_tests:../outside")
    for name in ("absent_package_for_tests", "raising_package_for_tests"):
        with pytest.raises(PluginError, match="cannot be imported"):
            resolve_weights(f"{name}:weights")


def test_the_own_name_stands_for_this_package() -> None:
    with pytest.raises(ConfigError, match="no folder 'absent'"):
        resolve_weights("noiseform.core:absent")
