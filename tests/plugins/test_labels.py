"""Labels: which vectors an item gets."""

from __future__ import annotations

import pytest
import torch
from noiseform import build
from noiseform.core.errors import ConfigError
from noiseform.core.pipeline.model import Model


@pytest.fixture
def digits() -> torch.nn.Module:
    return build("conditioner", "labels", names=["one", "two", "three"], width=4)


def test_each_label_has_its_vector(digits: torch.nn.Module) -> None:
    raw = digits.encode([{"labels": ("two",)}, {"labels": ("one", "george")}, {}])
    assert torch.equal(digits(raw)["vector"], digits.vectors[[1, 0, 3]])


def test_several_labels_are_summed() -> None:
    tags = build("conditioner", "labels", names=["loud", "short", "low"], width=4, several=True)
    raw = tags.encode([{"labels": ("low", "loud")}])
    torch.testing.assert_close(tags(raw)["vector"][0], tags.vectors[0] + tags.vectors[2])


def test_two_labels_that_exclude_each_other_are_refused(digits: torch.nn.Module) -> None:
    with pytest.raises(ConfigError, match="'one' and 'two' exclude each other"):
        digits.encode([{"labels": ("one", "two")}])


def test_null_says_nothing(digits: torch.nn.Module) -> None:
    raw = digits.encode([{"labels": ("two",)}, {}])
    null = digits.null(raw)
    assert {name: value.shape for name, value in null.items()} == {name: value.shape for name, value in raw.items()}
    assert torch.equal(digits(null)["vector"], digits.vectors[[3, 3]])


def test_kinds_of_labels_add_up(digits: torch.nn.Module) -> None:
    speakers = build("conditioner", "labels", names=["george", "theo"], width=4)
    model = Model(torch.nn.Identity(), [digits, speakers])
    cond = model.condition(model.encode([{"labels": ("three", "theo")}]))
    torch.testing.assert_close(cond["vector"][0], digits.vectors[2] + speakers.vectors[1])


def test_unknown_labels_are_refused_with_the_nearest(digits: torch.nn.Module) -> None:
    model = Model(torch.nn.Identity(), [digits])
    with pytest.raises(ConfigError, match="unknown label 'tree'; did you mean 'three'"):
        model.encode([{"labels": ("tree",)}])


def test_a_label_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="twice"):
        build("conditioner", "labels", names=["one", "one"])
