"""Training: what is learnt, drawn and written, and that a resumed run goes on as if nothing had happened."""

from __future__ import annotations

import json
import math
import shutil
import signal
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from noiseform import audio
from noiseform.core.data.dataset import DataConfig
from noiseform.core.errors import CheckpointError, ConfigError, ResourceError
from noiseform.core.machine.interrupts import Interrupted
from noiseform.core.registration.build import build
from noiseform.core.storage.checkpoint import latest_checkpoint
from noiseform.core.storage.model_folder import load_model_folder
from noiseform.core.training import trainer
from noiseform.core.training.average import averaged
from noiseform.core.training.batches import Batches
from noiseform.core.training.identity import differences
from noiseform.core.training.log import LossLog
from noiseform.core.training.observing import TrainingStep
from noiseform.core.training.optimization import parameter_groups, rate_at
from noiseform.core.training.recipe import TrainingConfig, read_recipe
from noiseform.core.training.trainer import train


def run(recipe: Path, data: Path, folder: Path, *settings: str, **wishes: object) -> list[TrainingStep]:
    """Train as the command line does; return what an observer saw."""
    wanted = read_recipe(recipe, settings=settings)
    modality = build("modality", wanted.modality)
    items = modality.dataset(data, modality.spec(wanted.media), wanted.data)
    steps: list[TrainingStep] = []
    train(wanted, items, modality, folder, observers=(steps.append, *wishes.pop("observers", ())), **wishes)
    return steps


def losses(folder: Path) -> list[str]:
    """Return the losses of a run, each to the last bit."""
    return [json.loads(line)["loss"].hex() for line in (folder / "log.jsonl").read_text().splitlines()]


def test_loss_falls_and_the_folder_is_a_model(tiny_recipe, tones, tmp_path):
    steps = run(tiny_recipe, tones, tmp_path / "run", "training.steps=120", "training.learning_rate=3e-3")
    early, late = (sum(step.loss for step in some) / 20 for some in (steps[:20], steps[-20:]))
    assert late < 0.8 * early
    (clip,) = audio.generate(tmp_path / "run", label="low", seed=3)
    assert clip.samples.shape == (1, 64)
    assert (tmp_path / "run" / "loss.png").stat().st_size > 1000


def test_same_recipe_same_run(tiny_recipe, tones, tmp_path):
    for name in ("one", "two"):
        run(tiny_recipe, tones, tmp_path / name, "training.steps=8")
    assert losses(tmp_path / "one") == losses(tmp_path / "two")
    run(tiny_recipe, tones, tmp_path / "three", "training.steps=8", "training.seed=1")
    assert losses(tmp_path / "one") != losses(tmp_path / "three")


def test_stopped_and_resumed_is_the_same_to_the_last_bit(tiny_recipe, tones, tmp_path):
    settings = ("stages.0.network.dropout=0.3", "training.steps=16", "training.checkpoint_every=5")
    run(tiny_recipe, tones, tmp_path / "whole", *settings)
    torch.rand(5)  # what others draw from torch's generator changes nothing
    for until in (2, 9, 10, None):
        run(tiny_recipe, tones, tmp_path / "torn", *settings, resume=True, until=until)
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "torn")]
    assert logs[0] == logs[1]
    one, other = (load_model_folder(tmp_path / name)[0].sha256("base") for name in ("whole", "torn"))
    assert one == other


def test_losses_that_a_density_follows_are_kept_for_the_resumed_run(tiny_recipe, tones, tmp_path):
    settings = ("stages.0.objective.density='importance'", "training.batch_size=128", "training.steps=20")
    run(tiny_recipe, tones, tmp_path / "whole", *settings)
    for until in (3, 15, None):
        run(tiny_recipe, tones, tmp_path / "torn", *settings, resume=True, until=until)
    assert losses(tmp_path / "whole") == losses(tmp_path / "torn")
    memories = [latest_checkpoint(tmp_path / name).tensors["objective"] for name in ("whole", "torn")]
    assert memories[0]["seen"].min() >= 10  # the density is no longer uniform
    for name, kept in memories[0].items():
        assert torch.equal(kept, memories[1][name])


def test_training_touches_no_global_generator(tiny_recipe, tones, tmp_path):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    run(tiny_recipe, tones, tmp_path / "run", "training.steps=3", "stages.0.network.dropout=0.5")
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_signal_that_comes_while_the_log_is_written_loses_nothing(tiny_recipe, tones, tmp_path, monkeypatch):
    flush, sent = LossLog.flush, []

    def signalled(self, *, to_disk=False):
        flush(self, to_disk=to_disk)
        if len(self.entries) == 3 and not sent:
            sent.append(True)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(trainer, "_LOGGED", 1)
    monkeypatch.setattr(LossLog, "flush", signalled)
    with pytest.raises(Interrupted):
        run(tiny_recipe, tones, tmp_path / "run")
    assert latest_checkpoint(tmp_path / "run").step == 3


def test_until_keeps_the_schedule_of_the_whole_run(tiny_recipe, tones, tmp_path):
    whole = run(tiny_recipe, tones, tmp_path / "whole", "training.steps=12")
    part = run(tiny_recipe, tones, tmp_path / "part", "training.steps=12", until=8)
    assert [step.learning_rate for step in part] == [step.learning_rate for step in whole[:8]]
    assert latest_checkpoint(tmp_path / "part").step == 8
    with pytest.raises(ConfigError, match="until: expected a step from 1, got 0"):
        run(tiny_recipe, tones, tmp_path / "none", until=0)


def test_resume_of_a_finished_run_does_nothing(tiny_recipe, tones, tmp_path):
    run(tiny_recipe, tones, tmp_path / "run", "training.steps=5")
    before = {path: path.read_bytes() for path in (tmp_path / "run").glob("*.*")}
    assert run(tiny_recipe, tones, tmp_path / "run", "training.steps=5", resume=True) == []
    after = {path: path.read_bytes() for path in (tmp_path / "run").glob("*.*")}
    assert before == after


def test_training_starts_from_the_model_that_is_named(tiny_recipe, tones, tmp_path):
    run(tiny_recipe, tones, tmp_path / "first", "training.steps=60", "training.learning_rate=3e-3")
    rest = (
        f"training.start='{tmp_path / 'first'}'",
        "training.steps=6",
        "training.checkpoint_every=3",
        "training.seed=5",
    )
    run(tiny_recipe, tones, tmp_path / "whole", *rest, "training.warmup=1000")
    before, after = (load_model_folder(tmp_path / name)[1]["base"] for name in ("first", "whole"))
    assert all(torch.allclose(after[name], tensor, atol=2e-4) for name, tensor in before.items())
    for until in (2, None):  # what is resumed goes on from its own weights
        run(tiny_recipe, tones, tmp_path / "torn", *rest, "training.warmup=1000", resume=True, until=until)
    assert losses(tmp_path / "whole") == losses(tmp_path / "torn")


def test_a_start_of_another_kind_is_refused(tiny_recipe, tones, tmp_path):
    run(tiny_recipe, tones, tmp_path / "first", "training.steps=2")
    start = f"training.start='{tmp_path / 'first'}'"
    with pytest.raises(CheckpointError, match=r"training\.start: .*first"):
        run(tiny_recipe, tones, tmp_path / "wider", start, "stages.0.network.channels=[24, 24]")
    with pytest.raises(CheckpointError, match="no weights of 'other', only of base"):
        run(tiny_recipe, tones, tmp_path / "other", start, "stages.0.name='other'")
    with pytest.raises(ConfigError, match="there is no such folder"):
        run(tiny_recipe, tones, tmp_path / "none", "training.start='nowhere'")


def test_learning_rate_warms_up_and_falls():
    config = TrainingConfig(steps=1000, warmup=100, learning_rate=2e-3)
    rates = [rate_at(config, step) for step in range(1000)]
    assert rates[0] == pytest.approx(2e-5)
    assert rates[99] == rates[100] == pytest.approx(2e-3)
    assert all(a < b for a, b in pairwise(rates[:100]))
    assert all(a >= b for a, b in pairwise(rates[100:]))
    assert rates[550] == pytest.approx(2e-3 * (0.01 + 0.99 * 0.5))
    assert rates[-1] == pytest.approx(2e-5, rel=0.01)
    flat = TrainingConfig(steps=10, warmup=0, decay="constant", learning_rate=2e-3)
    assert {rate_at(flat, step) for step in range(10)} == {2e-3}


def test_average_starts_low_and_keeps_to_its_formula():
    model = torch.nn.Linear(1, 1)
    average = averaged(model, 0.5)
    expected = None
    for number in range(30):
        with torch.no_grad():
            model.weight.fill_(float(number))
        average.update_parameters(model)
        decay = min(0.5, (1 + number) / (10 + number))
        expected = number if expected is None else decay * expected + (1 - decay) * number
    assert average.module.weight.item() == pytest.approx(expected, rel=1e-5)


def test_model_ships_the_average_in_the_precision_asked_for(tiny_recipe, tones, tmp_path):
    for name, dtype in (("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)):
        run(tiny_recipe, tones, tmp_path / name, "training.steps=4", f"training.weights='{name}'")
        _, weights = load_model_folder(tmp_path / name)
        kept = latest_checkpoint(tmp_path / name)
        assert {tensor.dtype for tensor in weights["base"].values()} == {dtype}
        for key, tensor in weights["base"].items():
            assert torch.equal(tensor, kept.tensors["ema"][key].to(dtype))
        assert any(not torch.equal(kept.tensors["ema"][key], kept.tensors["model"][key]) for key in kept.tensors["ema"])
        (clip,) = audio.generate(tmp_path / name, label="low")
        assert torch.isfinite(clip.samples).all()


def test_bf16_trains_close_to_fp32(tiny_recipe, tones, tmp_path):
    full = run(tiny_recipe, tones, tmp_path / "fp32", "training.steps=10")
    half = run(tiny_recipe, tones, tmp_path / "bf16", "training.steps=10", "training.precision='bf16'")
    assert [step.loss for step in half] == pytest.approx([step.loss for step in full], rel=0.05)
    assert {t.dtype for t in latest_checkpoint(tmp_path / "bf16").tensors["ema"].values()} == {torch.float32}


class _Numbers:
    """A data set whose items are their own numbers."""

    skipped = ()
    vocabulary = (("a",),)
    fingerprint = ""

    def __len__(self) -> int:
        return 10

    def item(self, index: int, *, start: float) -> torch.Tensor:
        return torch.tensor([[float(index)]])

    def conditions(self, index: int) -> dict[str, object]:
        return {"labels": ("a",)}

    def name(self, index: int) -> str:
        return str(index)


def test_every_epoch_sees_each_item_once():
    batches = Batches(_Numbers(), size=4, seed=0, dropout=0.1, conditioners=1)
    seen = [name for step in range(10) for name in batches.batch(step).names]
    epochs = [seen[start : start + 10] for start in range(0, 40, 10)]
    assert all(sorted(epoch) == sorted(map(str, range(10))) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    again = Batches(_Numbers(), size=4, seed=0, dropout=0.1, conditioners=1)
    for step in (9, 0, 5):  # a batch depends on nothing that came before
        one, other = batches.batch(step), again.batch(step)
        assert one.names == other.names
        assert torch.equal(one.u, other.u)
        assert torch.equal(one.drop, other.drop)
        assert torch.equal(one.eps((3,)), other.eps((3,)))


def test_times_of_a_batch_are_spread_evenly():
    batches = Batches(_Numbers(), size=8, seed=0, dropout=0.0, conditioners=0)
    for step in range(20):
        u = batches.batch(step).u.sort().values
        assert u.min() >= 0
        assert u.max() < 1
        assert torch.allclose(u.diff(), torch.full((7,), 1 / 8, dtype=torch.float64))


def test_dropout_leaves_out_all_conditions_or_one():
    batches = Batches(_Numbers(), size=1000, seed=0, dropout=0.1, conditioners=2)
    drop = torch.cat([batches.batch(step).drop for step in range(20)]).double()
    count = len(drop)
    for share, expected in (
        (drop[:, 0].mean(), 0.19),  # all at once, or this one on its own
        (drop[:, 1].mean(), 0.19),
        ((drop.sum(1) == 2).double().mean(), 0.1 + 0.9 * 0.01),
    ):
        assert abs(share.item() - expected) < 5 * math.sqrt(expected / count)
    assert not Batches(_Numbers(), size=50, seed=0, dropout=0.0, conditioners=2).batch(0).drop.any()
    assert Batches(_Numbers(), size=50, seed=0, dropout=1.0, conditioners=2).batch(0).drop.all()


def test_matrices_decay_and_norms_do_not():
    model = torch.nn.Sequential(torch.nn.Conv1d(1, 8, 3), torch.nn.GroupNorm(1, 8))
    decayed, free = parameter_groups(model, 0.1)
    assert [one.ndim for one in decayed["params"]] == [3]
    assert {one.ndim for one in free["params"]} == {1}
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)


def test_differences_are_told_one_by_one():
    before = {"stages": [{"steps": 4, "network": {"channels": [8, 8]}}], "seed": 0, "old": 1}
    now = {"stages": [{"steps": 4, "network": {"channels": [8, 16]}}], "seed": 0, "new": 2}
    assert differences(before, now) == [
        "stages.0.network.channels.1: was 8, is 16",
        "old: was 1, is absent",
        "new: was absent, is 2",
    ]
    assert differences(before, before) == []


def test_keys_of_the_data_that_are_new_since_change_nothing():
    before = {"data": {"labels": "none", "window": "start"}}
    now = {"data": DataConfig(labels="none", window="start").model_dump(mode="json")}
    assert len(now["data"]) > len(before["data"])
    assert differences(before, now) == []
    assert differences({"data": {"labels": "none"}}, now) == ["data.window: was 'random', is 'start'"]
    assert differences({"data": {"no such key": 1}}, now)[0] == "data.no such key: was 1, is absent"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["training.stepz=3"], "unknown key 'training.stepz'; did you mean 'steps'"),
        (["training.steps='many'"], "training.steps: expected a valid integer"),
        (["training.steps='100'"], "training.steps: expected a valid integer"),
        (["training.batch_size=true"], "training.batch_size: expected a valid integer"),
        (["training.steps=0"], "training.steps: expected greater than or equal to 1, got 0"),
        (["training.learning_rate=nan"], "training.learning_rate: expected a finite number"),
        (["training.ema=1.0"], "training.ema: expected less than 1"),
        (["training.decay='linear'"], "training.decay: expected 'constant' or 'cosine'"),
        (["training.seed=-1"], "training.seed"),
        (["training.stage='fine'"], "there is no stage 'fine'; stages: base"),
        (["media.seconds=1e9"], "media: seconds: expected less than or equal to 3600"),
        (["stages.0.network.chanels=[8]"], "unknown parameter 'chanels'; did you mean 'channels'"),
        (["stages.0.network.channels=[1000000000]"], "'channels': expected 1 to 16 integers"),
        (
            ["stages.0.network.channels=[" + "8," * 1000 + "]"],
            "'channels': expected 1 to 16 integers, each from 8 to 8192",
        ),
        (["stages.0.network.blocks=1000000000"], "'blocks': expected integer from 1 to 16"),
        (["stages.0.network.channels_in=3"], "is given by the program"),
        (["stages.0.network.use='unet-2d'"], "takes items of 2 axes of space, but codec 'identity' gives 1"),
        (["stages.0.network.use='unet-1e'"], "unknown network 'unet-1e'; did you mean 'unet-1d'"),
        (["stages.0.objective={use='eps'}"], "do not go together"),
        (["data.labels='tags'"], "data.labels: expected 'folder', 'pattern', 'csv' or 'none'"),
    ],
)
def test_wrong_recipe_is_one_clear_error(tiny_recipe, tones, tmp_path, settings, message):
    with pytest.raises(ConfigError) as caught:
        run(tiny_recipe, tones, tmp_path / "run", *settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_everything_is_checked_before_the_data_are_read(tiny_recipe, tones, tmp_path):
    def read():
        raise AssertionError("the data were read")

    wanted = read_recipe(tiny_recipe, settings=("stages.0.network.blocks=0",))
    modality = build("modality", "audio")
    with pytest.raises(ConfigError, match="'blocks': expected integer from 1 to 16"):
        train(wanted, read, modality, tmp_path / "some" / "run")
    assert not (tmp_path / "some").exists()  # nothing is left of a run that did not start
    run(tiny_recipe, tones, tmp_path / "run", "training.steps=1")
    with pytest.raises(ConfigError, match="holds a training already"):
        train(read_recipe(tiny_recipe), read, modality, tmp_path / "run")


@pytest.mark.parametrize("inside", ["", "low", "runs/new"])
def test_no_run_starts_in_its_data(tiny_recipe, tones, inside):
    wanted, modality = read_recipe(tiny_recipe), build("modality", "audio")
    before = sorted(tones.rglob("*"))
    with pytest.raises(ConfigError, match="lies inside the data; choose another folder"):
        train(wanted, lambda: None, modality, tones / inside, source=tones)
    assert sorted(tones.rglob("*")) == before


def test_no_run_starts_among_other_files(tiny_recipe, tones, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("mine")
    for resume in (False, True):
        with pytest.raises(ConfigError, match=r"holds other files, such as thesis\.tex; choose a new folder"):
            run(tiny_recipe, tones, tmp_path / "run", "training.steps=1", resume=resume)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_wrong_part_of_a_recipe_is_told_with_its_line(tiny_recipe, tones, tmp_path):
    tiny_recipe.write_text(tiny_recipe.read_text().replace("channels = [8, 8]", "channels = [8, 8], blocs = 1"))
    with pytest.raises(ConfigError, match=r"network 'unet-1d': \S*recipe.toml:9: unknown parameter 'blocs'"):
        run(tiny_recipe, tones, tmp_path / "run")
    tiny_recipe.write_text(tiny_recipe.read_text().replace("unet-1d", "unet-9d"))
    with pytest.raises(ConfigError, match=r"recipe.toml:9: unknown network 'unet-9d'"):
        run(tiny_recipe, tones, tmp_path / "run")


@pytest.mark.parametrize(
    ("key", "table", "message"),
    [
        ("network", "use = 'unet-1d', channels = [8, 24]", "network 'unet-1d': channels: the last, 24, is no multiple"),
        ("codec", "use = 'mel', window = 300, hop = 200", "codec mel: expected an even window"),
        ("grid", "use = 'karras', nsr_max = 0.001", "grid/karras: nsr_max must be above nsr_min"),
        (
            "conditioners",
            "use = 'media', codec = { use = 'mel', window = 300, hop = 200 }",
            "conditioner media: codec mel: expected an even window",
        ),
    ],
)
def test_what_a_part_itself_refuses_is_told_with_its_line(tiny_recipe, tones, tmp_path, key, table, message):
    kept = [line for line in tiny_recipe.read_text().splitlines() if not line.startswith(f"{key} =")]
    place = kept.index("[[stages]]") + 1
    kept.insert(place, f"{key} = [{{ {table} }}]" if key == "conditioners" else f"{key} = {{ {table} }}")
    tiny_recipe.write_text("\n".join(kept))
    with pytest.raises(ConfigError) as caught:
        run(tiny_recipe, tones, tmp_path / "run")
    assert str(caught.value).startswith(f"{tiny_recipe}:{place + 1}: {message}")


def test_wrong_key_of_a_recipe_is_told_with_its_line(tiny_recipe):
    text = tiny_recipe.read_text().replace("warmup = 5", "warmap = 5")
    tiny_recipe.write_text(text)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "warmap" in line)
    with pytest.raises(
        ConfigError, match=rf"recipe.toml:{line}.* unknown key 'training.warmap'; did you mean 'warmup'"
    ):
        read_recipe(tiny_recipe)


@pytest.mark.parametrize(
    "settings",
    [
        ["stages.0.network.channels=[8192,8192,8192,8192]", "stages.0.network.blocks=4"],
        ["media.seconds=3600", "media.sample_rate=384000", "training.batch_size=1000"],
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_allocated(tiny_recipe, tones, tmp_path, settings):
    with pytest.raises((ConfigError, ResourceError), match=r"parameters|GiB"):
        run(tiny_recipe, tones, tmp_path / "run", *settings)


def test_unknown_label_names_the_file_and_the_cure(tiny_recipe, tones, tmp_path):
    with pytest.raises(ConfigError, match=r"data: low/0.wav: label: unknown label 'low'; did you mean 'lower'.* names"):
        run(tiny_recipe, tones, tmp_path / "run", "stages.0.conditioners.0.names=['lower', 'middle', 'high']")
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((), "high/0.wav: label 'high', but no conditioner takes labels; set data.labels = \"none\""),
        (("data.captions='text'",), 'high/0.wav: a caption, but no conditioner takes text; set data.captions = "none"'),
    ],
)
def test_what_no_conditioner_takes_is_told_with_the_one_cure(tiny_recipe, tones, tmp_path, settings, message):
    data = tmp_path / "data"
    shutil.copytree(tones, data)
    for path in data.rglob("*.wav"):
        path.with_suffix(".txt").write_text("a tone")
    with pytest.raises(ConfigError) as caught:
        run(tiny_recipe, data, tmp_path / "run", "stages.0.conditioners=[]", *settings)
    assert str(caught.value) == f"data: {message}"


def test_what_a_conditioner_itself_refuses_keeps_its_own_cure(tiny_recipe, tones, tmp_path):
    settings = ("data.labels='pattern'", "data.pattern='{high}-{low}'", "data.max_bad=0.9")
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(tones / "low" / "0.wav", data / "high-low.wav")
    cure = r"give one of them \(.* conditioner for each kind of label, or one with several = true\)$"
    with pytest.raises(ConfigError, match=r"^data: high-low\.wav: label: .*exclude each other; " + cure):
        run(tiny_recipe, data, tmp_path / "run", *settings)


def test_unlabelled_data_trains_an_unconditional_model(tiny_recipe, tones, tmp_path):
    run(tiny_recipe, tones, tmp_path / "run", "stages.0.conditioners=[]", "data.labels='none'", "training.steps=3")
    assert len(audio.generate(tmp_path / "run", count=2)) == 2
    with pytest.raises(ConfigError, match="unknown label 'low'; this model takes no labels"):
        audio.generate(tmp_path / "run", label="low")


def test_a_device_that_is_not_there_is_refused_first(tiny_recipe, tones, tmp_path):
    with pytest.raises(ConfigError, match="device: 'nonsense' cannot be used here"):
        run(tiny_recipe, tones, tmp_path / "run", device="nonsense")
    assert not (tmp_path / "run").exists()
    run(tiny_recipe, tones, tmp_path / "run", "training.steps=1", device=torch.device("cpu"))


def test_auto_goes_on_as_it_began(tiny_recipe, tones, tmp_path, monkeypatch):
    """On a machine that would choose otherwise, too; and what was chosen is told."""
    settings = ("training.steps=4", "training.precision='auto'")
    monkeypatch.setattr("noiseform.core.training.precision.multiplies_halves", lambda: False)
    run(tiny_recipe, tones, tmp_path / "run", *settings, until=2)
    monkeypatch.setattr("noiseform.core.training.precision.multiplies_halves", lambda: True)
    run(tiny_recipe, tones, tmp_path / "run", *settings, resume=True)
    model, _ = load_model_folder(tmp_path / "run")
    assert model.facts["training"]["precision"] == "fp32"
    run(tiny_recipe, tones, tmp_path / "whole", *settings)
    assert load_model_folder(tmp_path / "whole")[0].facts["training"]["precision"] == "bf16"
    with pytest.raises(ConfigError, match=r"training.precision: was 'fp32', is 'bf16'"):
        run(tiny_recipe, tones, tmp_path / "run", *settings, "training.precision='bf16'", resume=True)
