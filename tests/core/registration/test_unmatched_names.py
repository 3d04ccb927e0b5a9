"""Names in registry.toml that nothing installed has: told in one line, and by the doctor."""

from __future__ import annotations

import json

import pytest
from noiseform.core.cli.main import main
from noiseform.core.registration.registry import load_registry

SAMPLER = "from noiseform import hookimpl\n@hookimpl\ndef noiseform_samplers(): return {'tilted': dict}\n"

WRONG = {
    'defaults.sampler = "ddimm"': (
        "defaults.sampler: unknown sampler 'ddimm'; did you mean 'ddim'? (noiseform list sampler shows all)"
    ),
    'defaults.sampler = "default"': "defaults.sampler: unknown sampler 'default'; known: ",
    'defaults.smapler = "ddim"': "defaults.smapler: nothing has a default of that name; did you mean 'sampler'?",
    'defaults.upscale-audo = "x"': "nothing has a default of that name; did you mean 'upscale-audio'?",
    'defaults.audio = "spoken-digit"': "defaults.audio: unknown pipeline 'spoken-digit'; did you mean 'spoken-digits'?",
    'plugins.disable = ["dit", "ditt"]': (
        "plugins.disable: no plugin or distribution is called 'ditt'; did you mean 'dit'? "
        "(noiseform plugins list shows all)"
    ),
    'plugins.prefer = { "sampler:heun" = "noisform" }': (
        "plugins.prefer.sampler:heun: unknown sampler 'noisform/heun': no distribution noisform is installed; install "
        "it if you trust it, or did you mean 'noiseform/heun'? (noiseform list sampler shows all)"
    ),
    'plugins.prefer = { "sampler:huen" = "noiseform" }': (
        "plugins.prefer.sampler:huen: unknown sampler 'noiseform/huen'; did you mean 'noiseform/heun'?"
    ),
}


@pytest.mark.parametrize("line", WRONG)
@pytest.mark.filterwarnings("default")
def test_a_name_that_nothing_has_is_told_with_its_line(site, tmp_path, capsys, line):
    file = tmp_path / "k.toml"
    file.write_text(f"schema = 1\n{line}\n")
    told = f"registry: {file}:2: "
    assert main(["--registry", str(file), "list", "sampler"]) == 0
    said = capsys.readouterr().err
    assert said.startswith(f"warning: {told}")
    assert WRONG[line] in said
    assert said.count("\n") == 1
    unusable = line.startswith("defaults") and "nothing has a default" not in WRONG[line]
    assert main(["--registry", str(file), "plugins", "doctor", "--json"]) == (5 if unusable else 0)
    problems = json.loads(capsys.readouterr().out)["problems"]
    (problem,) = (one for one in problems if one["what"].startswith(told))
    assert WRONG[line] in f"{problem['what'].removeprefix(told)}: {problem['why']}; {problem['cure']}"


FANCY = """
from noiseform import hookimpl
@hookimpl
def noiseform_samplers():
    return {"fancy": "math:pi"}
@hookimpl
def noiseform_modalities():
    return {"smell": "math:e"}
@hookimpl
def noiseform_pipelines():
    return {"roses": {}}
"""


@pytest.mark.parametrize("hides", ["", "disable", "environment", "import"])
def test_short_names_of_a_plugin_that_is_out_of_use_are_not_told(site, tmp_path, monkeypatch, hides):
    site.add("acme-kit", {"acme_kit": FANCY + ("import no_such_module" if hides == "import" else "")})
    if hides == "environment":
        monkeypatch.setenv("NOISEFORM_PLUGINS", "0")
    file = tmp_path / "k.toml"
    disabled = '[plugins]\ndisable = ["acme-kit"]\n' if hides == "disable" else ""
    file.write_text(f'[defaults]\nsampler = "fancy"\nsmell = "roses"\nupscale-smell = "roses"\n{disabled}')
    assert load_registry(file).unmatched == ()


def test_names_that_something_has_are_not_told(site, tmp_path, monkeypatch):
    """Warnings are errors here; what is disabled or set aside is known all the same."""
    site.add("nc-first", {"nc_first": SAMPLER})
    site.add("broken", {"broken": "import no_such_module"})
    file = tmp_path / "k.toml"
    file.write_text(
        f"""
        [defaults]
        sampler = "nc-first/tilted"
        grid = "broken/even"
        audio = "mine"
        video = "{tmp_path}"
        upscale-image = "garments"
        [plugins]
        disable = ["nc-first", "dit", "noiseform/unet", "mine"]
        mine = "no_such_module"
        prefer = {{ "sampler:heun" = "Noiseform", "sampler:tilted" = "NC_First" }}
        [pipelines.mine]
        modality = "audio"
        """
    )
    assert load_registry(file).plugins.plugins
    lower = tmp_path / "registry.toml"
    lower.write_text('[defaults]\nsampler = "ddimm"\n[plugins]\ndisable = ["ditt"]\n')
    monkeypatch.setattr("noiseform.core.registration.registry.user_folder", lambda: tmp_path)
    assert load_registry(file).unmatched == ()  # what counts is what the highest layer says
