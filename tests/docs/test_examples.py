"""The scripts of the docs, and the example plugin: one part of every kind, each held to its contract."""

from __future__ import annotations

import json

import pytest
import torch
from noiseform import CheckpointError, build
from noiseform.core.cli.main import main
from noiseform.core.diffusion.process import complete, levels_at
from noiseform.core.media import MediaSpec
from noiseform.core.pipeline.conversion import convert
from noiseform.core.pipeline.loading import load_pipeline
from noiseform.core.registration.build import build_part
from noiseform.core.registration.kinds import KINDS
from noiseform.core.registration.registry import current

from .conftest import DIGITS, ROOT, script

MEDIA = MediaSpec((1, 50), (25.0,), -1.0, 1.0)


@pytest.fixture
def own(outsider):
    """Give the example plugin's parts by kind."""
    return {part.kind: part for part in current().plugins.parts() if part.plugin.distribution == "noiseform-outsider"}


def test_there_is_an_example_of_every_kind(own):
    assert set(own) == set(KINDS) - {"pipeline"}  # which are tables, shown by the embedded models
    for part in own.values():
        assert len(
            (ROOT / "docs/examples/outsider" / part.target.partition(":")[0].replace(".", "/"))
            .with_suffix(".py")
            .read_text()
            .splitlines()
        ) <= (130 if part.kind == "modality" else 60)


def test_process(own):
    process = complete(build("process", "cosine-power", power=1.5))
    first, middle, last = levels_at(process, torch.tensor([0.0, 0.4, 1.0]))
    assert (first.alpha, first.sigma) == (1, 0)
    assert last.sigma == 1
    assert process.t_of_log_snr(torch.tensor([middle.log_snr], dtype=torch.float64)).item() == pytest.approx(0.4)


def test_codec_is_exact(own):
    codec = build_part({"use": "dct", "size": 8, "scale": 3.0}, "codec", media=MEDIA)
    media = torch.rand(2, 1, 50) * 2 - 1
    latent = codec.encode(media)
    assert latent.shape[1:] == codec.shape(media.shape[1:]) == (8, 7)
    torch.testing.assert_close(codec.decode(latent, media.shape[1:]), media)
    assert (latent**2).sum() == pytest.approx(9 * (media**2).sum().item(), rel=1e-5)


def test_conditioner_tells_texts_apart(own):
    words = build_part({"use": "words"}, "conditioner", media=MEDIA, latent_shape=(1, 50))
    raw = words.encode([{"text": "slow sine"}, {"text": "Sine slow"}, {"text": "slow square"}, {}])
    vectors = words(raw)["vector"]
    assert torch.equal(vectors[0], vectors[1])
    assert not torch.equal(vectors[0], vectors[2])
    assert torch.equal(words(words.null(raw))["vector"], vectors[3].expand(4, -1))


def test_guidance(own):
    guided = build("guidance", "ramp", scale=3.0).wrap(lambda x, level, cond: x + cond, 2.0, 1.0)
    (level,) = levels_at(complete(build("process", "flow")), torch.tensor([0.25]))
    assert guided(torch.zeros(1), level).item() == pytest.approx(1 + 2.5)


def test_converter(own, tmp_path):
    size = {"channels": 4, "depth": 1}
    network = build("network", "conv-1d", **size, channels_in=16, channels_out=16)
    table = {"network": size, "media": {"channels": 1, "steps": 50, "rate": 25}}
    weights = {name: tensor.tolist() for name, tensor in network.state_dict().items()}
    (tmp_path / "conv.json").write_text(json.dumps({**table, "weights": weights}))
    convert(tmp_path, tmp_path / "model")
    (stage,) = load_pipeline(f"{tmp_path / 'model'}", "series").stages
    assert torch.equal(stage.model.network.enter.weight, network.enter.weight)
    (tmp_path / "conv.json").write_text(json.dumps(table))
    with pytest.raises(CheckpointError, match="damaged \\('weights'\\)"):
        convert(tmp_path, tmp_path / "other")


def test_metric(own):
    modality = build("modality", "series")
    items = [modality.wrap(torch.rand(1, 50) - 0.5, MEDIA, None) for _ in range(4)]
    metric = build("metric", "spectrum")
    assert metric.compare(items, items) == {"decibels": 0}
    assert metric.compare(items[:2], items[2:])["decibels"] > 0


def test_conformance(own, capsys):
    """Every part that the kit has a suite for passes it, with nothing but what the parts claim of themselves."""
    code = main(["plugins", "check", "noiseform-outsider"])
    told = capsys.readouterr().out
    assert code == 0, told
    assert "modality/series" in told


LARGER = """\
modality = "series"
[media]
channels = 1
steps = 48
rate = 50
[[stages]]
process = { use = "flow" }
objective = { use = "velocity" }
network = { use = "conv-1d", channels = 8, depth = 1 }
CONDITIONERS
steps = 2
[training]
steps = 2
batch_size = 2
sample_every = 2
samples = 2
"""


def test_a_modality_from_outside_is_edited_and_made_larger(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "waves").mkdir()
    modality = build("modality", "series")
    spec = modality.spec({"channels": 1, "steps": 48, "rate": 50})
    for number in range(3):
        wave = torch.sin(torch.arange(48) * (number + 1) / 9)[None]
        modality.write(modality.wrap(wave, spec, None), f"waves/slow_sine_{number}.csv", record=False, overwrite=False)
    heard = 'conditioners = [{ use = "low-res" }, { use = "words", width = 8 }]'
    unet = f'{{ use = "unet-1d", channels = [8], blocks = 1, head_width = 8 }}\n{heard}'
    plain = LARGER.replace("CONDITIONERS", 'conditioners = [{ use = "words", width = 8 }]')
    (tmp_path / "plain.toml").write_text(plain)
    large = LARGER.replace('{ use = "conv-1d", channels = 8, depth = 1 }\nCONDITIONERS', unet)
    (tmp_path / "large.toml").write_text(large)
    for name in ("plain", "large"):
        assert main(["train", f"{name}.toml", "--data", "waves", "-o", name, "--quiet"]) == 0
    assert main(["evaluate", "./plain", "--data", "waves", "--metric", "spectrum", "-n", "2"]) == 0
    source = "waves/slow_sine_0.csv"
    assert main(["edit", "series", source, "--pipeline", "./plain", "--mask", "0.2:0.4", "-o", "x.csv"]) == 0
    given, made = (modality.read(path).values[0] for path in (source, "x.csv"))
    assert torch.equal(made[:10], given[:10])
    assert torch.equal(made[20:], given[20:])
    assert not torch.equal(made[10:20], given[10:20])
    assert main(["replay", "x.csv", "--source", source, "--pipeline", "./plain"]) == 0
    assert main(["edit", "series", source, "--pipeline", "./plain", "--extend", "0.5", "-o", "y.csv"]) == 0
    assert modality.read("y.csv").values.shape == (1, 73)
    modality.write(type(modality.read(source))(given[None, ::2], 25.0), "half.csv", record=False, overwrite=False)
    assert main(["upscale", "series", "half.csv", "--pipeline", "./large", "-o", "z.csv"]) == 0
    assert (modality.read("z.csv").values.shape, modality.read("z.csv").rate) == ((1, 48), 50.0)


def test_a_stage_with_a_source_keeps_its_means(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    modality = build("modality", "series")
    assert main(["make-waves", "waves", "-n", "2"]) == 0
    recipe = str(ROOT / "docs/examples/outsider/rough.toml")
    few = ["--set", "training.steps=2", "--set", "training.batch_size=2", "--set", "training.sample_every=0"]
    few += ["--set", "stages.base.codec.scale=30.0"]  # a network that has learnt nothing makes quiet noise then
    assert main(["train", recipe, "--data", "waves", "-o", "rough", "--quiet", *few]) == 0
    steps = torch.linspace(-0.5, 0.5, 13).repeat_interleave(16)[None]  # two windows, whose blocks meet
    spec = modality.spec({"channels": 1, "steps": 208, "rate": 64})
    modality.write(modality.wrap(steps, spec, None), "steps.csv", record=False, overwrite=False)
    command = ["upscale", "series", "steps.csv", "--pipeline", "./rough", "--prompt", "quick sine"]
    assert main([*command, "-o", "x.csv"]) == 0
    made = modality.read("x.csv").values
    assert made.shape == steps.shape
    assert (made - steps).abs().max() > 0.01
    torch.testing.assert_close(made.unflatten(1, (13, 16)).mean(2), steps[:, ::16], atol=2e-6, rtol=0)
    assert main(["replay", "x.csv", "--source", "steps.csv", "--pipeline", "./rough"]) == 0
    assert main([*command, "--set", "stages.base.conditioners.0.level=0.2", "-o", "y.csv"]) == 0
    assert not torch.equal(modality.read("y.csv").values, made)
    assert main([*command, "--set", "stages.base.conditioners.0.level=0.3", "-o", "z.csv"]) == 2
    assert main([*command, "--set", "stages.base.conditioners.0.every=8", "-o", "z.csv"]) == 2


@pytest.mark.usefixtures("stand_ins", "place")
def test_digits(tmp_path, capsys):
    script("examples/digits.py").main(str(tmp_path / "out"))
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"spectrograms.png"} | {
        f"{name}-{digit}.wav" for name in ("spoken-digits", "spoken-digits-cascade") for digit in DIGITS
    }
    assert "noiseform replay" in capsys.readouterr().out


@pytest.mark.usefixtures("stand_ins", "place")
def test_spectrograms(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["spectrograms.py", "--folder", str(tmp_path / "images")])
    script("figures/spectrograms.py").main()
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [
        "spoken-digits-cascade.png",
        "spoken-digits.png",
    ]
