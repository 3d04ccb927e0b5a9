"""The repository against what it says of itself: its packages, its hooks, its public names, its light import."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import noiseform
from noiseform.core import hookspecs
from noiseform.core.registration.kinds import KINDS
from noiseform.core.verbs.verbs import Verbs

ROOT = Path(noiseform.__file__).resolve().parent

HOOKS = """
noiseform_codecs noiseform_commands noiseform_conditioners noiseform_converters noiseform_grids noiseform_guidances
noiseform_metrics noiseform_modalities noiseform_networks noiseform_objectives noiseform_pipelines noiseform_processes
noiseform_samplers noiseform_sampling_observers noiseform_training_observers
"""


def test_packages_are_the_folders():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {"noiseform"} | {
        ".".join(["noiseform", *file.parent.relative_to(ROOT).parts])
        for top in ("core", "plugins", "modalities")
        for file in (ROOT / top).rglob("*.py")
    }
    assert sorted(found) == listed


def test_hooks_are_frozen():
    specified = [name for name in vars(hookspecs) if name.startswith("noiseform_")]
    assert sorted(specified) == HOOKS.split()
    assert {kind.hook for kind in KINDS.values()} == {name for name in HOOKS.split() if "observers" not in name}


def test_a_modality_shows_its_public_names_alone():
    for modality in (noiseform.audio, noiseform.image, noiseform.video):
        assert dir(modality) == sorted([*modality.__all__, "noiseform_modalities"])
        assert {"generate", "load", "read"} <= set(dir(modality))
    assert repr(Verbs("audio")) == "<verbs of audio: generate, edit, upscale, load>"


def test_public_names_exist():
    assert set(noiseform.__all__) <= set(dir(noiseform))
    for name in noiseform.__all__:
        assert getattr(noiseform, name) is not None


def test_import_is_light():
    code = (
        "import sys, noiseform; noiseform.hookimpl\n"
        "from noiseform.core.registration.registry import current; current().plugins.find('sampler', 'default')\n"
        "print({'torch', 'pydantic', 'numpy', 'rich', 'soundfile'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
