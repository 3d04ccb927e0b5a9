"""A model keeps its parts: whoever else claims their names, and whatever a user sets."""

from __future__ import annotations

import pytest
from noiseform import audio
from noiseform.core.cli.main import main
from noiseform.core.errors import ConfigError, PluginError
from noiseform.core.pipeline.loading import load_pipeline
from noiseform.core.registration.registry import use_registry

RIVAL = """
    from noiseform import hookimpl

    class Rival:
        order, stochastic, nfe_per_step = 1, False, 1

        def __init__(self):
            raise AssertionError("it was not asked for")

    @hookimpl
    def noiseform_processes(): return {"flow": Rival}
    @hookimpl
    def noiseform_networks(): return {"unet-1d": Rival}
    @hookimpl
    def noiseform_samplers(): return {"dpmpp-2m": Rival, "heun": Rival}
    @hookimpl
    def noiseform_guidances(): return {"cfg": Rival}
"""


def test_a_model_means_the_parts_that_it_was_trained_with(tiny_model, site, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["generate", "audio", str(tiny_model), "--label", "low"]
    assert main([*command, "-o", "before.wav"]) == 0
    assert main([*command, "--sampler", "heun", "-o", "heun.wav"]) == 0
    site.add("rival", {"rival": RIVAL})
    assert main([*command, "-o", "after.wav"]) == 0
    assert (tmp_path / "after.wav").read_bytes() == (tmp_path / "before.wav").read_bytes()
    assert main([*command, "--guidance", "3", "--grid", "uniform", "-o", "other.wav"]) == 0
    for file in ("before.wav", "heun.wav"):
        assert main(["replay", file, "--pipeline", str(tiny_model)]) == 0
    capsys.readouterr()
    for wish in (["--sampler", "heun"], ["--set", "stages.base.sampler.use=dpmpp-2m"]):
        assert main([*command, *wish, "-o", "x.wav"]) == 5
        assert "is claimed by" in capsys.readouterr().err


def test_parts_of_a_plugins_pipeline_are_its_own_then_noiseforms(tiny_model, site):
    site.add("rival", {"rival": RIVAL})
    config = audio.load(str(tiny_model)).config.model_dump(mode="json", exclude_none=True)
    stage = {**config["stages"][0], "sampler": {"use": "heun"}, "guidance": {"use": "cfg", "scale": 3.0}}
    table = {"modality": "audio", "weights": str(tiny_model), "media": config["media"], "stages": [stage]}
    plugin = f"""
    from noiseform import hookimpl
    from noiseform.plugins.samplers.euler import Euler

    @hookimpl
    def noiseform_samplers(): return {{"heun": Euler}}
    @hookimpl
    def noiseform_pipelines(): return {{"tones": {table!r}}}
    """
    site.add("quick", {"quick": plugin})
    parts = {part.kind: part.distribution for part in load_pipeline("tones", "audio").stages[0].parts}
    assert parts.pop("sampler") == "quick"
    assert set(parts.values()) == {"noiseform"}


def test_the_defaults_of_noiseform_are_its_own(tiny_model, site, tmp_path, monkeypatch):
    site.add("rival", {"rival": RIVAL})
    setting = "stages.base.sampler.use='default'"
    assert audio.load(str(tiny_model), settings=[setting]).config.stages[0].sampler.use == "spline"
    file = tmp_path / "mine.toml"
    file.write_text('[defaults]\nsampler = "dpmpp-2m"\n', encoding="utf-8")
    monkeypatch.setenv("NOISEFORM_REGISTRY", str(file))
    use_registry(None)
    with pytest.raises(PluginError, match="is claimed by"):
        audio.load(str(tiny_model), settings=[setting])


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("stages.base.objective.use=v", "stages.base.objective.use: the weights were trained with 'velocity', not 'v'"),
        ("stages.base.process.use=edm", "stages.base.process.use: the weights were trained with 'flow', not 'edm'"),
        ("stages.base.codec.scale=2.0", "stages.base.codec.scale: the weights were trained with 4.0, not 2.0"),
        ("stages.base.network.blocks=2", "stages.base.network.blocks: the weights were trained with 1, not 2"),
        (
            "stages.base.conditioners.0.names=['high', 'middle', 'low']",
            "stages.base.conditioners.0.names: the weights were trained with ['low', 'middle', 'high'], not",
        ),
        ("stages.base.conditioners=[]", "stages.base.conditioners.0: the weights were trained with labels, not none"),
    ],
)
def test_what_was_learnt_cannot_be_swapped(tiny_model, setting, told):
    with pytest.raises(ConfigError) as caught:
        audio.load(str(tiny_model), settings=[setting])
    assert told in str(caught.value)


def test_defaults_that_are_written_out_are_no_change(tiny_model):
    audio.load(str(tiny_model), settings=["stages.base.codec.companding=0.0", "stages.base.process.use=noiseform/flow"])


def test_what_changes_nothing_that_was_learnt_may_be_set(tiny_recipe, tones, tmp_path):
    codec = "{ use = 'mel', bins = 8, hop = 16, window = 64, layout = 'channels', iterations = 2 }"
    settings = ["--set", f"stages.0.codec={codec}", "--set", "training.steps=1", "--quiet"]
    assert main(["train", str(tiny_recipe), "--data", str(tones), "-o", str(tmp_path / "mel"), *settings]) == 0
    quick = audio.load(str(tmp_path / "mel"), settings=["stages.base.codec.iterations=3"])
    assert quick.config.stages[0].codec.params["iterations"] == 3


def test_the_default_pipeline_is_noiseforms_own_and_replays(site, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["generate", "audio", "--label", "one", "--steps", "1"]
    assert main([*command, "-o", "before.wav"]) == 0
    hook = "from noiseform import hookimpl\n@hookimpl\ndef noiseform_pipelines(): return "
    site.add("rival-model", {"rival_model": hook + "{'spoken-digits': {'modality': 'audio', 'weights': 'nowhere'}}"})
    assert main([*command, "-o", "after.wav"]) == 0
    for file in ("before.wav", "after.wav"):
        assert main(["replay", file]) == 0
    capsys.readouterr()
    assert main(["generate", "audio", "spoken-digits", "-o", "x.wav"]) == 5
    assert "pipeline 'spoken-digits' is claimed by" in capsys.readouterr().err
