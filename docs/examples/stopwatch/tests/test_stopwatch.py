"""The table, the file of steps, and that nothing is watched where nobody asks."""

from __future__ import annotations

import csv
from types import SimpleNamespace

import pytest
from noiseform import ConfigError, image
from noiseform.core.cli.main import main
from noiseform_stopwatch.step_times import HEADINGS, StepTimes


def lines(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_of_what_each_number_of_steps_takes(tmp_path, capsys):
    file = tmp_path / "steps.csv"
    command = ["stopwatch", "garments", "--steps", "1,3", "--sampler", "euler", "--sampler", "heun", "--csv", str(file)]
    assert main([*command, "--label", "bag", "-n", "2"]) == 0
    heading, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert heading[:4] == ["sampler", "steps", "stage", "NFE"]
    # Guidance doubles the calls; heun takes one in its first step, from pure noise, and one in its last.
    assert [row[:4] for row in rows] == [
        ["euler", "1", "base", "2"],
        ["euler", "3", "base", "6"],
        ["heun", "1", "base", "2"],
        ["heun", "3", "base", "8"],
    ]
    assert all(float(row[4]) > 0 for row in rows)
    steps = lines(file)
    assert tuple(steps[0]) == HEADINGS
    assert len(steps) == 2 * 2 * (1 + 3)  # samplers, items, steps; what was made beforehand is not among them
    assert [row["calls"] for row in steps if row["sampler"] == "heun" and row["item"] == "1"] == ["1", "1", "2", "1"]


def test_the_stages_of_a_cascade_and_all_together(capsys):
    assert main(["stopwatch", "spoken-digits-cascade", "--steps", "1", "--label", "seven"]) == 0
    first, second, total = capsys.readouterr().out.splitlines()[1:]
    assert first.split()[1:4] == ["1", "base", "2"]
    assert second.split()[2] == "large"
    assert total.split()[:3] == ["in", "all", str(2 + int(second.split()[3]))]


def test_what_is_not_there(capsys):
    assert main(["stopwatch", "nothing"]) == 2
    assert main(["stopwatch", "garments", "--steps", "4,x"]) == 2
    assert "expected whole numbers from 1, such as 4,8,16" in capsys.readouterr().err


def test_a_variable_of_the_environment_has_every_run_watched(tmp_path, monkeypatch):
    file = tmp_path / "steps.csv"
    monkeypatch.setenv("NOISEFORM_STOPWATCH", str(file))
    monkeypatch.setenv("NOISEFORM_STOPWATCH_EVERY", "2")
    for _ in range(2):  # the second run goes on with the file
        image.generate("garments", label="bag", steps=3, sampler="euler")
    assert [(row["step"], row["of"], row["calls"]) for row in lines(file)] == [("2", "3", "2"), ("3", "3", "1")] * 2
    monkeypatch.delenv("NOISEFORM_STOPWATCH")
    image.generate("garments", label="bag", steps=1, sampler="euler")
    assert len(lines(file)) == 4


def test_every_window_is_timed_from_its_own_beginning(tmp_path):
    watch = StepTimes(tmp_path / "steps.csv")
    config = SimpleNamespace(sampler=SimpleNamespace(use="euler"))
    run = SimpleNamespace(
        pipeline="p", called="base", stage=SimpleNamespace(config=config), keys=[SimpleNamespace(item=0)]
    )
    watch.begin(run)
    here = SimpleNamespace(t=1.0)
    for _ in range(2):
        for index in range(2):
            seconds = 0.25 * (index + 1)
            watch(SimpleNamespace(index=index, steps=2, here=here, calls=index + 1, seconds=seconds))
    told = [(row["window"], row["calls"], row["milliseconds"]) for row in lines(tmp_path / "steps.csv")]
    assert told == [("0", "1", "250.000")] * 2 + [("1", "1", "250.000")] * 2


def test_what_cannot_be_watched(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="expected a whole number from 1"):
        StepTimes(tmp_path / "a.csv", every="x")
    monkeypatch.setenv("NOISEFORM_STOPWATCH", str(tmp_path / "nowhere" / "a.csv"))
    with pytest.raises(ConfigError, match="name a file in a folder"):
        image.generate("garments", label="bag", steps=1)
