"""Pipelines: the same seed gives the same item whatever else is made, and what a user wants otherwise is checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from noiseform import audio
from noiseform.core.errors import CheckpointError, ConfigError, NoiseformError, PluginError, ResourceError
from noiseform.core.pipeline.loading import load_pipeline
from noiseform.core.pipeline.overrides import Overrides
from noiseform.core.registration.registry import current, load_registry, using_registry
from noiseform.modalities.audio.clip import Audio


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path):
    return audio.load(str(tiny_model))


def same(one: Audio, other: Audio) -> bool:
    return torch.equal(one.samples, other.samples) and one.record == other.record


def test_item_does_not_depend_on_what_else_is_made(pipeline):
    five = audio.generate(pipeline, label="low", count=5, seed=3)
    (alone,) = audio.generate(pipeline, label="low", seed=3)
    assert same(alone, five[0])
    for number in (4, 0, 2):  # any order
        (one,) = audio.generate(pipeline, label="low", seed=3, first=number)
        assert same(one, five[number])
    assert not torch.equal(five[0].samples, five[1].samples)
    (other,) = audio.generate(pipeline, label="low", seed=4)
    assert not torch.equal(other.samples, five[0].samples)


def test_observers_and_global_generators_change_nothing(pipeline):
    class Watch:
        every, needs_x0 = 1, True
        seen = 0

        def __call__(self, step: object) -> None:
            self.seen += 1
            torch.rand(3)

    watch = Watch()
    (plain,) = audio.generate(pipeline, label="high", sampler=None)
    torch.manual_seed(99)
    (watched,) = audio.generate(pipeline, label="high", observers=[watch])
    assert same(plain, watched)
    assert watch.seen == 4


def test_batches_give_nearly_the_same(pipeline):
    single = audio.generate(pipeline, label="low", count=6, seed=1)
    for size in (2, 4, 100):
        together = audio.generate(pipeline, label="low", count=6, seed=1, batch_size=size)
        worst = max((a.samples - b.samples).abs().max().item() for a, b in zip(single, together, strict=True))
        assert worst <= 1e-3
        assert [clip.record["item"] for clip in together] == list(range(6))
        assert {clip.record["nfe"] for clip in together} == {8}


def test_threads_change_no_byte(tiny_model, tmp_path):
    files = []
    for threads in ("1", "2"):
        files.append(tmp_path / f"{threads}.wav")
        command = [sys.executable, "-m", "noiseform.core.cli.main", "generate", "audio", str(tiny_model)]
        subprocess.run(
            [*command, "--label", "low", "-o", str(files[-1])],
            check=True,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": threads},
        )
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_close(tiny_model, dtype):
    (full,) = audio.generate(str(tiny_model), label="low")
    (half,) = audio.generate(str(tiny_model), label="low", dtype=dtype)
    assert half.samples.dtype == torch.float32
    assert 0 < (full.samples - half.samples).abs().max() < 0.1
    assert half.record["dtype"] == dtype


def test_wishes_change_the_pipeline(tiny_model):
    folder = str(tiny_model)
    made = {
        name: audio.generate(folder, label="low", **wish)[0]
        for name, wish in {
            "plain": {},
            "steps": {"steps": 7},
            "sampler": {"sampler": "euler"},
            "sampler table": {"sampler": {"use": "ddim", "eta": 0.5}},
            "grid": {"grid": "uniform"},
            "guidance": {"guidance": 5.0},
            "no guidance": {"guidance": 1.0},
            "setting": {"settings": ["stages.base.guidance.rescale=0.7"]},
        }.items()
    }
    assert len({tuple(clip.samples.flatten().tolist()) for clip in made.values()}) == len(made)
    assert made["steps"].record["nfe"] == 14
    assert made["no guidance"].record["nfe"] == 4  # no second row where guidance changes nothing
    stage = made["sampler table"].record["config"]["stages"][0]
    assert stage["sampler"] == {"use": "ddim", "eta": 0.5}
    assert made["guidance"].record["config"]["stages"][0]["guidance"] == {"use": "cfg", "scale": 5.0}


def test_guidance_is_laid_over_a_pipeline_without(tiny_model):
    none = ["stages.base.guidance={use='none'}"]
    (plain,) = audio.generate(str(tiny_model), label="low", settings=none)
    (one,) = audio.generate(str(tiny_model), label="low", settings=none, guidance=1.0)
    (two,) = audio.generate(str(tiny_model), label="low", settings=none, guidance=2.0)
    (own,) = audio.generate(str(tiny_model), label="low")
    assert torch.equal(plain.samples, one.samples)
    assert torch.equal(two.samples, own.samples)


def test_label_says_what_is_made(pipeline):
    made = {label: audio.generate(pipeline, label=label)[0].samples for label in ("low", "high", None)}
    assert not torch.equal(made["low"], made["high"])
    assert not torch.equal(made["low"], made[None])
    for labels in ({"label": ["low"]}, {"labels": ["low"]}, {"labels": "low"}, {"label": ("low",)}):
        assert torch.equal(audio.generate(pipeline, **labels)[0].samples, made["low"])


def test_record_says_how_and_nothing_of_this_machine(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    relative = os.path.relpath(tiny_model, tmp_path)
    for place in (str(tiny_model), relative):
        (clip,) = audio.generate(place, label="low", seed=5)
        text = json.dumps(clip.record)
        assert clip.record["pipeline"] == "three-tones"
        for secret in (str(tiny_model.parent), str(Path.home()), os.uname().nodename, str(tmp_path)):
            assert secret not in text
        kinds = ("process", "objective", "network", "codec", "conditioner", "guidance", "sampler", "grid")
        parts = [
            part for part in clip.record["parts"] if part.startswith(tuple(f"{kind}/noiseform/" for kind in kinds))
        ]
        assert parts == clip.record["parts"]
        assert "/" not in json.dumps({**clip.record, "parts": []})
    assert set(clip.record) == {
        *("noiseform", "torch", "pipeline", "config", "weights", "parts"),
        *("seed", "item", "dtype", "nfe", "conditions"),
    }
    assert clip.record["conditions"] == {"labels": ["low"]}


def test_pipeline_by_name_from_a_registry_file(tiny_model, tmp_path):
    stages = (
        (tiny_model / "pipeline.toml")
        .read_text()
        .split("[[stages]]")[1]
        .replace("[stages.", "[pipelines.tones.stages.")
    )
    registry = tmp_path / "registry.toml"
    registry.write_text(
        f"schema = 1\n[defaults]\naudio = 'tones'\n[pipelines.tones]\nmodality = 'audio'\n"
        f"weights = '{tiny_model}'\n[pipelines.tones.media]\nsample_rate = 1000\nseconds = 0.064\n"
        f"[[pipelines.tones.stages]]\n{stages}"
    )
    (by_path,) = audio.generate(str(tiny_model), label="low")
    with using_registry(load_registry(registry)):
        (by_name,) = audio.generate("tones", label="low")
        (default,) = audio.generate(label="low")
        with pytest.raises(ConfigError, match="unknown pipeline 'tonez'; did you mean 'tones'"):
            audio.load("tonez")
    assert torch.equal(by_path.samples, by_name.samples)
    assert same(by_name, default)
    assert by_name.record["pipeline"] == "tones"
    assert str(tiny_model) not in json.dumps(by_name.record)


WRONG = {
    "unknown pipeline": ({"pipeline": "no-such"}, "unknown pipeline 'no-such'"),
    "folder that is not there": ({"pipeline": "./no-such"}, "there is no such folder"),
    "user that is not there": ({"pipeline": "~no-such-user/x"}, "there is no such folder"),
    "long name": ({"pipeline": "x" * 5000}, "unknown pipeline"),
    "long path": ({"pipeline": "./" + "x" * 5000}, "there is no such folder"),
    "number for a pipeline": ({"pipeline": 3}, "expected a name, a path or what load() gave, got 3"),
    "unknown label": ({"label": "lov"}, "unknown label 'lov'; did you mean 'low'"),
    "two labels of one kind": ({"labels": ["low", "high"]}, "'low' and 'high' exclude each other"),
    "number for a label": ({"label": 7}, "expected text, or several, got 7"),
    "numbers for labels": ({"labels": [7]}, "expected text, or several, got [7]"),
    "text for a model of labels": ({"prompt": "a low tone"}, "this model takes no prompt"),
    "unknown sampler": ({"sampler": "eule"}, "unknown sampler 'eule'; did you mean 'euler'"),
    "unknown grid": ({"grid": "karas"}, "unknown grid 'karas'; did you mean 'karras'"),
    "sampler without name": ({"sampler": {"eta": 0.5}}, "sampler: use is missing"),
    "wrong parameter": ({"sampler": {"use": "ddim", "etha": 1}}, "unknown parameter 'etha'; did you mean 'eta'"),
    "no steps": ({"steps": 0}, "steps: expected a whole number from 1"),
    "many steps": ({"steps": 10**9}, "steps: expected a whole number from 1"),
    "half a step": ({"steps": 1.5}, "steps: expected a whole number from 1"),
    "guidance that is no number": ({"guidance": float("nan")}, "guidance 'cfg'"),
    "infinite guidance": ({"guidance": float("inf")}, "guidance 'cfg'"),
    "text for guidance": ({"guidance": "much"}, "guidance 'cfg'"),
    "negative seed": ({"seed": -1}, "seed: expected a whole number from 0 to 2**64 - 1, got -1"),
    "large seed": ({"seed": 2**64}, "seed: expected a whole number"),
    "half a seed": ({"seed": 0.5}, "seed: expected a whole number"),
    "none": ({"count": 0}, "count: expected a whole number from 1"),
    "too many": ({"count": 10**9}, "count: expected a whole number from 1"),
    "half an item": ({"count": 1.5}, "count: expected a whole number from 1"),
    "negative first": ({"first": -1}, "first: expected a whole number from 0"),
    "empty batch": ({"batch_size": 0}, "batch_size: expected a whole number from 1"),
    "unknown dtype": ({"dtype": "float8"}, "unknown dtype 'float8'; did you mean"),
    "unknown device": ({"device": "cpuu"}, "device: 'cpuu' cannot be used here"),
    "device without memory": ({"device": "meta"}, "device: 'meta' cannot be used here"),
    "device that is not there": ({"device": "xla"}, "device: 'xla' cannot be used here"),
    "setting without value": ({"settings": ["steps"]}, "expected path=value"),
    "settings in one text": ({"settings": "a=b"}, "settings: expected several texts"),
    "setting of a wrong key": (
        {"settings": ["stages.base.stebs=3"]},
        "unknown key 'stages.base.stebs'; did you mean 'steps'",
    ),
    "setting of a wrong stage": ({"settings": ["stages.bass.steps=3"]}, "no element 'bass'; did you mean 'base'"),
    "setting of a wrong type": ({"settings": ["stages.base.steps='x'"]}, "stages.base.steps: expected a valid integer"),
    "setting of media": ({"settings": ["media.seconds=1e9"]}, "seconds: expected less than or equal to 3600"),
    "setting of other media": ({"settings": ["media.width=3"]}, "unknown key 'width'"),
    "setting of a parameter": (
        {"settings": ["stages.base.codec.scales=3.0"]},
        "unknown parameter 'scales'; did you mean 'scale'",
    ),
    "setting of a part": (
        {"settings": ["stages.base.codec.use='identitty'"]},
        "unknown codec 'identitty'; did you mean",
    ),
    "setting of the modality": ({"settings": ["modality='video'"]}, "it makes video, not audio"),
    "other network": ({"settings": ["stages.base.network.use='unet-2d'"]}, "takes items of 2 axes of space"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_wish_is_refused_before_weights_are_loaded(tiny_model, monkeypatch, name):
    def load(*given: object, **more: object) -> None:
        raise AssertionError("weights were loaded")

    wish, message = WRONG[name]
    if name not in {"unknown label", "two labels of one kind", "text for a model of labels"}:
        monkeypatch.setattr("noiseform.core.pipeline.loading.load_model_folder", load)
    with pytest.raises(ConfigError) as caught:
        audio.generate(**{"pipeline": str(tiny_model), **wish})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value) or "expected" in str(caught.value)


def test_loaded_pipeline_takes_no_more_wishes(pipeline):
    for wish in ({"steps": 3}, {"sampler": "euler"}, {"guidance": 1.0}, {"settings": ["a=1"]}, {"dtype": "float16"}):
        with pytest.raises(ConfigError, match="say it to load"):
            audio.generate(pipeline, **wish)


def test_without_a_default_a_pipeline_has_to_be_named(monkeypatch):
    monkeypatch.setattr(type(current()), "default_pipeline", lambda registry, modality: None)
    with pytest.raises(ConfigError, match="no default one makes video; name one"):
        load_pipeline(None, "video")


def test_more_than_there_is_memory_for_is_refused(tiny_model):
    settings = ["media.seconds=3600", "media.sample_rate=384000", "media.channels=1"]
    with pytest.raises(ResourceError, match=r"take at least .* GiB, .* GiB are free"):
        audio.generate(str(tiny_model), settings=settings, count=100, batch_size=100)
    with pytest.raises(ConfigError, match=r"takes no|larger|media"):
        audio.generate(str(tiny_model), settings=["media.channels=1000"])


def test_wide_network_is_refused_before_it_is_made(tiny_model):
    wide = "stages.base.network={use='unet-1d', channels=[8192,8192,8192,8192], blocks=8}"
    with pytest.raises(NoiseformError, match="parameters"):
        audio.load(str(tiny_model), settings=[wide])


def test_network_that_does_not_fit_into_memory_is_refused_before_it_is_made(tiny_model, monkeypatch):
    monkeypatch.setattr("noiseform.core.pipeline.stage.available_bytes", lambda: 10_000)
    with pytest.raises(ResourceError, match=r"network: [\d,]+ parameters take .* GiB are free; make it smaller"):
        audio.load(str(tiny_model))


def test_other_shape_than_the_weights_have_is_told(tiny_model, trained_as):
    with pytest.raises(CheckpointError, match="shape"):
        audio.load(str(trained_as(tiny_model, "stages.base.network.channels=[16, 8]")))
    with pytest.raises(CheckpointError, match="network"):
        audio.load(str(trained_as(tiny_model, "stages.base.network.blocks=2")))


def test_part_that_is_not_installed_is_told(tiny_model, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(tiny_model, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["parts"][0] = {"kind": "sampler", "name": "quick", "distribution": "quick-kit", "version": "2.1"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        PluginError, match=r"it needs sampler 'quick', which no installed plugin has; install quick-kit==2.1"
    ):
        load_pipeline(str(folder), "audio")
    manifest["parts"][0] = {**manifest["parts"][1], "version": "0.0.1"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.warns(UserWarning, match="made with noiseform 0.0.1, installed is"):
        load_pipeline(str(folder), "audio", overrides=Overrides(steps=2))


def test_model_of_another_modality_is_told(tiny_model):
    with pytest.raises(ConfigError, match="it makes audio, not image; try noiseform generate audio"):
        load_pipeline(str(tiny_model), "image")


def test_folder_without_model_is_told(tmp_path):
    with pytest.raises(CheckpointError, match=r"manifest.json is missing"):
        audio.load(str(tmp_path))
    with pytest.raises(CheckpointError, match=r"manifest.json is missing"):
        audio.generate(tmp_path)


def test_name_of_a_folder_here_is_told(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tiny_model.parent)
    with pytest.raises(ConfigError, match=r"for the folder of this name write ./three-tones"):
        audio.load("three-tones")
    assert audio.generate(Path("three-tones"), label="low")[0].record["pipeline"] == "three-tones"


def test_clip_is_saved_read_and_shown(pipeline, tmp_path):
    (clip,) = audio.generate(pipeline, label="low", seed=11)
    clip.save(tmp_path / "x.wav")
    back = audio.read(tmp_path / "x.wav")
    assert back.record == clip.record
    assert back.sample_rate == 1000
    assert (back.samples - clip.samples).abs().max() <= 2**-15
    clip.save(tmp_path / "plain.flac", record=False)
    assert audio.read(tmp_path / "plain.flac").record is None
    page = clip._repr_html_()
    assert page.startswith("<figure")
    assert "data:audio/wav;base64," in page
    assert "data:image/png;base64," in page
    assert clip._repr_mimebundle_()["text/html"] == page
    assert repr(clip) == "Audio(1 x 64 at 1000 Hz, 0.064 s)"
    with pytest.raises(ConfigError, match="it exists"):
        clip.save(tmp_path / "x.wav")
