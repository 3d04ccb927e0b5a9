"""JSON as files of this project hold it: one object, no key twice, no NaN, bounded size."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from ..errors import CheckpointError

__all__ = ["dump_json", "parse_json_object"]


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice[:80]!r} stands twice")
    return entries


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def parse_json_object(data: bytes, source: str, *, infinite: bool = False) -> dict[str, object]:
    """Parse ``data`` as one JSON object.

    Args:
        data: UTF-8 text; the caller bounds its length.
        source: what to call it in an error, such as ``"manifest: RUN/manifest.json"``.
        infinite: read NaN and Infinity, which are no JSON but which other programs write.

    Raises:
        CheckpointError: when it is no UTF-8, no JSON, no object, nested too deep, or has a key twice.
    """
    try:
        parsed = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=float if infinite else _no_constant
        )
    except (ValueError, RecursionError) as error:
        why = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{source}: not readable as JSON ({why}); the file is damaged, take another copy"
        ) from error
    if not isinstance(parsed, dict):
        raise CheckpointError(f"{source}: a JSON object was expected; the file is damaged, take another copy")
    return parsed


def dump_json(entries: Mapping[str, object]) -> bytes:
    """Return ``entries`` as indented UTF-8 JSON in their own order.

    Raises:
        TypeError, ValueError: when something in it is no JSON value, NaN and infinity included.
    """
    return (json.dumps(entries, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode("utf-8")
