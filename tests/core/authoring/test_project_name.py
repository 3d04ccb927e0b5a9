"""The names of new projects: which are taken, what follows from them, and what the others are told."""

from __future__ import annotations

import pytest
from noiseform.core.authoring.project_name import project_name
from noiseform.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "distribution", "module"),
    [
        ("acme-noise", "acme-noise", "acme_noise"),
        ("Acme_Noise", "acme-noise", "acme_noise"),
        ("acme.noise--2", "acme-noise-2", "acme_noise_2"),
        ("a", "a", "a"),
        ("Safe.Tensors", "safe-tensors", "safe_tensors"),
        ("noiseform-acme", "noiseform-acme", "noiseform_acme"),
        ("x" * 64, "x" * 64, "x" * 64),
    ],
)
def test_names_that_follow(text, distribution, module):
    name = project_name(text)
    assert (name.distribution, name.module) == (distribution, module)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begins and ends with"),
        ("-acme", "begins and ends with"),
        ("acme-", "begins and ends with"),
        ("acme noise", "a name is 1 to 64"),
        ("../acme", "a name is 1 to 64"),
        ("acme/noise", "a name is 1 to 64"),
        ("ácme", "a name is 1 to 64"),
        ("acme\nnoise", r"'acme\\nnoise': a name is"),
        ("acme\n", "a name is 1 to 64"),
        ("x" * 65, "a name is 1 to 64"),
        ("3d-points", "begin with a letter, as in acme-3d-points"),
        ("class", "a word of Python's own; write more, as in acme-class"),
        ("Lambda", "a word of Python's own"),
        ("tests", "'tests' is a folder in every project; write more, as in acme-tests"),
        ("Build", "is a folder in every project"),
        ("noiseform", "this is noiseform itself; choose another"),
        ("NoiseForm", "this is noiseform itself; choose another"),
        ("json", "would hide Python's own 'json'; write more, as in acme-json"),
        ("Test", "its module would hide .*test"),
        ("torch", "is installed; choose another"),
        ("pydantic.core", "pydantic-core .* is installed"),
        ("dateutil", "its module would hide .*dateutil"),  # which comes as python-dateutil
    ],
)
def test_names_that_are_refused(text, why):
    with pytest.raises(ConfigError, match=f"^plugins new: name .*{why}") as caught:
        project_name(text)
    assert "\n" not in str(caught.value)


def test_plugins_that_are_installed_are_refused(site):
    site.add("some-plugin", {"other_module": ""})
    with pytest.raises(ConfigError, match=r"some-plugin 1\.0 is installed; choose another, or uninstall that one"):
        project_name("Some_Plugin")
    with pytest.raises(ConfigError, match=r"would hide .*other_module\.py; choose another"):
        project_name("other-module")


def test_a_folder_of_the_name_hides_nothing(tmp_path, monkeypatch):
    """The current folder may be on the import path, and in it a project that was begun before."""
    (tmp_path / "acme_noise").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert project_name("acme-noise").module == "acme_noise"
