"""Which files make a data set, and what each is called: the part that is the same for every modality."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..errors import ConfigError, MediaError
from ..naming import printable
from .labelling import Labeller, by_folder, by_pattern, by_table, parse_pattern, unlabelled
from .source import Entry, Source

__all__ = ["DataConfig", "Labelled", "Listing", "list_items", "matcher", "refuse_too_many"]


class DataConfig(BaseModel):
    """The ``[data]`` table of a recipe: which files, and where their labels come from.

    Attributes:
        labels: where the labels come from. ``folder``: the name of the folder that the file lies in; ``pattern``: the
            file's name, by ``pattern``; ``csv``: the table ``csv``; ``none``: there are none.
        pattern: the shape of the names without their ending, such as ``{digit}_{speaker}_{take}``. A field ends at
            the first place where the text after it stands, and holds no ``/``. With a ``/`` in it, it is held against
            the end of the whole path, such as ``{speaker}/{digit}_{take}``.
        fields: which fields of the pattern, or columns of the table, are labels, in this order; empty means all.
        csv: name of the table inside the data, with a heading line; the column ``file`` names the files.
        rename: other names for labels, such as ``{"0" = "zero"}``.
        include: only files that match one of these globs (case does not matter), by name or whole path; empty means
            the usual endings of the modality.
        exclude: no files that match one of these globs.
        window: which part of an item larger than the model's is taken: ``random``, its ``start`` or its ``centre``.
        fit: how a picture gets the model's shape. ``crop``: resized until it covers it, then cut; ``pad``: resized
            until it lies inside, then laid on the background; ``stretch``: resized whatever its own shape.
        flip: mirror half of the pictures left to right.
        background: what lies behind transparent and beside padded pictures.
        max_bad: largest share of files that may be unusable.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: Literal["folder", "pattern", "csv", "none"] = "folder"
    pattern: str | None = None
    fields: tuple[str, ...] = ()
    csv: str | None = None
    rename: dict[str, str] = Field(default_factory=dict)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    window: Literal["random", "start", "centre"] = "random"
    fit: Literal["crop", "pad", "stretch"] = "crop"
    flip: bool = False
    background: Literal["white", "black"] = "white"
    max_bad: float = Field(default=0.05, ge=0.0, le=1.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _consistent(self) -> DataConfig:
        for rule, value in (("pattern", self.pattern), ("csv", self.csv)):
            if value is None and self.labels == rule:
                raise ValueError(f"labels = {rule!r} needs {rule}")
            if value is not None and self.labels != rule:
                raise ValueError(f"labels = {self.labels!r} takes no {rule}")
        if self.fields and self.labels not in ("pattern", "csv"):
            raise ValueError(f"labels = {self.labels!r} takes no fields")
        if self.pattern is not None:
            parse_pattern(self.pattern)
        if self.csv is not None and (self.csv.startswith("/") or ".." in self.csv.split("/")):
            raise ValueError("csv must name a file inside the data, without '..'")
        return self


@dataclass(frozen=True, slots=True)
class Labelled:
    """A file of a data set with its labels, one for each field."""

    entry: Entry
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """The files of a data set.

    Attributes:
        items: files and labels, sorted by name.
        fields: the names of the fields of the labels.
        skipped: name and reason of the files that cannot be used.
        unread: name and reason of what is no regular file (links, devices): passed over, not counted as bad.
    """

    items: tuple[Labelled, ...]
    fields: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    unread: tuple[tuple[str, str], ...]


def list_items(source: Source, config: DataConfig, endings: tuple[str, ...]) -> Listing:
    """List the files of ``source`` that ``config`` asks for, with their labels.

    Args:
        source: folder or archive.
        config: the recipe's ``[data]`` table.
        endings: globs of the modality's files, used where ``config.include`` is empty.

    Raises:
        ConfigError: ``config`` names a field, or a table, that is not there.
        MediaError: the source cannot be read, or holds no such file.
    """
    include, exclude = matcher(config.include or endings), matcher(config.exclude)

    def wanted(name: str) -> bool:
        return name == config.csv or (include(name) and not exclude(name))

    fields, label = _rule(config)
    entries = {entry.name: entry for entry in source.entries(wanted)}
    table = entries.pop(config.csv, None) if config.csv else None
    if not entries:
        raise MediaError(
            f"no data: {printable(source.place)}: no file matches {', '.join(config.include or endings)} "
            f"({len(source.unread)} others passed over); name another folder or set include"
        )
    if config.labels == "csv":
        if table is None:
            raise ConfigError(
                f"wrong data: csv: {printable(source.place)} holds no file {config.csv!r}; put the table there"
            )
        fields, label = by_table(table, config.fields)
    items: list[Labelled] = []
    skipped: list[tuple[str, str]] = []
    for entry in entries.values():
        labels = label(entry.name)
        if isinstance(labels, str):
            skipped.append((entry.name, labels))
        else:
            items.append(Labelled(entry, tuple(config.rename.get(text, text) for text in labels)))
    return Listing(tuple(items), fields, tuple(skipped), tuple(source.unread))


def refuse_too_many(place: object, bad: int, total: int, share: float, reasons: Iterable[tuple[str, str]]) -> None:
    """Raise MediaError where more than ``share`` of ``total`` files are bad, or all; ``reasons`` gives an example."""
    if bad < total and bad <= share * total:
        return
    name, reason = next(iter(reasons), ("", "no file"))
    raise MediaError(
        f"bad data: {printable(str(place))}: {bad} of {total} files cannot be used "
        f"(first: {printable(name)}: {reason}); mend or exclude them, or raise max_bad = {share:g}"
    )


def _rule(config: DataConfig) -> tuple[tuple[str, ...], Labeller]:
    if config.labels == "pattern":
        return by_pattern(config.pattern or "", config.fields)
    if config.labels == "folder":
        return ("label",), by_folder
    return (), unlabelled


def matcher(globs: Iterable[str]) -> Callable[[str], bool]:
    """Return what tells whether a name, or its last part, matches one of the globs, whatever the case."""
    expression = re.compile("|".join(fnmatch.translate(glob.lower()) for glob in globs) or r"(?!)")

    def matches(name: str) -> bool:
        whole = name.lower()
        return bool(expression.match(whole.rsplit("/", 1)[-1]) or expression.match(whole))

    return matches
