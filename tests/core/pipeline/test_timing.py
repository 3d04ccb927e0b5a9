"""Times computed for a trained model: what the new folder holds, and what becomes of the old one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from noiseform import audio
from noiseform.core.cli.main import main
from noiseform.core.pipeline.timing import timed
from noiseform.core.registration.registry import load_registry, using_registry
from noiseform.core.storage.model_folder import load_model_folder, read_model_folder, write_model_folder


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def quick(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("quick") / "three-tones"
    assert main(["grid", f"{tiny_model}", f"{out}", "--steps", "4", "--steps", "6", "--trials", "4", "--quiet"]) == 0
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {f"{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def latents(pipeline: str | Path, **wishes: object) -> torch.Tensor:
    clips = audio.generate(str(pipeline), label="low", count=12, seed=77, **wishes)
    return torch.stack([clip.samples for clip in clips])


def test_the_new_model_is_the_old_one_with_other_times(quick, tiny_model):
    new, old = read_model_folder(quick), read_model_folder(tiny_model)
    assert new.sha256("base") == old.sha256("base")
    (stage,), (before,) = new.pipeline["stages"], old.pipeline["stages"]
    assert stage["grid"]["use"] == "optimal"
    assert [len(one) for one in stage["grid"]["nsr"]] == [3, 5]
    assert stage | {"grid": before["grid"]} == before
    assert {key: value for key, value in new.pipeline.items() if key != "stages"} == {
        key: value for key, value in old.pipeline.items() if key != "stages"
    }
    assert ("grid", "optimal") in {(part.kind, part.name) for part in new.parts}
    assert {key: new.facts[key] for key in old.facts} == old.facts
    for steps in ("4", "6"):
        assert new.facts["grid"]["after"][steps] < new.facts["grid"]["before"][steps]


def test_what_it_makes_is_nearer_to_a_long_run(quick, tiny_model):
    long = latents(tiny_model, steps=200)
    for steps in (4, 6):
        now, before = ((latents(model, steps=steps) - long).abs().mean().item() for model in (quick, tiny_model))
        assert now < before, steps


def test_the_item_tells_its_times_and_is_made_again(quick, capsys):
    assert main(["generate", "audio", f"{quick}", "--label", "low", "--steps", "4", "-o", "a.wav", "--quiet"]) == 0
    record = audio.read("a.wav").record
    assert record["config"]["stages"][0]["grid"]["use"] == "optimal"
    assert main(["replay", "a.wav", "--pipeline", f"{quick}"]) == 0, capsys.readouterr().err


def test_is_the_same_again_whatever_the_batch(tiny_model):
    for number, batch in enumerate((1, 1, 3)):
        timed(str(tiny_model), Path(f"again{number}"), (3,), trials=4, batch_size=batch)
    first, again, together = (
        read_model_folder(Path(f"again{number}")).pipeline["stages"][0]["grid"]["nsr"] for number in range(3)
    )
    assert first == again
    assert together[0] == pytest.approx(first[0], rel=1e-3)


def test_a_sampler_that_is_named_stays_with_its_times(tiny_model):
    wish = {"labels": ("high",)}
    own, done = (
        timed(str(tiny_model), Path(out), (4,), sampler=sampler, wish=wish, trials=4)
        for out, sampler in (("own", None), ("out", "ddim"))
    )
    (stage,) = read_model_folder(Path("out")).pipeline["stages"]
    assert stage["sampler"] == {"use": "ddim"}
    assert done.found[0].before == own.found[0].before  # that of the model as it was, with its own sampler
    assert done.found[0].after != own.found[0].after
    assert own.rows == 4 * 2 * (100 + own.found[0].calls)  # four runs, under guidance twice
    assert done.rows == 4 * 2 * (100 + 4 + done.found[0].calls)


def test_it_says_what_was_gained(tiny_model, capsys):
    assert main(["grid", f"{tiny_model}", "out", "--steps", "3", "--trials", "2"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("3 steps: distance to a long run 0.")
    assert said[1].startswith("model folder: ./out  (noiseform generate audio ./out --steps 3; ")


def test_what_is_there_is_kept_unless_it_is_to_be_replaced(tiny_model, quick, capsys):
    for name, said in (("text", "it exists and is no model folder"), ("model", "it exists; choose another name")):
        if name == "text":
            Path(name).write_text("mine")
        else:
            timed(str(quick), Path(name), (3,), trials=2)
        assert main(["grid", f"{tiny_model}", name, "--steps", "4"]) == 2
        assert f"error: grid: {name}: {said}" in capsys.readouterr().err
    Path("model/notes.txt").write_text("mine")
    assert main(["grid", "./model", "model", "--steps", "5", "--trials", "2", "--overwrite", "--quiet"]) == 0
    (stage,) = read_model_folder(Path("model")).pipeline["stages"]
    assert [len(one) for one in stage["grid"]["nsr"]] == [4]
    assert Path("model/notes.txt").read_text() == "mine"
    assert sorted(path.name for path in Path().iterdir()) == ["model", "text"]


def test_a_failure_leaves_nothing(tiny_model, quick, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = files(quick)
    monkeypatch.setattr("noiseform.core.pipeline.timing.write_model_folder", full)
    for out, more in (("out", []), (f"{quick}", ["--overwrite"])):
        assert main(["grid", f"{tiny_model}", out, "--steps", "3", "--trials", "2", *more]) == 6
    assert list(Path().iterdir()) == []
    assert files(quick) == before


def test_files_that_conditioners_keep_in_the_model_come_along(tiny_model, trained_as):
    model = trained_as(tiny_model)
    table = read_model_folder(model)
    inside = model / "words-0123abcd"
    inside.mkdir()
    (inside / "config.json").write_text("{}")
    pipeline = {**table.pipeline, "summary": "words-0123abcd"}
    write_model_folder(model, pipeline, load_model_folder(model)[1], table.parts, table.facts)
    timed(str(model), Path("out"), (3,), trials=2)
    assert Path("out/words-0123abcd/config.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--steps", "1"], "steps: expected different numbers, each 2 or more, got [1]"),
        (["--steps", "4", "--steps", "4"], "got [4, 4]"),
        (["--steps", "4", "--trials", "1"], "expected 2 trials or more"),
        (["--steps", "4", "--stage", "bsae"], "has no stage 'bsae'; did you mean 'base'?"),
        (["--steps", "4", "--sampler", "ddpm"], "adds noise"),
        (["--steps", "4", "--label", "medium"], "unknown label 'medium'"),
        (["--steps", "4", "--prompt", "a tone"], "this model takes no prompt"),
        ([], "--steps"),
    ],
)
def test_what_cannot_be_is_refused(tiny_model, capsys, arguments, said):
    assert main(["grid", f"{tiny_model}", "out", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not Path("out").exists()


CASCADE = """\
[pipelines.tones]
modality = "audio"
weights = "{tiny}"
[[pipelines.tones.stages]]
name = "low"
weights = "{tiny}"
[[pipelines.tones.stages]]
name = "large"
weights = "{large}"
"""


def test_a_stage_of_a_cascade_gets_times_of_its_own(tiny_model, large, tmp_path, capsys):
    registry = tmp_path / "mine.toml"
    registry.write_text(CASCADE.format(tiny=tiny_model, large=large))
    with using_registry(load_registry(registry)):
        assert main(["grid", "tones", "out", "--stage", "large", "--steps", "3", "--trials", "2"]) == 0
        first, second = read_model_folder(Path("out")).pipeline["stages"]
        assert first["grid"]["use"] != "optimal"
        assert second["grid"]["use"] == "optimal"
        (before,) = audio.generate("tones", label="low")
        usual = {"settings": ['stages.large.grid={use="' + first["grid"]["use"] + '"}']}
    (clip,) = audio.generate("./out", label="low")
    assert not torch.equal(clip.samples, before.samples)
    (clip,) = audio.generate("./out", label="low", **usual)
    torch.testing.assert_close(clip.samples, before.samples)


def test_a_model_that_makes_larger_what_is_there_has_nothing_to_start_from(large, capsys):
    assert main(["grid", f"{large}", "out", "--steps", "3"]) == 2
    assert "there is nothing; name a cascade" in capsys.readouterr().err
