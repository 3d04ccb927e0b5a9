"""A folder as diffusers writes it, read with distrust: configurations as JSON, weights as safetensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ...core.errors import CheckpointError, MediaError
from ...core.naming import printable
from ...core.registration.plugin_loading import reason_of
from ...core.storage.manifest import read_small
from ...core.storage.regular_file import open_regular
from ...core.storage.strict_json import parse_json_object
from ...core.storage.weights import load_tensors

__all__ = ["Component", "SourceFolder"]

INDEX = "model_index.json"
_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
_SHARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\.safetensors")
# Attention as diffusers named it before version 0.17, and its name since.
_RENAMED = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_OLD = re.compile(rf"(.*attentions\.\d+)\.({'|'.join(_RENAMED)})\.(weight|bias)")


@dataclass(frozen=True)
class Component:
    """A part of a pipeline in a folder of its own.

    Attributes:
        folder: where it is.
        kind: name of its class.
        config: its configuration; of a scheduler the whole one.
    """

    folder: Path
    kind: str
    config: Mapping[str, object]


@dataclass
class SourceFolder:
    """A pipeline's folder.

    Attributes:
        folder: where it is.
        pickles: read weights from pickles too.
        index: what model_index.json says.
        notes: what the user should know of what was read.
    """

    folder: Path
    pickles: bool
    index: Mapping[str, object] = field(init=False)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.index = self._json(self.folder / INDEX)

    @property
    def pipeline(self) -> str:
        """Name of the pipeline's class."""
        return str(self.index.get("_class_name"))

    def error(self, why: str) -> CheckpointError:
        """Return the error of this folder."""
        return CheckpointError(f"convert: {printable(self.folder)}: {why}")

    def component(self, name: str, *kinds: str) -> Component:
        """Return a part of the pipeline.

        Args:
            name: its key in model_index.json, and its folder.
            kinds: the classes that can be read; any where none is given.

        Raises:
            CheckpointError: it is missing, of another class, or its configuration cannot be read.
        """
        entry = self.index.get(name)
        kind = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
        if not isinstance(kind, str):
            raise self.error(f"{INDEX} names no {name}; take a whole copy")
        if kinds and kind not in kinds:
            raise self.error(f"{name} is a {kind}, expected {' or '.join(kinds)}; such a pipeline cannot be converted")
        folder = self.folder / name
        own = "scheduler_config.json" if name == "scheduler" else "config.json"
        return Component(folder, kind, self._json(folder / own))

    def has(self, name: str) -> bool:
        """Tell whether the pipeline has a part that is not null."""
        entry = self.index.get(name)
        return isinstance(entry, list) and any(one is not None for one in entry)

    def read(self, path: Path) -> bytes:
        """Return a small file."""
        if not path.is_file():
            raise self.error(f"{printable(path.relative_to(self.folder))} is missing; take a whole copy")
        return read_small(path)

    def _json(self, path: Path) -> dict[str, object]:
        return parse_json_object(self.read(path), f"convert: {printable(path)}", infinite=True)

    def weights(self, component: Component) -> dict[str, Tensor]:
        """Return a component's tensors by the names that diffusers has for them now.

        Full precision comes first; where there is only another variant, such as fp16, that is taken and noted.

        Raises:
            CheckpointError: there are none, they are damaged, or pickles that were not allowed.
        """
        tensors = self._safetensors(component)
        if tensors is None:
            tensors = self._pickled(component)
        return {
            _OLD.sub(lambda old: f"{old[1]}.{_RENAMED[old[2]]}.{old[3]}", name): one for name, one in tensors.items()
        }

    def _safetensors(self, component: Component) -> dict[str, Tensor] | None:
        folder = component.folder
        for stem in _STEMS:
            if (folder / f"{stem}.safetensors").is_file():
                return load_tensors(folder / f"{stem}.safetensors")
            if (folder / f"{stem}.safetensors.index.json").is_file():
                return self._sharded(folder / f"{stem}.safetensors.index.json")
        for stem in _STEMS:
            found = sorted(
                path
                for path in (*folder.glob(f"{stem}.*.safetensors"), *folder.glob(f"{stem}.safetensors.index.*.json"))
                if path.is_file()
            )
            if len(found) > 1:
                names = ", ".join(printable(path.name) for path in found[:5])
                raise self.error(f"{folder.name}: there are several variants ({names}); keep one of them")
            if found:
                self.notes.append(f"{folder.name}: read from {printable(found[0].name)}, the only one there")
                return self._sharded(found[0]) if found[0].suffix == ".json" else load_tensors(found[0])
        return None

    def _sharded(self, index: Path) -> dict[str, Tensor]:
        shown = printable(index.relative_to(self.folder))
        places = self._json(index).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
            raise self.error(f"{shown} has no weight_map; take another copy")
        tensors: dict[str, Tensor] = {}
        for file in sorted(set(places.values())):
            if not _SHARD.fullmatch(file):
                raise self.error(f"{shown} names {printable(file, 80)}, no plain name of a safetensors file")
            tensors |= load_tensors(index.parent / file)
        if tensors.keys() != places.keys():
            odd = min(tensors.keys() ^ places.keys())
            raise self.error(f"{shown} and the files that it names differ in {printable(odd, 80)}; take another copy")
        return tensors

    def _pickled(self, component: Component) -> dict[str, Tensor]:
        folder = component.folder
        for path in (folder / f"{stem}.bin" for stem in _STEMS):
            if not path.is_file():
                continue
            shown = printable(path.relative_to(self.folder))
            if not self.pickles:
                raise self.error(
                    f"{shown} is a pickle, which can run code when loaded; take a copy with safetensors, or allow "
                    "torch's restricted reader by --allow-pickle"
                )
            try:
                with open_regular(path) as file:
                    tensors = torch.load(file, map_location="cpu", weights_only=True)
            except (MediaError, OSError) as error:
                raise self.error(f"{shown}: {error}") from error
            except Exception as error:  # an unpickler raises whatever the bytes lead it to
                raise self.error(
                    f"{shown} cannot be read safely ({reason_of(error)[:150]}); take another copy"
                ) from error
            if not isinstance(tensors, dict) or not all(isinstance(one, Tensor) for one in tensors.values()):
                raise self.error(f"{shown} holds something else than tensors by name; take another copy")
            return {str(name): one.contiguous() for name, one in tensors.items()}
        raise self.error(f"{folder.name} has no weights ({_STEMS[0]}.safetensors); take a whole copy")
