"""What a user asks for, checked, as the conditions of items; light to import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import ConfigError

__all__ = ["MAX_COUNT", "conditions_of", "labels_of"]

MAX_COUNT = 1_000_000


def labels_of(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return one label, or several, as several."""
    labels = (given,) if isinstance(given, str) else given or ()
    if not isinstance(labels, Sequence) or not all(isinstance(label, str) for label in labels):
        raise ConfigError(f"label: expected text, or several, got {given!r:.80}")
    return tuple(labels)


def conditions_of(
    labels: str | Sequence[str] | None,
    prompt: str | None,
    negative_labels: str | Sequence[str] | None = (),
    negative_prompt: str | None = None,
    *,
    label: str | Sequence[str] | None = None,
    count: int,
    first: int = 0,
    batch_size: int = 1,
) -> list[Mapping[str, object]]:
    """Return the conditions of ``count`` items that are all asked for alike.

    Args:
        labels: what they are.
        prompt: the same, in words.
        negative_labels: what they are not.
        negative_prompt: the same, in words.
        label: what they are too; it comes first.
        count: how many.
        first: number of the first.
        batch_size: how many are made at a time.

    Raises:
        ConfigError: a number is out of bounds, or a text is none.
    """
    for name, value, least in (("count", count, 1), ("first", first, 0), ("batch_size", batch_size, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_COUNT:
            raise ConfigError(f"{name}: expected a whole number from {least} to {MAX_COUNT}, got {value!r}")
    wish: dict[str, object] = {"labels": (*labels_of(label), *labels_of(labels))}
    for name, text, key in (("prompt", prompt, "text"), ("negative_prompt", negative_prompt, "negative_text")):
        if not isinstance(text, str | None):
            raise ConfigError(f"{name}: expected text, got {text!r:.80}")
        if text:
            wish[key] = text
    unwanted = labels_of(negative_labels)
    if unwanted:
        wish["negative_labels"] = unwanted
    return [wish] * count
