"""Weights on disk: safetensors files read with distrust and written whole, and what is done with them.

Nothing here ever unpickles. A file is read through one open handle, its sha256 taken on the way,
so that what was checked is what is returned.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch

from ..errors import CheckpointError, MediaError, NumericError
from ..naming import printable
from .atomic import whole_file
from .regular_file import open_regular
from .safetensors_format import CHUNK, MAX_HEADER, Header, TensorEntry, parse_header, tensor_chunks

__all__ = [
    "assign",
    "assign_frozen",
    "cast_tensors",
    "check_fit",
    "file_sha256",
    "is_finite",
    "load_tensors",
    "read_header",
    "save_tensors",
    "tensors_sha256",
]

_PICKLE_HINT = (
    "it is a pickle, which can run code when loaded and is therefore never read; "
    "write it as safetensors where it came from, with safetensors.torch.save_file"
)


def _open(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except MediaError as error:
        raise CheckpointError(str(error)) from error


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file as 64 hexadecimal digits.

    Raises:
        CheckpointError: when it cannot be read.
    """
    try:
        with _open(path) as file:
            digest = hashlib.sha256()
            while chunk := file.read(CHUNK):
                digest.update(chunk)
            return digest.hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(f"cannot read: {printable(path)}: {(error.strerror or 'failed').lower()}; check the disk")


def _looks_pickled(start: bytes) -> bool:
    """Tell whether a file that is no safetensors begins like a pickle or like the zip that torch.save writes."""
    legacy_tar = start.startswith((b"././@", b"sys_info"))
    return (
        start.startswith(b"PK\x03\x04")
        or (start[:1] == b"\x80" and start[1:2] in b"\x01\x02\x03\x04\x05")
        or legacy_tar
    )


def _header_of(file: BinaryIO, path: Path, digest: hashlib._Hash) -> Header:
    """Read the length and the header from the start of an open file."""
    source = f"weights: {printable(path)}"
    size = os.fstat(file.fileno()).st_size
    start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or start[8:] != b"{" or not 2 <= length <= min(MAX_HEADER, size - 8):
        if _looks_pickled(start):
            raise CheckpointError(f"{source}: {_PICKLE_HINT}")
        raise CheckpointError(f"{source}: no safetensors file, or a damaged or truncated one; take another copy")
    rest = file.read(length - 1)
    if len(rest) != length - 1:
        raise CheckpointError(f"{source}: truncated inside its header; take another copy")
    digest.update(start)
    digest.update(rest)
    return parse_header(b"{" + rest, size - 8 - length, source)


def _read_tensor(file: BinaryIO, entry: TensorEntry, path: Path, digest: hashlib._Hash) -> torch.Tensor:
    """Read one tensor's bytes into memory of its own."""
    raw = torch.empty(entry.end - entry.begin, dtype=torch.uint8)
    view = raw.numpy().data
    position = 0
    while position < len(view):
        count = file.readinto(view[position : position + CHUNK])  # type: ignore[attr-defined]
        if not count:
            raise CheckpointError(
                f"weights: {printable(path)}: truncated inside {entry.name[:80]!r}; take another copy"
            )
        digest.update(view[position : position + count])
        position += count
    if entry.dtype == torch.bool and len(view) and int(raw.max()) > 1:
        raise CheckpointError(
            f"weights: {printable(path)}: {entry.name[:80]!r} holds bytes that are no booleans; take another copy"
        )
    return raw.view(entry.dtype).reshape(entry.shape)


def is_finite(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor is free of NaN and infinity; integers and booleans always are."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    wide = tensor.float() if tensor.dtype.itemsize == 1 else tensor
    return bool(torch.isfinite(wide).all())


def read_header(path: Path) -> Header:
    """Read and check only the header of a safetensors file.

    Raises:
        CheckpointError: as `load_tensors`.
    """
    with _open(path) as file:
        return _header_of(file, path, hashlib.sha256())


def load_tensors(
    path: Path, expected_sha256: str | None = None, *, allow_nonfinite: bool = False
) -> dict[str, torch.Tensor]:
    """Read all tensors of a safetensors file, each into memory of its own.

    Args:
        path: the file.
        expected_sha256: what the manifest says of it; None checks nothing.
        allow_nonfinite: accept NaN and infinity.

    Raises:
        CheckpointError: when the file is no safetensors, a pickle, damaged, truncated, not the one
            that the manifest names, or holds values that are not finite.
    """
    digest = hashlib.sha256()
    tensors: dict[str, torch.Tensor] = {}
    try:
        with _open(path) as file:
            for entry in _header_of(file, path, digest).entries:
                tensors[entry.name] = _read_tensor(file, entry, path, digest)
    except OSError as error:
        raise _unreadable(path, error) from error
    if expected_sha256 is not None and digest.hexdigest() != expected_sha256:
        raise CheckpointError(
            f"weights: {printable(path)}: its sha256 is {digest.hexdigest()[:12]}…, "
            f"the manifest says {expected_sha256[:12]}…; "
            "the file is damaged or foreign, take another copy"
        )
    broken = [] if allow_nonfinite else [name for name, tensor in tensors.items() if not is_finite(tensor)]
    if broken:
        raise CheckpointError(
            f"weights: {printable(path)}: NaN or infinity in {_listed(broken)}; "
            "take an earlier checkpoint, or allow it with --allow-nonfinite"
        )
    return tensors


def _listed(entries: list[str]) -> str:
    """The first ten entries and how many more there are."""
    more = f" and {len(entries) - 10} more" if len(entries) > 10 else ""
    return ", ".join(printable(entry, 120) for entry in entries[:10]) + more


def _mismatches(
    target: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor], allow_dtype_cast: bool
) -> list[str]:
    found = []
    for name in sorted(target.keys() & tensors.keys()):
        want, have = target[name], tensors[name]
        castable = allow_dtype_cast and want.is_floating_point() and have.is_floating_point()
        if want.shape != have.shape:
            found.append(f"{name} has shape {tuple(have.shape)} instead of {tuple(want.shape)}")
        elif want.dtype != have.dtype and not castable:
            found.append(f"{name} is {have.dtype} instead of {want.dtype}".replace("torch.", ""))
    return found


def assign(
    module: torch.nn.Module,
    tensors: Mapping[str, torch.Tensor],
    *,
    allow_dtype_cast: bool = False,
    source: str = "weights",
) -> None:
    """Copy ``tensors`` into a module's parameters and buffers, all of them or none.

    Args:
        module: the network; every name of its state must be given, and no other.
        tensors: values by name.
        allow_dtype_cast: let floating point of another width be rounded to the module's.
        source: the start of an error message, such as ``"weights: FILE"``.

    Raises:
        CheckpointError: when names, shapes or dtypes differ; the first ten of each are named and nothing is changed.
    """
    target = module.state_dict(keep_vars=True)
    if any(value.is_meta for value in target.values()):
        raise ValueError("assign() needs a module with memory of its own, not one on the meta device")
    check_fit(target, tensors, allow_dtype_cast=allow_dtype_cast, source=source)
    with torch.no_grad():
        for name, value in target.items():
            value.copy_(tensors[name])


def assign_frozen(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], *, source: str) -> None:
    """Copy saved weights into a module that is to be used, not trained: evaluation mode, no gradients, any width.

    Args:
        module: the network.
        tensors: values by name.
        source: see :func:`assign`, which also says what is raised.
    """
    assign(module, tensors, allow_dtype_cast=True, source=source)
    module.eval().requires_grad_(False)


def check_fit(
    target: Mapping[str, torch.Tensor],
    tensors: Mapping[str, torch.Tensor],
    *,
    allow_dtype_cast: bool = False,
    source: str = "weights",
) -> None:
    """Refuse ``tensors`` whose names, shapes or dtypes are not those of a module's state; as :func:`assign` does.

    Raises:
        CheckpointError: the first ten of each kind of difference are named.
    """
    complaints = {
        "missing": sorted(target.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - target.keys()),
        "mismatching": _mismatches(target, tensors, allow_dtype_cast),
    }
    said = [f"{len(names)} {kind}: {_listed(names)}" for kind, names in complaints.items() if names]
    if said:
        raise CheckpointError(
            f"{source}: do not fit the network: {'; '.join(said)}; "
            "nothing was loaded, use the model's own configuration"
        )


def cast_tensors(tensors: Mapping[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Round every floating-point tensor to ``dtype`` (for export in half precision); leave the others alone.

    Raises:
        NumericError: when a finite value leaves the range of ``dtype``.
    """
    cast = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    lost = [name for name in tensors if is_finite(tensors[name]) and not is_finite(cast[name])]
    if lost:
        short = str(dtype).removeprefix("torch.")
        raise NumericError(
            f"weights: values beyond the range of {short} in {_listed(lost)}; export as bfloat16 or float32, or, where "
            "they grew in training, lower the learning rate"
        )
    return cast


def tensors_sha256(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> str:
    """Return the sha256 that the file of these tensors will have."""
    digest = hashlib.sha256()
    for chunk in tensor_chunks(tensors, metadata):
        digest.update(chunk)
    return digest.hexdigest()


def save_tensors(
    path: Path,
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str] | None = None,
    *,
    overwrite: bool = False,
) -> str:
    """Write a safetensors file, whole or not at all, and return its sha256.

    Equal tensors and metadata give equal bytes.

    Raises:
        ResourceError: when the disk is full; an earlier file of that name stays as it was.
        ConfigError: when the file exists and ``overwrite`` is not set, or its folder cannot be written.
    """
    digest = hashlib.sha256()
    with whole_file(path, overwrite=overwrite) as file:
        for chunk in tensor_chunks(tensors, metadata):
            file.write(chunk)
            digest.update(chunk)
    return digest.hexdigest()
