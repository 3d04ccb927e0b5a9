"""Which files make a data set, and what each is called: the part that is the same for every modality."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from ..errors import ConfigError, MediaError
from ..naming import printable
from . import captions, labelling
from .source import Entry, Source

__all__ = ["DataConfig", "Labelled", "Listing", "list_items", "matcher", "refuse_too_many"]


_TOLD = 5  # of too many bad files those that an error names
Names = Annotated[tuple[str, ...], Field(strict=False)]  # which TOML writes as an array
_INSIDE: dict[str, Any] = {"minLength": 1, "not": {"pattern": r"^/|(^|/)\.\.(/|$)"}}
_READ: dict[str, Any] = {"enum": ["table", "jsonl"]}
_RULES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"labels": {"const": "pattern"}}, {"pattern": {}}),
    ({"labels": {"const": "csv"}}, {"csv": {}}),
    ({"pattern": {}}, {"labels": {"const": "pattern"}}),
    ({"csv": {}}, {"labels": {"const": "csv"}, "csv": _INSIDE}),
    ({"fields": {"minItems": 1}}, {"labels": {"enum": ["pattern", "csv"]}}),
    ({"caption_file": {}}, {"captions": _READ, "caption_file": _INSIDE}),
    ({"caption_field": {}}, {"captions": _READ}),
]
"""What ``DataConfig`` holds of keys together, as JSON Schema for editors: where keys are so, others have to be so."""

_TOGETHER: list[JsonValue] = [
    {"if": {"required": [*given], "properties": given}, "then": {"required": [*then], "properties": then}}
    for given, then in _RULES
]


class DataConfig(BaseModel):
    """The ``[data]`` table of a recipe: which files, and where their labels and captions come from.

    Attributes:
        labels: where the labels come from. ``folder``: the name of the folder that the file lies in, or the file of
            labels that belongs to IDX pictures; ``pattern``: the file's name, by ``pattern``; ``csv``: the table
            ``csv``; ``none``: there are none, which is the default where there are captions.
        pattern: the shape of the names without their ending, such as ``{digit}_{speaker}_{take}``. A field ends at
            the first place where the text after it stands, and holds no ``/``. With a ``/`` in it, it is held against
            the end of the whole path, such as ``{speaker}/{digit}_{take}``.
        fields: which fields of the pattern, or columns of the table, are labels, in this order; empty means all.
        csv: name of the table inside the data, or beside the archive, with a heading line; the column ``file`` names
            the files.
        rename: other names for labels, such as ``{"0" = "zero"}``.
        captions: where the captions come from, for models that take text. ``table``: a CSV table with the columns
            ``file`` and ``caption``; ``jsonl``: lines such as ``{"file": "a.png", "text": "a red heart"}``, also with
            ``file_name`` and ``caption``; ``text``: a file ``a.txt`` beside ``a.png``; ``none``: there are none.
        caption_file: name of the table or the lines inside the data, or beside the archive; ``captions.csv`` or
            ``captions.jsonl`` if omitted.
        caption_field: another name of the column, or of the value, that is the caption.
        include: only files that match one of these globs (case does not matter), by name or whole path; empty means
            the usual endings of the modality. Of several files with IDX pictures it chooses one.
        exclude: no files that match one of these globs; IDX pictures are called ``FILE/00000``.
        window: which part of an item larger than the model's is taken: ``random``, its ``start`` or its ``centre``.
        stride: which frames of a film follow each other in an item: 1 takes each as it was filmed, 2 each second one;
            omitted, those that stand on the screen at the model's rate. For films only.
        fit: how a picture gets the model's shape. ``crop``: resized until it covers it, then cut; ``pad``: resized
            until it lies inside, then laid on the background; ``stretch``: resized whatever its own shape; ``cut``: a
            part of it as it is, at its own resolution, which is what super-resolution learns from.
        flip: mirror half of the pictures left to right, drawn again each time.
        background: what lies behind transparent and beside padded pictures.
        max_bad: largest share of files that may be unusable.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, json_schema_extra={"allOf": _TOGETHER})

    labels: Literal["folder", "pattern", "csv", "none"] = "folder"
    pattern: str | None = None
    fields: Names = ()
    csv: str | None = None
    rename: dict[str, str] = Field(default_factory=dict)
    captions: Literal["none", "table", "jsonl", "text"] = "none"
    caption_file: str | None = None
    caption_field: str | None = None
    include: Names = ()
    exclude: Names = ()
    window: Literal["random", "start", "centre"] = "random"
    stride: int | None = Field(default=None, ge=1, le=1000)
    fit: Literal["crop", "pad", "stretch", "cut"] = "crop"
    flip: bool = False
    background: Literal["white", "black"] = "white"
    max_bad: float = Field(default=0.05, ge=0.0, le=1.0, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _captioned(cls, table: Any) -> Any:
        """Expect no labels where there are captions, unless they are asked for."""
        if isinstance(table, Mapping) and table.get("captions", "none") != "none":
            return {"labels": "none", **table}
        return table

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
            labelling.parse_pattern(self.pattern)
        if self.captions not in ("table", "jsonl") and (self.caption_file or self.caption_field) is not None:
            raise ValueError(f"captions = {self.captions!r} takes no caption_file and no caption_field")
        for key, name in (("csv", self.csv), ("caption_file", self.caption_file)):
            if name is not None and (not name or name.startswith("/") or ".." in name.split("/")):
                raise ValueError(f"{key} must name a file inside the data, without '..'")
        return self

    @property
    def caption_table(self) -> str | None:
        """Name of the file that holds all captions, or None."""
        default = {"table": "captions.csv", "jsonl": "captions.jsonl"}.get(self.captions)
        return default and (self.caption_file or default)

    def refuse(self, keys: Iterable[str], medium: str) -> None:
        """Raise ConfigError where one of ``keys`` is set though a medium has no use for it."""
        for key in keys:
            if getattr(self, key) != type(self).model_fields[key].get_default(call_default_factory=True):
                raise ConfigError(f"wrong data: {key}: {medium} takes none; leave it out")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A file of a data set with its labels, one for each field, and its caption if it has one."""

    entry: Entry
    labels: tuple[str, ...]
    text: str | None = None


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
    tables = {name for name in (config.csv, config.caption_table) if name is not None}

    def chosen(name: str) -> bool:
        return name not in tables and include(name) and not exclude(name)

    def wanted(name: str) -> bool:
        return name in tables or chosen(name) or (config.captions == "text" and name.endswith(".txt"))

    fields, label = _rule(config)
    entries = {entry.name: entry for entry in source.entries(wanted)}
    found = [entry for name, entry in entries.items() if chosen(name)]
    if not found:
        raise MediaError(
            f"no data: {printable(source.place)}: no file matches {', '.join(config.include or endings)} "
            f"({len(source.unread)} others passed over); name another folder or set include"
        )
    if config.csv is not None:
        fields, label = labelling.by_table(_table(source, entries, "csv", config.csv), config.fields)
    caption = _captioner(source, entries, config)
    items: list[Labelled] = []
    skipped: list[tuple[str, str]] = []
    for entry in found:
        labels = label(entry.name)
        if isinstance(labels, str):
            skipped.append((entry.name, labels))
            continue
        try:
            text = caption(entry.name) if caption else None
        except MediaError as error:
            skipped.append((entry.name, str(error)))
            continue
        items.append(Labelled(entry, tuple(config.rename.get(one, one) for one in labels), text))
    return Listing(tuple(items), fields, tuple(skipped), tuple(source.unread))


def refuse_too_many(place: object, bad: int, total: int, share: float, reasons: Iterable[tuple[str, str]]) -> None:
    """Raise MediaError where more than ``share`` of ``total`` files are bad, or all; the first ``reasons`` are told."""
    if bad < total and bad <= share * total:
        return
    told = [_told(name, reason) for name, reason in islice(reasons, _TOLD)]
    more = f" and {bad - len(told)} more" if bad > len(told) else ""
    raise MediaError(
        f"bad data: {printable(str(place))}: {bad} of {total} files cannot be used: {', '.join(told)}{more}; "
        f"repair or exclude them, or raise max_bad = {share:g}"
    )


def _told(name: str, reason: str) -> str:
    """Return a bad file and why it is so, without its name once more."""
    shown = printable(name)
    return f"{shown} ({reason.removeprefix(f'cannot read: {shown}: ')})"


def _rule(config: DataConfig) -> tuple[tuple[str, ...], labelling.Labeller]:
    if config.labels == "pattern":
        return labelling.by_pattern(config.pattern or "", config.fields)
    if config.labels == "folder":
        return ("label",), labelling.by_folder
    return (), labelling.unlabelled


def _captioner(source: Source, entries: Mapping[str, Entry], config: DataConfig) -> captions.Captioner | None:
    if config.captions == "text":
        return captions.by_texts(entries)
    if config.caption_table is None:
        return None
    table = _table(source, entries, "captions", config.caption_table)
    by_table = captions.by_table if config.captions == "table" else captions.by_lines
    return by_table(table, config.caption_field)


def _table(source: Source, entries: Mapping[str, Entry], key: str, name: str) -> Entry:
    """Return a table inside the data or beside them."""
    entry = entries.get(name) or source.beside(name)
    if entry is None:
        raise ConfigError(f"wrong data: {key}: {printable(source.place)} holds no file {name!r}; put the table there")
    return entry


def matcher(globs: Iterable[str]) -> Callable[[str], bool]:
    """Return what tells whether a name, or its last part, matches one of the globs, whatever the case."""
    expression = re.compile("|".join(fnmatch.translate(glob.lower()) for glob in globs) or r"(?!)")

    def matches(name: str) -> bool:
        whole = name.lower()
        return bool(expression.match(whole.rsplit("/", 1)[-1]) or expression.match(whole))

    return matches
