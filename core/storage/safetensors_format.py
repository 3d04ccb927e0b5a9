"""The safetensors format: its header, read as if the author were an enemy, and its bytes, the same each time.

The file is an 8-byte little-endian length, a JSON header of that length, then the tensors' bytes.
The header maps names to ``{"dtype", "shape", "data_offsets"}``, plus ``"__metadata__"``, a table of strings.
The writer is our own because the library's puts the metadata in an order that changes from run to run.

Source: the format's description at https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from ..errors import CheckpointError
from .strict_json import parse_json_object

__all__ = ["MAX_HEADER", "Header", "TensorEntry", "parse_header", "tensor_chunks"]

MAX_HEADER = 16 * 2**20  # bytes; the format allows 100 MB, 16 MiB is already some 100,000 tensors
_MAX_ELEMENTS = 2**48  # more than any tensor has; keeps products of sizes far inside 64 bits
_MAX_AXES = 16

_DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "C64": torch.complex64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_TAGS = {dtype: tag for tag, dtype in _DTYPES.items()}
CHUNK = 4 * 2**20  # bytes a read or write: large enough to be fast, small enough to stay cheap
_DAMAGED = "the file is damaged, take another copy"


@dataclass(frozen=True)
class TensorEntry:
    """Where one tensor lies: ``begin`` and ``end`` are bytes counted from the end of the header."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """The entries in the order of their bytes, without gap or overlap, and the metadata."""

    entries: tuple[TensorEntry, ...]
    metadata: dict[str, str]


def _natural(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _entry(name: str, raw: object, source: str) -> TensorEntry:
    """Check one entry of the header by itself."""
    shown = repr(name[:80])
    if not isinstance(raw, dict) or raw.keys() != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"{source}: tensor {shown} lacks dtype, shape or data_offsets, or has more; {_DAMAGED}")
    dtype, shape, offsets = raw["dtype"], raw["shape"], raw["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise CheckpointError(f"{source}: tensor {shown} has the unknown dtype {str(dtype)[:40]!r}; convert it first")
    if not isinstance(shape, list) or len(shape) > _MAX_AXES or not all(map(_natural, shape)):
        raise CheckpointError(f"{source}: tensor {shown} has no usable shape; {_DAMAGED}")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_natural, offsets)):
        raise CheckpointError(f"{source}: tensor {shown} has no usable data_offsets; {_DAMAGED}")
    begin, end = offsets
    if math.prod(size for size in shape if size) > _MAX_ELEMENTS:
        raise CheckpointError(f"{source}: tensor {shown} is absurdly large; {_DAMAGED}")
    if end - begin != math.prod(shape) * _DTYPES[dtype].itemsize:
        raise CheckpointError(
            f"{source}: tensor {shown} has {str(end - begin)[:30]} bytes, its shape asks for others; {_DAMAGED}"
        )
    return TensorEntry(name, _DTYPES[dtype], tuple(shape), begin, end)


def parse_header(header: bytes, data_size: int, source: str) -> Header:
    """Parse the JSON header of a file whose tensors take ``data_size`` bytes.

    Args:
        header: the JSON text, at most ``MAX_HEADER`` bytes.
        data_size: bytes that follow the header in the file.
        source: the start of an error message: what and which file.

    Raises:
        CheckpointError: when a key stands twice, an entry is malformed, or the entries do not cover the
            data exactly, without gap and overlap.
    """
    raw = parse_json_object(header, source)
    metadata = raw.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{source}: __metadata__ is not a table of strings; {_DAMAGED}")
    entries = sorted((_entry(*item, source) for item in raw.items()), key=lambda entry: (entry.begin, entry.end))
    position = 0
    for entry in entries:
        if entry.begin != position:
            kind = "overlaps another" if entry.begin < position else "leaves a gap before it"
            raise CheckpointError(f"{source}: tensor {entry.name[:80]!r} {kind}; {_DAMAGED}")
        position = entry.end
    if position != data_size:
        raise CheckpointError(
            f"{source}: the header speaks of {position} bytes of tensors, the file has {data_size} (truncated?); "
            f"{_DAMAGED}"
        )
    return Header(tuple(entries), metadata)


def tensor_chunks(
    tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a safetensors file: equal tensors and metadata give equal bytes, whatever their order.

    Tensors stand by falling size of their elements, then by name, so that each is aligned.
    """
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    position = 0
    for name, tensor in ordered:
        if tensor.dtype not in _TAGS:
            raise ValueError(f"{name}: {tensor.dtype} has no place in a safetensors file")
        end = position + tensor.numel() * tensor.dtype.itemsize
        header[name] = {"dtype": _TAGS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise ValueError(f"the header of {len(tensors)} tensors would take {len(text)} bytes, more than {MAX_HEADER}")
    yield len(text).to_bytes(8, "little") + text
    for _, tensor in ordered:
        if tensor.numel():
            plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
            view = plain.reshape(-1).view(torch.uint8).numpy().data
            yield from (view[start : start + CHUNK] for start in range(0, len(view), CHUNK))
