"""`noiseform show FOLDER`: what a trained model is, how it was trained, and what it is for."""

import hashlib
import json
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest
import tomli_w
from noiseform import ConfigError, audio
from noiseform.core.cli.main import main
from noiseform.plugins import spoken_digits


def shown(capsys, *arguments):
    assert main(["show", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def facts(told):
    """Return the facts above the tables."""
    return dict(line.split(maxsplit=1) for line in told.partition("\n\n")[0].splitlines())


def trained_by(recipe: str, data: Path, folder: Path) -> Path:
    file = folder.with_suffix(".toml")
    file.write_text(recipe + "[training]\nsteps = 2\nbatch_size = 4\n")
    assert main(["train", str(file), "--data", str(data), "-o", str(folder), "--quiet"]) == 0
    return folder


def test_a_model_is_told_with_its_training(tiny_model, capsys):
    told = facts(whole := shown(capsys, tiny_model))
    manifest = json.loads((tiny_model / "manifest.json").read_text())
    assert told["model"] == str(tiny_model)
    assert told["trained"] == f"{manifest['facts']['step']} of {manifest['facts']['training']['steps']} steps"
    assert told["loss"] == f"{manifest['facts']['loss']:.4g}"
    assert told["weights"].startswith(manifest["stages"]["base"])
    assert "network/unet-1d" in told["parts"]
    assert told["example"] == f"noiseform generate audio {tiny_model}"
    assert "base   network      unet-1d" in whole
    assert 'stages.base.network.use = "unet-1d"' in whole


def test_json_has_all_of_it(tiny_model, capsys):
    told = json.loads(shown(capsys, tiny_model, "--json"))
    manifest = json.loads((tiny_model / "manifest.json").read_text())
    assert (told["trained"], told["parts"]) == (manifest["facts"], manifest["parts"])
    assert told["files"] == manifest["files"]
    assert told["settings"]["stages.base.network.use"] == "unet-1d"


def test_what_a_codec_and_a_classifier_are_for(tiny_codec, tiny_classifier, tones, tmp_path, capsys):
    codec, classifier = (
        trained_by(recipe, tones, tmp_path / name) for recipe, name in ((tiny_codec, "vae"), (tiny_classifier, "judge"))
    )
    capsys.readouterr()
    told = facts(whole := shown(capsys, codec))
    assert told["example"] == f'in a recipe: codec = {{ use = "kl-vae", weights = "{codec}" }}'
    assert "codec.latent_channels = 4" in whole
    line = f'in a pipeline: guidance = {{ use = "classifier", weights = "{classifier}" }}'
    assert facts(shown(capsys, classifier))["example"] == line
    for folder, line in ((codec, "in a recipe: codec = "), (classifier, "in a pipeline: guidance = ")):
        with pytest.raises(ConfigError, match=f"which makes nothing by itself; name it {line}"):
            audio.generate(folder)


def test_a_name_is_a_part_before_it_is_a_folder(capsys, monkeypatch, tmp_path):
    """A folder beside it that is called alike is named with a dot, as for `generate`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sampler" / "ddim").mkdir(parents=True)
    assert facts(shown(capsys, "sampler/ddim"))["part"] == "sampler/ddim"
    assert main(["show", "./sampler/ddim"]) == 4
    assert "no model folder (manifest.json is missing)" in capsys.readouterr().err


def test_a_relative_folder_is_shown_as_generate_takes_it(capsys, monkeypatch):
    folder = Path(spoken_digits.__file__).parent / "weights"
    monkeypatch.chdir(folder.parent)
    assert facts(shown(capsys, "weights"))["example"] == "noiseform generate audio ./weights"


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [
        ("runs/typo", 2, "neither KIND/NAME, for there is no such kind of part, nor a folder"),
        ("samplr/ddim", 2, "did you mean 'sampler'?"),
        ("./nothing", 4, "no model folder (manifest.json is missing)"),
        ("nothing", 2, "expected KIND/NAME, such as sampler/ddim, or the folder of a model"),
        ("", 2, "expected KIND/NAME"),
    ],
)
def test_what_is_neither_is_told(name, code, why, capsys):
    assert main(["show", name]) == code
    assert why in capsys.readouterr().err


@pytest.fixture
def foreign(tiny_model, tmp_path):
    """Give what writes a copy of a model into a folder of that name, with other words in its manifest."""

    def written(change, name="foreign"):
        folder = tmp_path / name
        shutil.copytree(tiny_model, folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        pipeline = tomllib.loads(manifest["pipeline"])
        change(manifest, pipeline)
        manifest["pipeline"] = text = tomli_w.dumps(pipeline)
        (folder / "pipeline.toml").write_text(text)
        entry = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "size": len(text.encode())}
        manifest["files"]["pipeline.toml"] = entry
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return written


def test_a_model_whose_plugin_is_missing_says_what_it_needs(foreign, capsys):
    def change(manifest, pipeline):
        pipeline["stages"][0]["conditioners"][0]["use"] = "acme"
        manifest["parts"].append({"kind": "conditioner", "name": "acme", "distribution": "nf-acme", "version": "1.2"})

    folder = foreign(change)
    told = facts(shown(capsys, folder))
    assert "nf-acme 1.2: conditioner/acme" in told["parts"]
    assert told["example"] == f"noiseform generate audio {folder}"
    assert json.loads(shown(capsys, folder, "--json"))["parts"][-1]["distribution"] == "nf-acme"


def test_what_a_stranger_wrote_disturbs_no_terminal(foreign, capsys):
    def change(manifest, pipeline):
        pipeline["summary"] = "\x1b[31mred"
        pipeline["stages"][0]["network"]["more"] = "\u202e\x9b31m"

    told = shown(capsys, foreign(change))
    assert "red" in told
    assert not [c for c in told if not c.isprintable() and c != "\n"]


@pytest.mark.parametrize("fact", [True, "many", None, {"a": 1}, 10**400, [1]])
def test_facts_that_are_no_numbers_are_left_out(foreign, capsys, fact):
    def change(manifest, pipeline):
        manifest["facts"] |= {"loss": fact, "items": fact, "step": fact, "training": fact}

    told = facts(shown(capsys, foreign(change)))
    assert not {"loss", "items", "trained"} & told.keys()


@pytest.mark.parametrize("name", ["-d", "my model", "it's", 'a "b"', "x" * 230])
def test_what_is_to_be_copied_can_be_copied(foreign, capsys, monkeypatch, name):
    folder = foreign(lambda manifest, pipeline: None, name)
    monkeypatch.chdir(folder.parent)
    example = facts(shown(capsys, f"./{name}"))["example"]
    assert shlex.split(example) == ["noiseform", "generate", "audio", f"./{name}"]


def test_a_damaged_model_is_told_in_a_line(tiny_model, tmp_path, capsys):
    (tmp_path / "manifest.json").write_bytes((tiny_model / "manifest.json").read_bytes()[:200])
    assert main(["show", str(tmp_path)]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "manifest.json" in line
