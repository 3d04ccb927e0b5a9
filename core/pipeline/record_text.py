"""The record of how an item was made, as text in the comment of its file.

It is JSON in ASCII, so that every format keeps it as it is: other letters, quotes and line ends are escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from ..errors import ConfigError

__all__ = ["format_record", "parse_record"]

RECORD_LIMIT = 2**20
"""Longest record, in bytes."""

_MARK = "noiseform "
"""Start of a comment that is a record of ours."""


def format_record(record: Mapping[str, object] | None) -> str:
    """Return the comment that holds ``record``; empty for None.

    Raises:
        ConfigError: the record holds other things than plain values, or is too long.
    """
    if record is None:
        return ""
    try:
        text = json.dumps(dict(record), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"wrong record: {error}; give text, numbers, lists and mappings only") from error
    if len(text) > RECORD_LIMIT:
        raise ConfigError(f"wrong record: {len(text)} bytes, more than {RECORD_LIMIT}; shorten it")
    return _MARK + text


def parse_record(comment: str) -> dict[str, object] | None:
    """Return the record in a comment, or None where the comment is none of ours or damaged."""
    if not comment.startswith(_MARK) or len(comment) > RECORD_LIMIT + len(_MARK):
        return None
    try:
        record = json.loads(comment.removeprefix(_MARK).rstrip("\0"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
