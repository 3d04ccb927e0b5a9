"""``noiseform evaluate``: what metrics are given, what is printed, and what is refused."""

from __future__ import annotations

import json

import pytest
import torch
from noiseform import audio, log_likelihood
from noiseform.core.cli.main import main
from noiseform.core.diffusion.denoiser import Denoiser
from noiseform.core.diffusion.noise import Key

METRICS = """
from noiseform import hookimpl
from pathlib import Path

@hookimpl
def noiseform_metrics():
    return {"spread": Spread, "of-films": OfFilms, "nonsense": Nonsense, "asking": Asking}

class Spread:
    def __init__(self, power: float = 2.0):
        self.power = power
    def compare(self, made, real):
        return {
            "made": sum(float(one.samples.abs().pow(self.power).mean()) for one in made),
            "real": sum(float(one.samples.abs().pow(self.power).mean()) for one in real),
            "count": len(made) + len(real),
            "low": sum("low" in one.record["conditions"]["labels"] for one in made),
        }

class OfFilms:
    modality = "video"
    def compare(self, made, real):
        return {"never": 0.0}

class Nonsense:
    modality = "image"
    def __init__(self, kind: str = "text"):
        self.kind = kind
    def compare(self, made, real):
        return {"text": {"a": "b"}, "nan": {"a": float("nan")}, "none": None}[self.kind]

class Asking:
    modality = "image"
    needs = "everything"
    def compare(self, made, real):
        return {}
"""


@pytest.fixture
def metrics(site):
    site.add("some-metrics", {"some_metrics": METRICS})


def figures(capsys):
    return {(one["metric"], one["figure"]): one for one in map(json.loads, capsys.readouterr().out.splitlines())}


def test_likelihood_is_that_of_the_library(tiny_model, tones, capsys):
    """The same number as by hand: latents, labels, process and keys are what they should be."""
    asked = ["--metric", "likelihood", "-n", "5", "--seed", "3", "--json"]
    bound = ["--set", "metrics.likelihood.method=bound", "--set", "metrics.likelihood.draws=20"]
    assert main(["evaluate", str(tiny_model), "--data", str(tones), *asked, *bound]) == 0
    found = figures(capsys)[("likelihood", "bits_per_dim_density")]
    assert (found["items"], found["pipeline"]) == (5, str(tiny_model))
    (stage,) = audio.load(str(tiny_model)).stages
    files = sorted(tones.rglob("*.wav"))
    bits = []
    for place in range(5):
        file = files[place * len(files) // 5]
        latent = 4.0 * audio.read(file).samples[None]
        with torch.no_grad():
            cond = stage.model.condition(stage.model.encode([{"labels": (file.parent.name,)}]))
        denoiser = Denoiser(stage.model.network, stage.objective.prediction)
        one = log_likelihood(
            lambda x, level, denoiser=denoiser, cond=cond: denoiser(x, level, cond),
            latent,
            process="flow",
            method="bound",
            draws=20,
            seeds=[Key(3, item=place)],
        )
        bits.append(one.bits_per_dim.item() - 2)  # of the scale
    assert found["value"] == pytest.approx(sum(bits) / 5, rel=1e-5)


def test_pictures_are_measured_in_bits_of_their_values(tiny_image_model, patterns, capsys):
    assert main(["evaluate", str(tiny_image_model), "--data", str(patterns), "-n", "2"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("likelihood  bits_per_dim")
    assert err.startswith("2 of ")
    assert len(out.splitlines()) == 3


@pytest.mark.usefixtures("metrics")
def test_metrics_that_fit_compare_as_many_made_with_real(tiny_model, tones, capsys):
    settings = ["--set", "metrics.spread.power=1.0", "--set", "metrics.likelihood.draws=2"]
    settings += ["--set", "metrics.likelihood.method=bound", "--set", "stages.base.steps=2"]
    assert main(["evaluate", str(tiny_model), "--data", str(tones), "-n", "6", "--json", *settings]) == 0
    found = figures(capsys)
    assert {metric for metric, _ in found} == {"likelihood", "spread"}
    assert found["spread", "count"]["value"] == 12
    assert found["spread", "low"]["value"] == 2  # each is made as the real one is described
    made = audio.generate(str(tiny_model), label="low", seed=0, steps=2)
    assert made[0].samples.abs().mean() > 0
    assert found["spread", "real"]["value"] > 1


@pytest.mark.usefixtures("metrics")
@pytest.mark.parametrize("batch", ["1", "4"])
def test_an_evaluation_again_is_the_same(tiny_model, tones, capsys, batch):
    words = ["evaluate", str(tiny_model), "--data", str(tones), "-n", "4", "--metric", "spread", "--batch-size", batch]
    assert main(words) == 0
    once = capsys.readouterr().out
    assert main(words) == 0
    assert capsys.readouterr().out == once
    assert main([*words, "--seed", "1"]) == 0
    assert capsys.readouterr().out != once


@pytest.mark.usefixtures("metrics")
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--metric", "likelyhood"], 2, "did you mean 'likelihood'"),
        (["--metric", "of-films"], 2, "measures video, and the pipeline makes image"),
        (["--metric", "nonsense", "--set", "metrics.nonsense.kind=text"], 5, "expected a mapping"),
        (["--metric", "nonsense", "--set", "metrics.nonsense.kind='nan'"], 5, "expected a mapping"),
        (["--metric", "nonsense", "--set", "metrics.nonsense.kind=none"], 5, "expected a mapping"),
        (["--metric", "nonsense", "--set", "metrics.nonsense.kind=error"], 5, "KeyError"),
        (["--metric", "asking"], 5, "needs is 'everything'"),
        (["--metric", "likelihood", "--set", "metrics.likelihood.start=2"], 2, "start"),
        (["--metric", "likelihood", "--set", "metrics.nonsense.kind=nan"], 2, "not measured"),
        (["--set", "metrics.no-such.kind=nan"], 2, "unknown metric"),
        (["--set", "metrics=3"], 2, "expected a path into it"),
        (["--set", "metrics.likelihood=3"], 2, "metrics.NAME.PARAMETER"),
        (["--set", "data.lables=none"], 2, "did you mean 'labels'"),
        (["--set", "data.rename={board='lines'}"], 2, "data.labels=none"),
        (["--set", "stages.base.nonsense=1"], 2, "nonsense"),
        (["-n", "0"], 2, "count"),
        (["--batch-size", "0"], 2, "batch_size"),
        (["--seed", "-1"], 2, "seed"),
        (["--device", "abacus"], 2, "device"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(tiny_image_model, patterns, capsys, words, code, told):
    assert main(["evaluate", str(tiny_image_model), "--data", str(patterns), "-n", "1", *words]) == code
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: ")
    assert told in line


def test_what_is_not_there_is_told_in_a_line(tiny_image_model, patterns, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for pipeline, data, code in (
        (tiny_image_model, tmp_path / "empty", 3),
        (tiny_image_model, tmp_path / "absent", 3),
        (tmp_path / "no-model", patterns, 2),
        ("no-such", patterns, 2),
    ):
        assert main(["evaluate", str(pipeline), "--data", str(data)]) == code
        assert capsys.readouterr().err.startswith("error: ")


def test_a_model_without_labels_measures_what_has_none(tiny_image_model, patterns, capsys):
    words = ["evaluate", str(tiny_image_model), "--data", str(patterns), "-n", "1", "--set", "data.labels=none"]
    assert main(words) == 0
    assert "bits_per_dim" in capsys.readouterr().out


@pytest.mark.usefixtures("metrics")
def test_what_does_not_start_from_noise_is_not_measured(capsys, tones):
    for words in ([], ["--metric", "likelihood"]):
        assert (
            main(["evaluate", "speech-x2", "--data", str(tones), "-n", "1", "--set", "data.labels=none", *words]) == 2
        )
        err = capsys.readouterr().err
        assert "goes on from what is there" in err or "makes larger what is there" in err
