"""The Stanford polygon format: a header of text that says what follows, then the values as text or as bytes.

Nothing in a header is believed: what it claims is compared with what is there before anything is made of it.

Source: Turk 1994, The PLY polygon file format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from noiseform import MediaError
from numpy.typing import NDArray

__all__ = ["MAGIC", "Ply", "encoded", "parse"]

MAGIC = b"ply"
"""How such a file begins, before the end of its first line."""

HEADER_LIMIT = 4 * 2**20
"""Longest header, in bytes: room for a record."""

_COMMENT = 160  # characters of our own comment lines: some readers hold no line of more than 255
_FIRST, _MORE = "noiseform ", "noiseform+ "  # the first line of a record, and those that go on with it
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "float32": "f4",
    "float64": "f8",
}


@dataclass(frozen=True)
class Ply:
    """What a file holds that is of use here.

    Attributes:
        values: of each property of its vertices that is a number, by name; float64 (count,).
        comment: the text in which noiseform keeps its record, or an empty one.
    """

    values: Mapping[str, NDArray[np.float64]]
    comment: str


@dataclass
class _Element:
    """What the header says of one kind of things in the file: how many there are, and what each has."""

    name: str
    count: int
    properties: list[tuple[str, str]] = field(default_factory=list)  # name and numpy's type, which is empty for a list

    @property
    def lists(self) -> list[str]:
        """Names of its lists, whose length only the file itself tells."""
        return [name for name, kind in self.properties if not kind]


def parse(data: bytes, where: str) -> Ply:
    """Return what is in a file.

    Args:
        data: the whole file.
        where: the beginning of messages, such as ``cannot read: FILE``.

    Raises:
        MediaError: it is damaged, or holds no vertices.
    """
    lines, body = _split(data, where)
    order, elements = _declared(lines, where)
    before = []
    for element in elements:
        if element.name == "vertex":
            break
        before.append(element)
    else:
        raise MediaError(f"{where}: its header names no vertices; write the points as the element vertex")
    for one in (*before, element):
        if one.lists:
            raise MediaError(
                f"{where}: {one.name} has the list {one.lists[0]}, where only numbers are read; write the vertices "
                "first, and of each only numbers"
            )
    read = _from_text if order is None else _from_bytes
    return Ply(read(body, before, element, order or "", where), _record(lines))


def encoded(values: Mapping[str, NDArray[np.float32]], comment: str, *, ascii: bool) -> bytes:
    """Return the bytes of a file of vertices that have these float32 values each, by name (count,)."""
    count = len(next(iter(values.values())))
    form = "ascii" if ascii else "binary_little_endian"
    lines = ["ply", f"format {form} 1.0", *_comment_lines(comment), f"element vertex {count}"]
    lines += [*(f"property float {name}" for name in values), "end_header", ""]
    table = np.stack([np.asarray(one, "<f4") for one in values.values()], 1)
    if ascii:
        body = "".join(" ".join(f"{value:.9g}" for value in row) + "\n" for row in table.tolist()).encode("ascii")
    else:
        body = table.tobytes()
    return "\n".join(lines).encode("ascii") + body


def _split(data: bytes, where: str) -> tuple[list[str], bytes]:
    """Return the lines of the header, without the first and the last, and what comes after it."""
    end = data.find(b"end_header", 0, HEADER_LIMIT)
    start_of_body = data.find(b"\n", end) + 1
    if end < 0 or not start_of_body:
        raise MediaError(f"{where}: its header does not end; fetch or make it again")
    try:
        text = data[:end].decode("utf-8")
    except UnicodeDecodeError as error:
        raise MediaError(f"{where}: its header is no text; fetch or make it again") from error
    return [line.removesuffix("\r") for line in text.split("\n")[1:-1]], data[start_of_body:]


def _declared(lines: Sequence[str], where: str) -> tuple[str | None, list[_Element]]:
    """Return the order of the bytes of numbers, None where they are text, and what the file holds."""
    order: str | None = None
    form = ""
    elements: list[_Element] = []
    for line in lines:
        match line.split():
            case [] | ["comment" | "obj_info", *_]:
                continue
            case ["format", form, "1.0"] if form == "ascii" or form in _ORDERS:
                order = _ORDERS.get(form)
            case ["element", name, count] if count.isdecimal() and len(count) < 12:
                elements.append(_Element(name, int(count)))
            case ["property", "list", first, second, name] if elements and first in _TYPES and second in _TYPES:
                elements[-1].properties.append((name, ""))
            case ["property", kind, name] if elements and kind in _TYPES:
                elements[-1].properties.append((name, _TYPES[kind]))
            case _:
                raise MediaError(f"{where}: its header says {line!r:.60}, which PLY does not know; write it again")
    if not form:
        raise MediaError(f"{where}: its header names no format; fetch or make it again")
    return order, elements


def _from_text(
    body: bytes, before: Sequence[_Element], vertex: _Element, order: str, where: str
) -> dict[str, NDArray[np.float64]]:
    skipped, width = sum(one.count * len(one.properties) for one in before), len(vertex.properties)
    wanted = vertex.count * width
    words = body.split(None, skipped + wanted)[skipped : skipped + wanted]
    if len(words) < wanted:
        raise MediaError(f"{where}: cut short, {len(words)} of {wanted} numbers; fetch or make it again")
    try:
        table = np.array(words, dtype=np.bytes_).astype(np.float64).reshape(vertex.count, width)
    except ValueError as error:
        raise MediaError(f"{where}: a word among its numbers is none ({error}); fetch or make it again") from error
    return {name: table[:, place] for place, (name, _) in enumerate(vertex.properties)}


def _from_bytes(
    body: bytes, before: Sequence[_Element], vertex: _Element, order: str, where: str
) -> dict[str, NDArray[np.float64]]:
    def row(element: _Element) -> np.dtype[np.void]:
        kinds = [(f"{place}", order + kind) for place, (_, kind) in enumerate(element.properties)]
        return np.dtype(kinds)

    skipped, kind = sum(one.count * row(one).itemsize for one in before), row(vertex)
    wanted = skipped + vertex.count * kind.itemsize
    if len(body) < wanted:
        raise MediaError(f"{where}: cut short, {len(body)} of {wanted} bytes; fetch or make it again")
    table = np.frombuffer(body, kind, vertex.count, skipped) if kind.itemsize else np.zeros(0, kind)
    return {name: table[f"{place}"].astype(np.float64) for place, (name, _) in enumerate(vertex.properties)}


def _comment_lines(comment: str) -> list[str]:
    """Return a record's text as lines that every reader holds."""
    if not comment:
        return []
    text = comment.removeprefix(_FIRST)
    parts = [text[start : start + _COMMENT] for start in range(0, len(text), _COMMENT)]
    return [f"comment {_MORE if number else _FIRST}{part}" for number, part in enumerate(parts)]


def _record(lines: Sequence[str]) -> str:
    """Return the text of the record among the comments, or an empty one."""
    comments = [line.removeprefix("comment ") for line in lines if line.startswith("comment ")]
    first = next((one for one in comments if one.startswith(_FIRST)), "")
    return first and first + "".join(one.removeprefix(_MORE) for one in comments if one.startswith(_MORE))
