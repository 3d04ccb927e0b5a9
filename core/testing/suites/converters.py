"""The suite of converters: they know their layout, leave the source alone, and give what fits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...errors import CheckpointError, NoiseformError
from ...pipeline.conversion import Converted, write_converted
from ...registration.config import PipelineConfig, checked
from ...storage.model_folder import read_model_folder
from ..finding import Finding, holds, no_global_draws, skip
from ..suite import Suite
from ..tried_on.folder import contents, room

__all__ = ["ConverterSuite"]


class ConverterSuite(Suite):
    """Holds a converter to its contract: ``reads(source)`` and ``convert(source, pickles=...)``.

    Attributes:
        example: a function that writes a small model in the converter's layout into an empty folder, which it is
            given; without it only what the converter makes of other folders is looked at.
    """

    kind: ClassVar[str] = "converter"
    example: ClassVar[Callable[[Path], object] | None] = None

    def test_reads_its_own_layout_only(self) -> None:
        """``reads`` says True of the example, False of folders of something else, and raises nothing of any."""
        made = self.made()
        for what, content in (
            ("an empty folder", {}),
            ("a folder of notes", {"README.md": b"# Notes\n", "a.bin": bytes(range(256))}),
            ("a folder of odd names", {"\u00fc \u540d.json": b"{", "config.json": b"\xff\x00"}),
        ):
            with room() as folder:
                for name, data in content.items():
                    (folder / name).write_bytes(data)
                holds(made.reads(folder) is False, f"reads of {what} is {made.reads(folder)!r}, expected False")
        if type(self).example is not None:
            with self._example() as folder:
                holds(made.reads(folder) is True, f"reads of the example is {made.reads(folder)!r}, expected True")

    def test_leaves_the_source_alone(self) -> None:
        """Nothing in the source is written, changed or removed."""
        with self._example() as folder:
            before = contents(folder)
            self.made().reads(folder)
            self.made().convert(folder, pickles=False)
            holds(contents(folder) == before, "files of the source were changed; it belongs to the user")

    def test_gives_a_model(self) -> None:
        """What it gives is a ``Converted``: a pipeline's table, tensors by name, facts that JSON can say, notes."""
        with self._example() as folder:
            found = self.made().convert(folder, pickles=False)
        holds(isinstance(found, Converted), f"convert gave a {type(found).__name__}, expected a Converted")
        checked(PipelineConfig, found.pipeline, what="convert: the table of its pipeline")
        for name, tensors in found.weights.items():
            holds(isinstance(tensors, Mapping), f"weights of {name!r}: expected tensors by name")
            odd = [key for key, value in tensors.items() if not isinstance(value, Tensor)]
            holds(not odd, f"weights of {name!r}: {', '.join(map(str, odd[:3]))} are no tensors")
        try:
            json.dumps(dict(found.facts))
        except (TypeError, ValueError) as error:
            raise Finding(f"facts: {error}; keep to what JSON can say") from error
        lines = isinstance(found.notes, tuple) and all(isinstance(one, str) and "\n" not in one for one in found.notes)
        holds(lines, f"notes: expected a tuple of texts of one line, got {found.notes!r:.80}")

    def test_the_model_fits(self) -> None:
        """The parts of the pipeline are there, and the weights fit them: a model folder can be written of it."""
        with self._example() as folder, room() as out:
            found = self.made().convert(folder, pickles=False)
            try:
                write_converted(found, out / "model", source="the example")
            except NoiseformError as error:
                raise Finding(f"what it gives makes no model folder: {error}") from error
            holds(read_model_folder(out / "model").stages, "a model folder without weights came out")

    def test_is_deterministic(self) -> None:
        """The same source gives the same model, and draws nothing from a global generator."""
        with self._example() as folder, no_global_draws():
            one, other = (self.made().convert(folder, pickles=False) for _ in range(2))
        holds(one.pipeline == other.pipeline, "the same source gives another table the second time")
        for name, tensors in one.weights.items():
            again = other.weights.get(name, {})
            alike = tensors.keys() == again.keys() and all(torch.equal(tensors[key], again[key]) for key in tensors)
            holds(alike, f"the same source gives other weights of {name!r} the second time")

    def test_damaged_sources_are_told(self) -> None:
        """A file that is missing, empty, cut or something else gives a CheckpointError, and no other exception."""
        with self._example() as folder:
            files, refusals = [path for path in sorted(folder.rglob("*")) if path.is_file()], 0
            holds(files, "the example writes no files")
            for path in files:
                whole = path.read_bytes()
                for what, data in (
                    ("missing", None),
                    ("empty", b""),
                    ("cut", whole[: len(whole) // 2]),
                    ("other bytes", bytes(range(256)) * 4),
                    ("other JSON", b'{"a": [1, null]}'),
                ):
                    path.unlink() if data is None else path.write_bytes(data)
                    refusals += self._refuses(folder, f"{path.relative_to(folder)}: {what}")
                    path.write_bytes(whole)
        holds(refusals, "no damage whatever to any file is noticed")

    def _refuses(self, folder: Path, what: str) -> bool:
        """Tell whether a damaged source is refused; it may be fine where the file does not matter."""
        try:
            self.made().reads(folder)
            self.made().convert(folder, pickles=False)
        except CheckpointError as error:
            holds("\n" not in str(error), f"{what}: the message has several lines: {error!r:.100}")
            return True
        except Exception as error:
            raise Finding(f"{what}: expected CheckpointError, got {type(error).__name__}: {error}") from error
        return False

    @contextmanager
    def _example(self) -> Iterator[Path]:
        """Give a folder with the example."""
        example: Any = type(self).__dict__.get("example", type(self).example)
        write = example.__func__ if isinstance(example, staticmethod) else example
        if write is None:
            skip("the suite says no example: a function that writes a small model of the layout into a folder")
        with room() as folder:
            write(folder)
            yield folder
