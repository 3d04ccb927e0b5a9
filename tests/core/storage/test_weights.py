"""Safetensors: round trips, equal bytes, agreement with the library, and refusal of everything hostile."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from noiseform.core.errors import CheckpointError, ConfigError, NumericError, ResourceError
from noiseform.core.storage.safetensors_format import MAX_HEADER
from noiseform.core.storage.weights import (
    assign,
    cast_tensors,
    file_sha256,
    load_tensors,
    read_header,
    save_tensors,
    tensors_sha256,
)

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.int64, torch.int32]
DTYPES += [torch.int16, torch.int8, torch.uint8, torch.bool, torch.float8_e4m3fn, torch.uint16, torch.uint32]


def some_tensors() -> dict[str, torch.Tensor]:
    made = {f"t.{str(dtype)[6:]}": torch.tensor([[0, 1, 0], [1, 1, 0]]).to(dtype) for dtype in DTYPES}
    turned = torch.arange(12.0).reshape(3, 4).T
    return made | {"scalar": torch.tensor(3.5), "empty": torch.zeros(0, 4), "turned": turned, "é \n": torch.ones(1)}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    def equal(a: torch.Tensor, b: torch.Tensor) -> bool:
        a, b = a.contiguous(), b.contiguous()
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(raw(a), raw(b))

    return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)


def raw(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1).view(torch.uint8)


def write_raw(path: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def test_round_trip_of_every_dtype(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    sha256 = save_tensors(path, some_tensors(), {"b": "2", "a": "1"})
    assert same(load_tensors(path, sha256), some_tensors())
    assert sha256 == file_sha256(path) == tensors_sha256(some_tensors(), {"a": "1", "b": "2"})
    assert read_header(path).metadata == {"a": "1", "b": "2"}


def test_order_does_not_change_the_bytes() -> None:
    tensors = some_tensors()
    turned = dict(reversed(tensors.items()))
    assert tensors_sha256(tensors, {"x": "1", "y": "2"}) == tensors_sha256(turned, {"y": "2", "x": "1"})


def test_the_library_reads_ours_and_we_read_the_librarys(tmp_path: Path) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in some_tensors().items()}
    save_tensors(tmp_path / "ours", tensors, {"format": "pt"})
    assert same(safetensors.torch.load_file(tmp_path / "ours"), tensors)
    safetensors.torch.save_file(tensors, tmp_path / "theirs", {"format": "pt"})
    assert same(load_tensors(tmp_path / "theirs"), tensors)


def test_a_misaligned_file_is_read(tmp_path: Path) -> None:
    entries = {"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}
    entries["b"] = {"dtype": "F32", "shape": [1], "data_offsets": [1, 5]}
    path = write_raw(tmp_path / "odd", entries, b"\x07" + torch.tensor([2.5]).numpy().tobytes())
    assert load_tensors(path)["b"].item() == 2.5


def test_loaded_tensors_are_independent_of_each_other_and_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    save_tensors(path, {"x": torch.zeros(3), "y": torch.zeros(3)})
    loaded = load_tensors(path)
    loaded["x"].add_(1)
    assert loaded["y"].sum() == 0
    assert load_tensors(path)["x"].sum() == 0


def entry(**changes: object) -> dict[str, object]:
    return {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}


HOSTILE: dict[str, tuple[object, bytes]] = {
    "truncated data": (entry(), b"\0" * 7),
    "data left over": (entry(), b"\0" * 9),
    "no tensors but data": ({}, b"\0"),
    "twice the same name": (
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        b"\0" * 8,
    ),
    "twice the same field": (b'{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', b"\0" * 8),
    "no object": (b"[1]", b""),
    "no entry": ({"a": 3}, b""),
    "an extra field": (entry(more=1), b"\0" * 8),
    "unknown dtype": (entry(dtype="F33"), b"\0" * 8),
    "dtype no string": (entry(dtype=[]), b"\0" * 8),
    "negative size": (entry(shape=[-2]), b"\0" * 8),
    "size true": (entry(shape=[True, 2]), b"\0" * 8),
    "size a float": (entry(shape=[2.0]), b"\0" * 8),
    "huge size beside zero": (entry(shape=[0, 2**62, 2**62], data_offsets=[0, 0]), b""),
    "many axes": (entry(shape=[1] * 400 + [2]), b"\0" * 8),
    "shape and bytes differ": (entry(shape=[3]), b"\0" * 8),
    "offsets backwards": (entry(data_offsets=[8, 0]), b"\0" * 8),
    "offsets beyond the file": (entry(shape=[2**40], data_offsets=[0, 2**42]), b"\0" * 8),
    "three offsets": (entry(data_offsets=[0, 4, 8]), b"\0" * 8),
    "a gap": (entry(data_offsets=[4, 12]), b"\0" * 12),
    "an overlap": (entry() | {"b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}, b"\0" * 12),
    "the same bytes twice": (entry() | {"b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"\0" * 8),
    "metadata no table": ({"__metadata__": [1]}, b""),
    "metadata no strings": ({"__metadata__": {"a": 1}}, b""),
    "NaN": (b'{"__metadata__":{"a":NaN}}', b""),
    "a number of 5,000 digits": (
        b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,8]}}',
        b"\0" * 8,
    ),
    "deep nesting": (b'{"a":' * 100_000, b""),
    "no UTF-8": (b'{"\xff":1}', b""),
    "bytes that are no booleans": ({"a": {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}}, b"\1\2"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_headers_are_refused(case: str, tmp_path: Path) -> None:
    path = write_raw(tmp_path / "evil.safetensors", *HOSTILE[case])
    with pytest.raises(CheckpointError, match=r"evil\.safetensors") as caught:
        load_tensors(path)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, MAX_HEADER + 1, 0, 1, 10**6])
def test_absurd_header_lengths_are_refused(length: int, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="damaged"):
        load_tensors(write_raw(tmp_path / "x", b"{}" + b" " * 30, length=length))


@pytest.mark.parametrize("content", [b"", b"\0", b"\x02\0\0\0\0\0\0\0", b"{}", b"hello world, no weights here"])
def test_short_and_foreign_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        load_tensors(path)


def test_no_regular_file_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "absent", Path("/dev/zero"), tmp_path / "nul\0l"):
        with pytest.raises(CheckpointError):
            load_tensors(path)


class Bomb:
    """Unpickling it makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.mkdir, (str(self.canary), 0o700)


@pytest.mark.parametrize("form", ["zip", "legacy", "raw"])
@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".bin", ".pth", ".safetensors"])
def test_pickles_are_refused_by_content_and_never_run(form: str, suffix: str, tmp_path: Path) -> None:
    path, canary = tmp_path / f"model{suffix}", tmp_path / "canary"
    if form == "raw":
        path.write_bytes(pickle.dumps(Bomb(canary)))
    else:
        torch.save({"w": Bomb(canary)}, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(CheckpointError, match=r"pickle.*safetensors"):
        load_tensors(path)
    assert not canary.exists()


def test_another_sha256_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    sha256 = save_tensors(path, {"x": torch.ones(64)})
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="sha256"):
        load_tensors(path, sha256)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nonfinite_weights_are_refused_unless_allowed(dtype: torch.dtype, value: float, tmp_path: Path) -> None:
    save_tensors(tmp_path / "a", {"fine": torch.ones(2), "bad": torch.tensor([1.0, value]).to(dtype)})
    with pytest.raises(CheckpointError, match=r"NaN or infinity in bad.*--allow-nonfinite"):
        load_tensors(tmp_path / "a")
    assert load_tensors(tmp_path / "a", allow_nonfinite=True)["bad"].dtype == dtype


def network() -> torch.nn.Module:
    made = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    return made.requires_grad_(True)


def test_assign_copies_parameters_and_buffers() -> None:
    module, other = network(), network()
    other[1].running_mean.fill_(7)  # type: ignore[operator, union-attr]
    assign(module, other.state_dict())
    assert same(module.state_dict(), other.state_dict())
    assert all(parameter.requires_grad for parameter in module.parameters())


CHANGES: dict[str, tuple[dict[str, torch.Tensor | None], str]] = {
    "missing": ({"0.weight": None}, "1 missing: 0.weight"),
    "unexpected": ({"0.gain": torch.ones(1)}, "1 unexpected: 0.gain"),
    "shape": ({"0.bias": torch.ones(5)}, r"1 mismatching: 0.bias has shape \(5,\) instead of \(4,\)"),
    "dtype": ({"0.bias": torch.ones(4).half()}, "0.bias is float16 instead of float32"),
    "integer": ({"0.bias": torch.ones(4).int()}, "0.bias is int32 instead of float32"),
    "several": ({"0.bias": None, "x": torch.ones(1), "0.weight": torch.ones(1)}, "missing.*unexpected.*mismatching"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_assign_is_all_or_nothing(case: str) -> None:
    changes, message = CHANGES[case]
    module = network()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    given = {name: tensor + 1 for name, tensor in before.items()} | changes
    with pytest.raises(CheckpointError, match=message):
        assign(module, {name: tensor for name, tensor in given.items() if tensor is not None})
    assert same(module.state_dict(), before)


def test_assign_lists_the_first_ten() -> None:
    extra = {f"extra.{number:02d}": torch.ones(1) for number in range(25)}
    with pytest.raises(CheckpointError, match=r"25 unexpected: extra.00.*extra.09 and 15 more"):
        assign(network(), network().state_dict() | extra)


def test_assign_casts_floating_point_only_when_told() -> None:
    module, half = network(), cast_tensors(network().state_dict(), torch.float16)
    with pytest.raises(CheckpointError, match="float16 instead of float32"):
        assign(module, half)
    assign(module, half, allow_dtype_cast=True)
    assert module.state_dict()["0.weight"].dtype == torch.float32
    with pytest.raises(CheckpointError, match="int32"):
        assign(module, half | {"0.bias": torch.ones(4).int()}, allow_dtype_cast=True)


def test_assign_wants_a_module_with_memory() -> None:
    with torch.device("meta"):
        module = network()
    with pytest.raises(ValueError, match="meta"):
        assign(module, network().state_dict())


def test_cast_rounds_floating_point_and_refuses_overflow() -> None:
    cast = cast_tensors({"w": torch.tensor([1.0, 1e-3]), "n": torch.tensor([70000])}, torch.float16)
    assert cast["w"].dtype == torch.float16
    assert cast["n"].dtype == torch.int64
    with pytest.raises(NumericError, match="float16 in big"):
        cast_tensors({"big": torch.tensor([1e6])}, torch.float16)
    assert cast_tensors({"big": torch.tensor([1e6])}, torch.bfloat16)["big"].isfinite().all()


def test_an_existing_file_is_kept_unless_overwriting(tmp_path: Path) -> None:
    path = tmp_path / "a"
    save_tensors(path, {"x": torch.ones(1)})
    with pytest.raises(ConfigError, match="exists"):
        save_tensors(path, {"x": torch.zeros(1)})
    assert load_tensors(path)["x"].item() == 1
    save_tensors(path, {"x": torch.zeros(1)}, overwrite=True)
    assert load_tensors(path)["x"].item() == 0


def test_a_full_disk_is_a_lack_of_resources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tensors(tmp_path / "a", {"x": torch.ones(1)})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="space"):
        save_tensors(tmp_path / "a", {"x": torch.zeros(1)}, overwrite=True)
    assert load_tensors(tmp_path / "a")["x"].item() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
