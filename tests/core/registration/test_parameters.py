"""Parameters of parts, checked against the signature of their factory."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import pytest
from annotated_types import Ge, Interval, Len
from noiseform.core.errors import ConfigError, PluginError
from noiseform.core.registration.parameters import check_parameters, describe, host_parameters

if TYPE_CHECKING:
    from nowhere import Unknown


class Part:
    """A part with parameters of many types."""

    def __init__(
        self,
        steps: Annotated[int, Ge(1)],
        scale: Annotated[float, Interval(ge=0, lt=10)] = 1.0,
        kind: Literal["linear", "cosine"] = "linear",
        rank: Literal[1, 2] = 1,
        widths: Annotated[tuple[int, ...], Len(1, 3)] = (1, 2),
        pair: tuple[float, float] | None = None,
        names: list[str] = [],  # noqa: B006
        flag: bool = False,
        folder: Path | None = None,
        free=None,
        *,
        media: Unknown = None,
        needed: Unknown,
    ) -> None:
        self.given = dict(locals())


def check(**given: object) -> dict[str, object]:
    return check_parameters(Part, {"steps": 1, **given}, what="network 'part'", listing="noiseform show network/part")


def test_values_keep_their_types():
    given = {"scale": 2, "widths": [3, 4], "pair": [0.5, 1], "names": ["a"], "flag": True, "free": {"x": [1]}}
    checked = check(**given, folder="x")
    expected = {"scale": 2.0, "widths": (3, 4), "pair": (0.5, 1.0), "names": ["a"], "flag": True, "free": {"x": [1]}}
    assert checked == {"steps": 1, **expected, "folder": Path("x")}
    assert isinstance(checked["scale"], float)


def test_tuples_of_python_are_taken_too():
    assert check(widths=(3, 4), pair=(1, 2))["widths"] == (3, 4)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"steps": 0}, "parameter 'steps': expected integer >= 1, got 0 (int); see noiseform show network/part"),
        ({"steps": True}, "expected integer >= 1, got True (bool)"),
        ({"steps": "3"}, "expected integer >= 1, got '3' (str)"),
        ({"steps": 1.5}, "expected integer >= 1, got 1.5 (float)"),
        ({"steps": None}, "got None (NoneType)"),
        ({"scale": 10}, "expected number >= 0, < 10, got 10"),
        ({"scale": float("nan")}, "got nan (float)"),
        ({"scale": float("inf")}, "got inf (float)"),
        ({"kind": "cosin"}, "expected 'linear' or 'cosine', got 'cosin'"),
        ({"rank": True}, "expected 1 or 2, got True (bool)"),
        ({"widths": []}, "expected 1 to 3 integers, got []"),
        ({"widths": [1, "2"]}, "got [1, '2']"),
        ({"pair": [1, 2, 3]}, "expected array of [number, number] or nothing"),
        ({"flag": 1}, "expected boolean, got 1"),
        ({"names": "abc"}, "expected an array of strings, got 'abc'"),
        ({"scale": object}, "got <class 'object'> (type)"),
        ({"sclae": 1}, "unknown parameter 'sclae'; did you mean 'scale'?"),
        ({"media": 1}, "parameter 'media' is given by the program and cannot be set"),
        ({"self": 1}, "unknown parameter 'self'"),
        ({"steps": "x" * 1000}, "…"),
    ],
)
def test_wrong_value_is_explained(given, reason):
    with pytest.raises(ConfigError) as caught:
        check(**given)
    assert reason in str(caught.value)
    assert str(caught.value).startswith("network 'part': ")
    assert len(str(caught.value)) < 300


def test_missing_parameter_and_place():
    with pytest.raises(
        ConfigError, match=r"network 'part': x.toml:3: parameter 'steps' is missing: expected integer >= 1"
    ):
        check_parameters(Part, {}, what="network 'part'", where="x.toml:3")


def test_numbers_come_through_exactly():
    draw = random.Random(0)
    for _ in range(2000):
        value = draw.uniform(0, 10) * 10.0 ** draw.randint(-300, 0)
        assert check(scale=value)["scale"] == value


def test_description():
    described = {parameter.name: parameter for parameter in describe(Part)}
    assert list(described)[:3] == ["steps", "scale", "kind"]
    assert described["steps"].required
    assert described["scale"].expects == "number >= 0, < 10"
    assert described["scale"].schema["minimum"] == 0
    assert described["free"].expects == "any value"
    assert [name for name, parameter in described.items() if parameter.host] == ["media", "needed"]
    assert host_parameters(Part) == {"media": False, "needed": True}


@dataclass(frozen=True)
class Frozen:
    scale: Annotated[float, Ge(0)] = 1.0


class Bare:
    pass


def function(scale: Annotated[float, Ge(0)] = 1.0, **rest: object) -> None: ...


class Callee:
    def __call__(self, scale: Annotated[float, Ge(0)] = 1.0) -> None: ...


@pytest.mark.parametrize("factory", [Frozen, function, functools.partial(function), Callee()])
def test_every_kind_of_factory(factory: Callable[..., object]):
    assert check_parameters(factory, {"scale": 2}, what="x") == {"scale": 2.0}
    for wrong in ({"scale": -1}, {"other": 1}):
        with pytest.raises(ConfigError):
            check_parameters(factory, wrong, what="x")


def test_factory_without_parameters():
    assert check_parameters(Bare, {}, what="x") == {}
    with pytest.raises(ConfigError, match="unknown parameter 'scale'; it takes none"):
        check_parameters(Bare, {"scale": 1}, what="x")


def unresolvable(x: Unknown) -> None: ...


@pytest.mark.parametrize("factory", [unresolvable, type, 3])
def test_signature_that_cannot_be_read(factory):
    with pytest.raises(PluginError, match="sampler 'x': "):
        check_parameters(factory, {}, what="sampler 'x'")
