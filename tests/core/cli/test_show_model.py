"""`noiseform show FOLDER`: what a trained model is, how it was trained, and what it is for."""

import json
from pathlib import Path

import pytest
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
    assert told["example"] == f'codec = {{ use = "kl-vae", weights = "{codec}" }}'
    assert "codec.latent_channels = 4" in whole
    assert (
        facts(shown(capsys, classifier))["example"] == f'guidance = {{ use = "classifier", weights = "{classifier}" }}'
    )


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
        ("./nothing", 4, "no model folder (manifest.json is missing)"),
        ("nothing", 2, "expected KIND/NAME, such as sampler/ddim, or the folder of a model"),
        ("", 2, "expected KIND/NAME"),
    ],
)
def test_what_is_neither_is_told(name, code, why, capsys):
    assert main(["show", name]) == code
    assert why in capsys.readouterr().err


def test_a_damaged_model_is_told_in_a_line(tiny_model, tmp_path, capsys):
    (tmp_path / "manifest.json").write_bytes((tiny_model / "manifest.json").read_bytes()[:200])
    assert main(["show", str(tmp_path)]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "manifest.json" in line
