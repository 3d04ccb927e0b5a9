"""``noiseform generate`` and ``noiseform replay``: files, names and records, and what is refused before any work."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from noiseform.core.cli.main import main
from noiseform.modalities.audio.reading import read, read_record


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the test's own folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def generate(tiny_model: Path):
    """Give the command on the tiny model."""

    def run(*options: str) -> int:
        return main(["generate", "audio", str(tiny_model), *options])

    return run


def test_same_seed_same_bytes(generate, tmp_path):
    assert generate("--label", "low", "-o", "one.wav") == 0
    assert generate("--label", "low", "-n", "5", "-o", "five.wav") == 0
    assert generate("--label", "low", "-n", "2", "-o", "watched.wav", "--previews", "steps", "--sheet", "all.png") == 0
    one = Path("one.wav").read_bytes()
    assert one == Path("five-0000.wav").read_bytes() == Path("watched-0000.wav").read_bytes()
    assert Path("five-0001.wav").read_bytes() == Path("watched-0001.wav").read_bytes() != one
    assert sorted(path.name for path in tmp_path.glob("*.wav")) == [
        *(f"five-000{number}.wav" for number in range(5)),
        "one.wav",
        "watched-0000.wav",
        "watched-0001.wav",
    ]
    pictures = sorted(path.name for path in Path("steps").iterdir())
    assert pictures == [f"item-000{item}-step-00{step}.png" for item in range(2) for step in range(1, 5)]
    assert Path("all.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_every_format_has_the_record(generate, ending):
    assert generate("--label", "low", "-o", f"x.{ending}") == 0
    record = read_record(f"x.{ending}")
    assert (record["seed"], record["item"], record["conditions"]) == (0, 0, {"labels": ["low"]})
    assert generate("--label", "low", "--no-record", "-o", f"plain.{ending}") == 0
    assert read_record(f"plain.{ending}") is None
    assert (read(f"x.{ending}").samples == read(f"plain.{ending}").samples).all()


def test_names_without_output(generate, tmp_path):
    assert generate("--label", "low", "--seed", "7") == 0
    assert generate("--seed", "7", "-n", "2") == 0
    Path("folder").mkdir()
    assert generate("--label", "high", "-o", "folder") == 0
    assert generate("--label", "low", "-o", "folder/") == 0
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.wav"))
    assert found == [
        "folder/three-tones-high-0.wav",
        "folder/three-tones-low-0.wav",
        "three-tones-7-0000.wav",
        "three-tones-7-0001.wav",
        "three-tones-low-7.wav",
    ]


def test_strange_labels_make_plain_names(generate, tmp_path):
    assert generate("--label", "../../x\n\x1b[31m", "-o", "folder/") == 2
    assert generate("--label", "../../x\n\x1b[31m") == 2
    assert not list(tmp_path.rglob("*.wav"))


def test_existing_file_is_refused_before_anything_is_made(generate, capsys, tmp_path, monkeypatch):
    Path("x-0001.wav").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr("noiseform.core.verbs.verbs.Verbs.load", None)  # not even loaded
        assert generate("-n", "3", "-o", "x.wav") == 2
    assert "x-0001.wav: it exists; choose another name, or replace it with --overwrite" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x-0001.wav"]
    assert generate("-n", "3", "-o", "x.wav", "--overwrite") == 0
    assert read("x-0001.wav").record["item"] == 1


def test_overwriting_replaces_a_link_and_not_its_target(generate):
    Path("mine.txt").write_text("mine")
    Path("x.wav").symlink_to("mine.txt")
    assert generate("-o", "x.wav") == 2
    assert generate("-o", "x.wav", "--overwrite") == 0
    assert Path("mine.txt").read_text() == "mine"
    assert not Path("x.wav").is_symlink()


def test_places_that_cannot_be_written(generate, capsys, tmp_path):
    Path("file").write_text("x")
    for output, why in (
        ("no/such/folder/x.wav", "no such file or directory; make the folder first"),
        ("file/x.wav", "not a directory; name a folder, not a file"),
        ("x.wav\n/y.wav", "make the folder first"),
        ("a" * 300 + ".wav", "file name too long; choose a shorter name"),
        ("/proc/x.wav", "cannot write: /proc/x.wav"),
        ("x.txt", "unknown audio format; end the name in .wav, .flac, .ogg, .mp3"),
        ("x", "unknown audio format"),
        ("x.mp3", "1000 Hz, mp3 holds 8000"),
    ):
        assert generate("-o", output) == 2, output
        said = capsys.readouterr().err
        assert why.lower() in said.lower(), output
        assert len(said.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_picture_may_not_take_the_output(generate, capsys):
    assert generate("-o", "x.wav", "--sheet", "x.jpg") == 2
    assert "--sheet x.jpg: the picture is a PNG file; end the name in .png" in capsys.readouterr().err
    assert generate("-o", "x.wav", "--sheet", "x.wav") == 2
    assert "--sheet x.wav is also the output" in capsys.readouterr().err
    assert generate("-o", "x.wav", "--sheet", "no/x.png") == 2
    capsys.readouterr()
    assert generate("--label", "low", "-n", "2", "--steps", "1", "--sheet", "-o", "two.wav") == 0  # under its name
    assert Path("two-sheet.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(Path().glob("two-*.wav"))) == 2
    assert generate("-o", "x.wav", "--previews", "/proc/x") == 2
    assert not Path("x.wav").exists()


def test_empty_prompt_is_none_and_another_is_refused(generate, capsys):
    assert generate("--label", "low", "-o", "plain.wav") == 0
    assert generate("--label", "low", "--prompt", "", "-o", "empty.wav") == 0
    assert Path("plain.wav").read_bytes() == Path("empty.wav").read_bytes()
    assert generate("--prompt", "a low tone", "-o", "x.wav") == 2
    assert "prompt: this model takes no prompt" in capsys.readouterr().err


def test_file_in_the_place_of_a_model_is_told(capsys):
    Path("recipe.toml").write_text("")
    assert main(["generate", "audio", "./recipe.toml", "-o", "x.wav"]) == 2
    assert "recipe.toml: is a file, not a model folder; a recipe is trained first" in capsys.readouterr().err


def test_json_has_one_object_for_each_item(generate, capsys):
    assert generate("--label", "low", "-n", "3", "--seed", "9", "-o", "x.wav", "--json") == 0
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [list(line) for line in lines] == [["path", "seed", "item", "nfe", "seconds", "stages", "sha256"]] * 3
    for number, line in enumerate(lines):
        data = Path(line["path"]).read_bytes()
        assert (line["path"], line["seed"], line["item"], line["nfe"]) == (f"x-000{number}.wav", 9, number, 8)
        assert line["sha256"] == hashlib.sha256(data).hexdigest()
        assert line["seconds"] >= 0
    assert generate("-o", "y.wav", "--json", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_silent_and_clipped_items_are_told(tiny_model, trained_as, capsys):
    loud, quiet = (str(trained_as(tiny_model, f"stages.base.codec.scale={scale}")) for scale in (0.01, 1e6))
    assert main(["generate", "audio", loud, "-o", "loud.wav"]) == 0
    assert "warning: item 0 is clipped: " in capsys.readouterr().err
    for _ in range(2):  # every time
        assert main(["generate", "audio", quiet, "-o", "quiet.wav", "--overwrite"]) == 0
        assert "warning: item 0 is silent: the loudest sample is " in capsys.readouterr().err
    assert main(["generate", "audio", loud, "-o", "strict.wav", "--strict"]) == 7
    assert "error: generate: item 0: clipped: " in (said := capsys.readouterr().err)
    assert "try another seed or less guidance" in said
    assert not Path("strict.wav").exists()


def test_closed_output_is_quiet(tiny_model):
    command = f"{sys.executable} -m noiseform.core.cli.main generate audio {tiny_model} -n 40 -o x.wav"
    for ending in ("| head -n 1", ">&-", "> /dev/full"):
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command} --overwrite {ending}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert "Exception" not in done.stderr
        assert done.returncode == {"| head -n 1": 141, ">&-": 0, "> /dev/full": 6}[ending], ending
        assert read("x-0000.wav").record["item"] == 0


def test_replay_says_the_same(generate, tiny_model, capsys):
    for name, options in {
        "x.wav": ("--label", "low"),
        "y.flac": ("--label", "low", "--label", "low", "--steps", "6", "--sampler", "ddpm"),
        "z.ogg": ("--seed", str(2**64 - 1), "--guidance", "3.5", "--grid", "karras", "--dtype", "bfloat16"),
    }.items():
        code = generate("-o", name, *options)
        if options.count("--label") == 2:
            assert code == 2  # one label twice
            assert generate("-o", name, *options[2:]) == 0
        capsys.readouterr()
        assert main(["replay", name, "--pipeline", str(tiny_model)]) == 0
        assert f"{name}: the same, byte by byte" in capsys.readouterr().out
    assert generate("-n", "3", "-o", "many.wav", "--quiet") == 0
    assert main(["replay", "many-0002.wav", "--pipeline", str(tiny_model), "-o", "again.wav"]) == 0
    assert Path("again.wav").read_bytes() == Path("many-0002.wav").read_bytes()
    assert main(["replay", "many-0002.wav", "--pipeline", str(tiny_model), "-o", "again.wav"]) == 2


def test_replay_with_the_model_under_another_name(generate, tiny_model, capsys):
    shutil.copytree(tiny_model, "renamed")
    assert generate("--label", "low", "-o", "x.wav") == 0
    assert main(["replay", "x.wav", "--pipeline", "./renamed"]) == 0
    assert main(["replay", "x.wav"]) == 2
    assert "unknown pipeline 'three-tones'" in (said := capsys.readouterr().err)
    assert "say where the model is by --pipeline" in said


def test_replay_of_another_model_is_told(generate, tiny_model, tones, tiny_recipe, capsys):
    assert generate("--label", "low", "-o", "x.wav") == 0
    train = ["train", str(tiny_recipe), "--data", str(tones), "-o", "other", "--quiet"]
    assert main([*train, "--set", "training.steps=3"]) == 0
    assert main(["replay", "x.wav", "--pipeline", "./other"]) == 4
    assert "pipeline ./other has other weights than the file was made with" in capsys.readouterr().err


def test_replay_of_an_altered_file_is_told(generate, tiny_model, capsys):
    assert generate("--label", "low", "-o", "x.wav") == 0
    data = bytearray(Path("x.wav").read_bytes())
    data[60] ^= 64
    Path("altered.wav").write_bytes(data)
    assert main(["replay", "altered.wav", "--pipeline", str(tiny_model)]) == 7
    said = capsys.readouterr().err
    assert "altered.wav: what was made again differs; made by noiseform" in said
    assert "outside" not in said


def test_replay_of_what_has_no_record(generate, tiny_model, capsys):
    assert generate("--no-record", "-o", "plain.wav") == 0
    Path("text.wav").write_text("hello")
    Path("empty.wav").write_bytes(b"")
    Path("x.txt").write_text("hello")
    Path("folder.wav").mkdir()
    for name, code, message in (
        ("plain.wav", 4, "holds no record of how it was made"),
        ("text.wav", 3, "no sound that is known by its content"),
        ("empty.wav", 3, "empty"),
        ("x.txt", 2, "no modality has such files; known endings: .wav, .flac"),
        ("folder.wav", 2, "it is a folder"),
        ("none.wav", 2, "there is no such file"),
    ):
        assert main(["replay", name, "--pipeline", str(tiny_model)]) == code, name
        said = capsys.readouterr().err
        assert message in said, name
        assert len(said.splitlines()) == 1


RECORDS = {
    "not ours": ({"tool": "x"}, 4, "is not a record of noiseform's"),
    "empty": ({"noiseform": "1"}, 2, "pipeline is missing"),
    "seed": ({"seed": -1}, 2, "seed: expected greater than or equal to 0"),
    "item": ({"item": "x"}, 2, "item"),
    "config": ({"config": {"modality": "audio"}}, 2, "stages is missing"),
    "modality": ({"config": {"modality": "video"}}, 2, "config"),
    "dtype": ({"dtype": "float1"}, 2, "unknown dtype 'float1'"),
    "labels": ({"conditions": {"labels": ["x"]}}, 2, "unknown label 'x'"),
    "no texts": ({"conditions": {"labels": [3]}}, 2, "unknown label 3"),
    "wishes": ({"conditions": {"colour": "red"}}, 2, "this model takes no colour"),
    "weights": ({"weights": {"base": "0" * 64}}, 4, "other weights"),
    "pipeline": ({"pipeline": "x" * 300}, 2, "pipeline"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_replay_of_a_wrong_record_is_one_line(tiny_model, capsys, name):
    from noiseform import audio

    (clip,) = audio.generate(str(tiny_model), label="low")
    change, code, message = RECORDS[name]
    table = change if name in ("not ours", "empty") else {**clip.record, **change}
    type(clip)(clip.samples, clip.sample_rate, table).save("x.wav")
    assert main(["replay", "x.wav", "--pipeline", str(tiny_model)]) == code
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_no_path_of_this_machine_in_a_file(generate, tiny_model, tmp_path):
    assert generate("--label", "low", "-o", "x.wav") == 0
    data = Path("x.wav").read_bytes()
    for secret in (str(tiny_model.parent), str(tmp_path), str(Path.home()), os.uname().nodename):
        assert secret.encode() not in data


def test_one_file_that_could_not_be_written_is_told_at_once(generate, capsys):
    assert generate("-n", "20000", "-o", "no/x.wav") == 2
    assert "no/x-0000.wav" in capsys.readouterr().err


def test_help_and_examples(capsys):
    assert main(["generate", "--help"]) == 0
    said = capsys.readouterr().out
    for option in ("--label", "--seed", "--previews", "--json", "--batch-size", "--no-record", "--strict"):
        assert option in said


QUICK = (
    "from noiseform import hookimpl\n@hookimpl\n"
    "def noiseform_samplers(): return {'quick': 'noiseform.plugins.samplers.euler:Euler'}\n"
)


def test_replay_of_a_file_whose_plugin_is_missing_names_it(generate, tiny_model, site, capsys, monkeypatch):
    site.add("quick-kit", {"quick_kit": QUICK}, version="2.1", metadata="Name: quick-kit\nVersion: 2.1\n")
    assert generate("--label", "low", "--sampler", "quick", "-o", "x.wav") == 0
    command = ["replay", "x.wav", "--pipeline", str(tiny_model)]
    assert main(command) == 0
    capsys.readouterr()
    monkeypatch.setenv("NOISEFORM_PLUGINS", "0")
    site.forget()
    assert main(command) == 5
    said = capsys.readouterr().err
    assert said == (
        "error: replay: x.wav: it was made by three-tones: it needs sampler 'quick', which no installed plugin has; "
        "plugin quick-kit (quick-kit 2.1) is disabled: by the environment variable NOISEFORM_PLUGINS; "
        "see noiseform plugins doctor\n"
    )
    monkeypatch.delenv("NOISEFORM_PLUGINS")
    shutil.rmtree(site.folder / "quick_kit-2.1.dist-info")
    site.forget()
    for options in ([], ["--pipeline", "./elsewhere"]):
        assert main([*command[:2], *(options or command[2:])]) == 5
        said = capsys.readouterr().err
        assert said == (
            "error: replay: x.wav: it was made by three-tones: it needs sampler 'quick', which no installed plugin "
            "has; install quick-kit==2.1 if you trust it\n"
        )


def test_replay_that_differs_names_the_plugins_that_took_part(generate, tiny_model, site, capsys):
    impl = "from noiseform.plugins.samplers.euler import Euler\nclass Quick(Euler):\n    pass\n"
    source = QUICK.replace("noiseform.plugins.samplers.euler:Euler", "quick_impl:Quick")
    site.add("quick-kit", {"quick_kit": source, "quick_impl": impl}, version="2.1")
    assert generate("--label", "low", "--sampler", "quick", "-o", "x.wav") == 0
    changed = (
        "    def step(self, x, *rest):\n        x, state = super().step(x, *rest)\n        return 0.5 * x, state\n"
    )
    (site.folder / "quick_impl.py").write_text(impl + changed)
    del sys.modules["quick_impl"]
    info = site.folder / "quick_kit-2.1.dist-info"
    (info / "direct_url.json").write_text('{"url": "file:///home/kit", "dir_info": {"editable": true}}')
    for version in ("2.1", "2.2"):
        (info / "METADATA").write_text(f"Name: quick-kit\nVersion: {version}\nRequires-Dist: noiseform>=0.1\n")
        site.forget()
        capsys.readouterr()
        assert main(["replay", "x.wav", "--pipeline", str(tiny_model)]) == 7
        told = f"; parts from outside took part: quick-kit 2.1 then, {version} now (editable, /home/kit)\n"
        assert capsys.readouterr().err.endswith(told)
