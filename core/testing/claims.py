"""What a test class may say of its part: the attributes of its suite, and no misspelt ones."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from ..errors import nearest
from .finding import Finding, holds

__all__ = ["check_claims", "refuse_unknown_claims"]

__tracebackhide__ = True  # pytest then shows the test class


def check_claims(suite: type, claims: object) -> None:
    """Raise a Finding unless these are claims that a suite reads, by name: what a part says of itself."""
    kind = getattr(suite, "kind", "part")
    holds(isinstance(claims, Mapping), f"claims: expected values by name, got a {type(claims).__name__}")
    assert isinstance(claims, Mapping)
    known = _known(suite)
    for name in claims:
        cure = f"a suite in noiseform.testing says what can be: {', '.join(sorted(known))}"
        holds(name in known, f"claims: a {kind} can claim no {name!r}; {cure}")


def refuse_unknown_claims(suite: type) -> None:
    """Raise a Finding where a test class sets an attribute that no suite of its reads, since a typo would say nothing.

    Functions and classes, what begins with ``_``, ``test`` or ``pytest``, and what is annotated is the class's own.

    ``declared_ordr = 2`` gives ``'declared_ordr' is no claim of a sampler; did you mean 'declared_order'?``
    """
    inherited = {name for base in suite.__mro__[1:] for name in vars(base)} | {"kind", "component"}
    claims = _known(suite)
    for name, value in vars(suite).items():
        own = name.startswith(("_", "test", "pytest")) or callable(value) or hasattr(value, "__get__")
        if not own and name not in claims | inherited:
            what = f"{name!r} is no claim of a {getattr(suite, 'kind', 'part')}"
            own_way = "begin the name of what is your own with '_'"
            raise Finding(f"{suite.__name__}: {what}; {nearest(name, claims)} {own_way}")


def _known(suite: type) -> set[str]:
    """Return the claims that a suite reads: its annotated attributes, beside what says which part it is about."""
    return {name for owner in suite.__mro__ for name in inspect.get_annotations(owner)} - {"kind", "component"}
