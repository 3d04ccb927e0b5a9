"""What a test class may say of its part: the attributes of its suite, and no misspelt ones."""

from __future__ import annotations

from ..errors import nearest
from .finding import Finding

__all__ = ["refuse_unknown_claims"]

__tracebackhide__ = True  # pytest then shows the test class


def refuse_unknown_claims(suite: type) -> None:
    """Raise a Finding where a test class sets an attribute that no suite of its reads, since a typo would say nothing.

    Functions and classes, what begins with ``_``, ``test`` or ``pytest``, and what is annotated is the class's own.

    ``declared_ordr = 2`` gives ``'declared_ordr' is no claim of a sampler; did you mean 'declared_order'?``
    """
    known = {name for base in suite.__mro__ for name in vars(base).get("__annotations__", {})}
    known |= {name for base in suite.__mro__[1:] for name in vars(base)}
    for name, value in vars(suite).items():
        own = name.startswith(("_", "test", "pytest")) or callable(value) or hasattr(value, "__get__")
        if not own and name not in known:
            claims = {claim for claim in known if not claim.startswith(("_", "test"))}
            what = f"{name!r} is no claim of a {getattr(suite, 'kind', 'part')}"
            own_way = "begin the name of what is your own with '_'"
            raise Finding(f"{suite.__name__}: {what}; {nearest(name, claims)} {own_way}")
