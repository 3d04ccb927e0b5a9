"""Factories that cannot be looked into, hashed or compared: named with their plugins, or used all the same."""

from __future__ import annotations

import json

import pytest
from noiseform import build
from noiseform.core.cli.main import main
from noiseform.core.errors import ConfigError, PluginError
from noiseform.core.registration.build import build_part

GOOD_IMPL = """
class Midpoint:
    order, stochastic, nfe_per_step, init, step = 2, False, 2, None, None

    def __init__(self, churn: float = 0.0) -> None:
        self.churn = churn
"""
ODD = """
    from __future__ import annotations
    import dataclasses
    from typing import TYPE_CHECKING
    from good_impl import Midpoint

    if TYPE_CHECKING:
        from pathlib import Path

    class Meta(type):
        @property
        def __signature__(self):
            raise SystemExit(3)

    class Signed(metaclass=Meta): pass

    class Refusing:
        def __call__(self, depth: int = 1): return Midpoint()
        def __eq__(self, other): raise SystemExit("no")
        def __repr__(self): raise SystemExit("no")
        __hash__ = None

    @dataclasses.dataclass
    class Mk:
        churn: float = 0.5
        def __call__(self, depth: int = 1): return Midpoint(self.churn)

    class Typed(Midpoint):
        def __init__(self, folder: Path | None = None): pass

    class Checked:
        @classmethod
        def __get_pydantic_core_schema__(cls, source, handler): raise SystemExit(4)

    class Unchecked(Midpoint):
        def __init__(self, check: Checked = 3): pass
"""
UNREADABLE = {
    "signed": "cannot be read (SystemExit: 3)",
    "typed": "cannot be resolved (NameError: name 'Path' is not defined)",
    "unchecked": "cannot be read (SystemExit: 4)",
}


def hook(body: str) -> str:
    """Return a plugin whose sampler hook has that body."""
    return f"from noiseform import hookimpl\n@hookimpl\ndef noiseform_samplers():\n    {body}\n"


@pytest.fixture
def odd(site) -> None:
    targets = "'signed': odd_parts.Signed, 'typed': odd_parts.Typed, 'unchecked': odd_parts.Unchecked"
    targets += ", 'mk': odd_parts.Mk(), 'refusing': odd_parts.Refusing()"
    modules = {"odd_plugin": "import odd_parts\n" + hook(f"return {{{targets}}}"), "odd_parts": ODD}
    again = modules["odd_plugin"]
    points = {"one": "odd_plugin", "two": "odd_again"}  # so that one part is compared with the other
    site.add("odd", {**modules, "odd_again": again, "good_impl": GOOD_IMPL}, entry_points=points)


@pytest.mark.parametrize("name", UNREADABLE)
def test_factory_whose_parameters_cannot_be_read_is_named_with_its_plugin(odd, capsys, name):
    for use in (lambda: build("sampler", name), lambda: build_part({"use": name}, "sampler")):
        with pytest.raises(PluginError) as caught:
            use()
        assert str(caught.value).startswith(f"sampler {name!r} of plugin one (odd 1.0): ")
        assert UNREADABLE[name] in str(caught.value)
    assert main(["show", f"sampler/{name}"]) == 5
    said = capsys.readouterr().err
    assert f"sampler {name!r} of plugin one (odd 1.0)" in said
    assert UNREADABLE[name] in said


def test_factory_that_cannot_be_hashed_is_used(site, capsys):
    modules = {"odd_plugin": "import odd_parts\n" + hook("return {'mk': odd_parts.Mk()}"), "odd_parts": ODD}
    site.add("odd", {**modules, "good_impl": GOOD_IMPL})
    assert build("sampler", "mk").churn == 0.5
    assert build_part({"use": "mk", "depth": 2}, "sampler").churn == 0.5
    with pytest.raises(ConfigError, match="sampler 'mk': parameter 'depth': expected"):
        build_part({"use": "mk", "depth": "deep"}, "sampler")
    assert main(["show", "sampler/mk"]) == 0
    assert "depth" in capsys.readouterr().out


def test_factory_that_refuses_to_be_compared_harms_nothing(odd, capsys):
    assert main(["list", "sampler"]) == 0
    assert capsys.readouterr().out.count("odd/refusing") == 2  # of two plugins, and nobody can tell that it is one
    assert build("sampler", "ddim")


def test_doctor_and_schema_name_the_parts_whose_parameters_cannot_be_read(odd, capsys):
    assert main(["plugins", "doctor", "--json"]) == 5
    problems = {one["what"]: one["why"] for one in json.loads(capsys.readouterr().out)["problems"]}
    for name, reason in UNREADABLE.items():
        assert reason in problems[f"sampler/{name}"]
    assert "SystemExit: no" in problems["sampler/refusing"]  # Python compares a factory with its own classes
    assert "sampler/mk" not in problems
    assert main(["registry", "schema"]) == 0
    printed = capsys.readouterr()
    definitions = json.loads(printed.out)["$defs"]
    for name, reason in UNREADABLE.items():
        assert reason in definitions[f"sampler.odd.{name}"]["description"]
    assert len(printed.err.splitlines()) == len(UNREADABLE)
    assert all(line.endswith("no parameter of it is checked") for line in printed.err.splitlines())


def test_what_a_part_refuses_is_told_with_part_and_place(site):
    source = """
        from noiseform import hookimpl
        from noiseform.core.errors import ConfigError

        def refusing(how: str = ""):
            raise ConfigError(f"{how}; use another")

        @hookimpl
        def noiseform_samplers(): return {"refusing": refusing}
    """
    site.add("refusing", {"refusing": source})
    with pytest.raises(ConfigError, match=r"^sampler 'refusing': depth: too much; use another$"):
        build("sampler", "refusing", how="depth: too much")
    for told in ("sampler refusing: too much", "sampler/refusing: too much"):
        with pytest.raises(ConfigError, match=rf"^x\.toml, stage 'base': {told}; use another$"):
            build_part({"use": "refusing", "how": told}, "sampler", where="x.toml, stage 'base'")
