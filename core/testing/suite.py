"""What every suite shares: which part it is about, and the checks that hold for a part of any kind."""

from __future__ import annotations

import copy
import functools
import json
from abc import ABCMeta
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from typing import Any, ClassVar

from ..errors import ConfigError
from ..registration.build import find, made_of
from ..registration.import_cost import ImportCost, import_costs
from ..registration.installed import Candidate
from ..registration.kinds import KINDS
from ..registration.parameters import check_parameters, describe
from ..registration.plugin_loading import Part, Plugin
from .claims import check_claims, refuse_unknown_claims
from .finding import Finding, holds, refused, skip

__all__ = ["Finding", "Suite", "claimed"]

IMPORT_LIMIT = 120.0
"""Seconds that the import of a plugin may take where it is looked at; a busy machine takes long."""


class _Claimed(ABCMeta):
    """Makes suites that know what their part claims: read when one is made, since to know a part is to load it."""

    def __call__(cls) -> Any:
        return super(_Claimed, claimed(cls)).__call__()


class Suite(metaclass=_Claimed):
    """A part, and the checks that hold for a part of any kind.

    A test class inherits the suite of its part's kind and says which part it is about. Every check is a method
    ``test_...`` without fixtures, so that pytest collects them, and raises a Finding. What the part's own attribute
    ``claims`` says goes for whatever the test class says nothing of.

    Attributes:
        component: the part: its registered name (``"midpoint"``, ``"acme-noise/midpoint"``), or the factory itself.
        parameters: what it is made with, as a file would say it.
    """

    kind: ClassVar[str]
    component: ClassVar[str | Callable[..., object]]
    parameters: ClassVar[Mapping[str, object]] = {}

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        refuse_unknown_claims(cls)

    @classmethod
    def checks(cls) -> Iterator[str]:
        """Return the names of the checks, in the order in which they are written, those of all kinds first."""
        names = dict.fromkeys(name for owner in reversed(cls.__mro__) for name in vars(owner))
        yield from (name for name in names if name.startswith("test_") and callable(getattr(cls, name)))

    @classmethod
    def lacks(cls) -> str:
        """Return what the suite has to say of the part before it can be made; nothing where it can."""
        factory = cls.part().load()
        if not callable(factory):
            return ""
        required = [one.name for one in describe(factory) if one.required and not one.host]
        missing = [name for name in required if name not in cls.parameters]
        return f"parameters {', '.join(missing)}" if missing else ""

    @classmethod
    def part(cls) -> Part:
        """Return the part as the registry knows it, or one made up for a factory that no plugin has registered yet.

        Raises:
            Finding: the suite names none, or there is none of that name.
        """
        component = cls.__dict__.get("component", getattr(cls, "component", None))
        if isinstance(component, staticmethod):
            component = component.__func__
        holds(component is not None, f"{cls.__name__}: set `component` to the name of the {cls.kind} or to its factory")
        if isinstance(component, str):
            try:
                return find(cls.kind, component)
            except ConfigError as error:
                raise Finding(f"{error}; is its plugin installed? noiseform plugins list") from error
        named = getattr(component, "__name__", type(component).__name__)
        candidate = Candidate(str(getattr(component, "__module__", "")), "", "not-registered", "", cls.__name__)
        return Part(cls.kind, named, component, Plugin(candidate))

    def made(self, **host: object) -> Any:
        """Return the part, made anew, with those of the host's offers that its signature names."""
        return made_of(self.part(), self.parameters, host)

    def test_import_is_light(self) -> None:
        """Naming the parts of a plugin imports nothing heavy, since every start of the command line does it."""
        plugin = self.part().plugin
        if not plugin.candidate.target:
            skip("no plugin has registered it")
        cost = _import_cost(plugin.candidate.target)
        holds(not cost.fault, f"plugin {plugin.label}: its import {cost.fault}")
        heavy = ", ".join(cost.libraries)
        holds(not heavy, f"plugin {plugin.label} imports {heavy} at its top; name parts as 'module:attribute'")

    def test_parameters_are_described(self) -> None:
        """Every parameter that a file may set has a type that JSON Schema can express, and a default that fits it."""
        factory = self.part().load()
        holds(callable(factory), f"expected a factory, got {type(factory).__name__}")
        assert callable(factory)
        for parameter in describe(factory):
            if parameter.host:
                continue
            name = f"parameter {parameter.name!r}"
            holds(parameter.schema, f"{name}: {parameter.expects} is no type that a file can say; annotate it")
            if not parameter.required:
                with _accepted(f"{name}: its default {parameter.default!r} is not accepted"):
                    given = {**self.parameters, parameter.name: _as_file(parameter.default)}  # some may be required
                    check_parameters(factory, given, what=self.part().label)

    def test_parameters_are_validated(self) -> None:
        """An unknown parameter is refused, and one of a wrong type too."""
        factory = self.part().load()
        assert callable(factory)
        with refused(ConfigError, "a parameter that does not exist"):
            check_parameters(factory, {"no_such_parameter": 1}, what=self.part().label)
        for parameter in describe(factory):
            if not parameter.host and parameter.schema.get("type") in {"integer", "number", "boolean"}:
                with refused(ConfigError, f"parameter {parameter.name!r}: text in the place of a {parameter.expects}"):
                    check_parameters(factory, {parameter.name: "some text"}, what=self.part().label)

    def test_keeps_its_contract(self) -> None:
        """What is made has what its kind asks for, and can be copied."""
        made = self.made(**self.host())
        for name in KINDS[self.kind].contract:
            holds(hasattr(made, name), f"the {self.kind} has no {name}")
        copy.deepcopy(made)

    def host(self) -> dict[str, object]:
        """Return what the program gives a part of this kind when it is made."""
        return {}


def claimed(suite: Any) -> Any:
    """Return a suite that says what its part claims itself, where the test class says nothing of it.

    Raises:
        Finding: there is no such part, or its suite knows no such claim.
    """
    claims: Mapping[str, object] = getattr(suite.part().load(), "claims", {})
    check_claims(suite, claims)
    of_author = takewhile(lambda owner: "kind" not in vars(owner), suite.__mro__)
    said = {name for owner in of_author for name in vars(owner)}
    more = {name: value for name, value in claims.items() if name not in said}
    return type(suite.__name__, (suite,), {"__module__": suite.__module__, **more}) if more else suite


def _as_file(value: object) -> object:
    """Return a default as a file would say it: a tuple is an array there."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return value


@contextmanager
def _accepted(message: str) -> Iterator[None]:
    """Turn a refusal into a Finding that begins with what was tried."""
    try:
        yield
    except ConfigError as error:
        raise Finding(f"{message}: {error}") from error


@functools.lru_cache
def _import_cost(target: str) -> ImportCost:
    """Return what a plugin's import costs in an interpreter that has imported nothing heavy; asked once a plugin."""
    return import_costs([target], limit=IMPORT_LIMIT)[target]
