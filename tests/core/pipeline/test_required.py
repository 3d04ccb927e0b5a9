"""What a model and a file need of the installed plugins, and what is said where it is not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from noiseform import image
from noiseform.core.cli.main import main
from noiseform.core.errors import PluginError
from noiseform.core.pipeline.loading import load_pipeline
from noiseform.core.verbs.verbs import Verbs
from noiseform.modalities.audio.reading import read_record

SEISMIC = """
from pathlib import Path
from noiseform import hookimpl
from noiseform.modalities.audio.modality import AudioModality

class Seismic(AudioModality):
    name, endings = "seismic", (".seis",)

    def check_output(self, path, spec):
        pass

    def write(self, item, path, *, record, overwrite):
        sound = Path(path).with_suffix(".wav")
        super().write(item, sound, record=record, overwrite=True)
        sound.rename(path)

@hookimpl
def noiseform_modalities():
    return {"seismic": Seismic}
"""
NEEDED = "it needs modality 'seismic', which no installed plugin has; install seis-kit==0.1.0 if you trust it\n"


@pytest.fixture
def seismic(site, tones, tiny_recipe, tmp_path, monkeypatch, capsys) -> Path:
    """Give a model of a plugin's modality, with a file that it made; the plugin is gone since."""
    monkeypatch.chdir(tmp_path)
    metadata = "Name: seis-kit\nVersion: 0.1.0\nRequires-Dist: noiseform>=0.1\n"
    site.add("seis-kit", {"seis_kit": SEISMIC}, version="0.1.0", metadata=metadata)
    settings = ["--set", "modality=seismic", "--set", "training.steps=2"]
    assert main(["train", str(tiny_recipe), "--data", str(tones), "-o", "runs/seis", "--quiet", *settings]) == 0
    assert main(["generate", "seismic", "runs/seis", "--steps", "2", "-o", "s.seis"]) == 0
    shutil.rmtree(site.folder / "seis_kit-0.1.0.dist-info")
    site.forget()
    capsys.readouterr()
    return tmp_path / "runs" / "seis"


@pytest.mark.filterwarnings("ignore")
def test_the_plugin_of_a_missing_modality_is_named(seismic, capsys):
    shutil.copy("s.seis", "s.wav")
    assert "modality/seis-kit/seismic==0.1.0" in read_record("s.wav")["parts"]
    for command, what in (
        (["generate", "seismic", "./runs/seis"], "model runs/seis"),
        (["generate", "seis-kit/seismic", "./runs/seis"], "model runs/seis"),
        (["edit", "seismic", "s.seis", "--strength", "0.5", "--pipeline", "./runs/seis"], "model runs/seis"),
        (["upscale", "seismic", "s.seis", "--pipeline", "./runs/seis"], "model runs/seis"),
        (["replay", "s.seis", "--pipeline", "runs/seis"], "model runs/seis"),
        (["evaluate", "./runs/seis", "--data", str(seismic)], "model"),
        (["replay", "s.wav"], "replay: s.wav: it was made by seis"),  # which can be read, and the record tells
    ):
        assert main(command) == 5, command
        assert capsys.readouterr().err == f"error: {what}: {NEEDED}"
    with pytest.raises(PluginError, match=r"install seis-kit==0\.1\.0"):
        Verbs("seismic").load(str(seismic))
    assert main(["replay", "s.seis"]) == 2
    assert "known endings: .wav" in (said := capsys.readouterr().err)
    assert said.endswith("name the model by --pipeline, which says what to install\n")
    assert main(["generate", "seismc", "./runs/none"]) == 2
    assert "unknown modality 'seismc'; known: audio, image, video" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_a_model_from_before_modalities_were_written_down(seismic, capsys):
    manifest = json.loads((seismic / "manifest.json").read_text())
    manifest["parts"] = [part for part in manifest["parts"] if part["kind"] != "modality"]
    (seismic / "manifest.json").write_text(json.dumps(manifest))
    assert main(["generate", "seismic", "./runs/seis"]) == 5
    told = "which no installed plugin has; install the plugin that has it, or name its module in registry.toml\n"
    assert capsys.readouterr().err == f"error: model runs/seis: it needs modality 'seismic', {told}"


def test_a_modality_of_noiseform_is_no_requirement(tiny_model, tiny_image_model):
    assert "modality" not in (tiny_model / "manifest.json").read_text().partition('"parts"')[2]
    (picture,) = image.generate(str(tiny_image_model), label="rows", steps=1)
    assert not any(part.startswith("modality") for part in picture.record["parts"])


SAMPLERS = """
from noiseform import hookimpl

@hookimpl
def noiseform_samplers():
    return {"fast": "noiseform.plugins.samplers.euler:Euler", "swift": "noiseform.plugins.samplers.euler:Euler"}
"""


@pytest.mark.parametrize(
    ("made_with", "cure"),
    [("2.1", "its author says what became of it"), ("2.0", "install quick-kit==2.0 if you trust it")],
)
def test_a_part_that_was_renamed_is_told_as_such(tiny_model, tmp_path, site, made_with, cure):
    site.add("quick-kit", {"quick_kit": SAMPLERS}, version="2.1", metadata="Name: quick-kit\nVersion: 2.1\n")
    folder = tmp_path / "copy"
    shutil.copytree(tiny_model, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    quick, gone = (
        {"kind": "sampler", "name": name, "distribution": f"{name}-kit", "version": made_with}
        for name in ("quick", "gone")
    )
    manifest["parts"].append(quick)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    has = rf"quick-kit 2\.1 is installed but has no such part \(it has fast, swift\); {cure}"
    with pytest.raises(PluginError, match=rf"it needs sampler 'quick', which no installed plugin has; {has}$"):
        load_pipeline(str(folder), "audio")
    manifest["parts"].append(gone)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(PluginError, match=rf"{has}; install gone-kit=={made_with} if you trust it$"):
        load_pipeline(str(folder), "audio")
