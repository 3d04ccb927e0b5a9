"""The files of a modality of one's own, read: for its data sets, and for what is edited and made larger."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from noiseform import MediaError, MediaSpec

RATE = "# rate "


def read_values(path):
    """Return the values (channels, steps) of a file and its rate, or None. Raises MediaError where it is damaged."""
    try:
        lines = Path(path).read_text("utf-8").splitlines()
        rates = [float(line.removeprefix(RATE)) for line in lines if line.startswith(RATE)]
        rows = [line for line in lines if not line.startswith("#")]
        values = torch.tensor([[float(text) for text in row.split(",")] for row in rows[1:]])
        if values.ndim != 2 or not values.isfinite().all():
            raise ValueError("no numbers, or some are not finite")
        return values.T, next(iter(rates), None)
    except (OSError, ValueError) as error:
        raise MediaError(f"cannot read: {path}: {error}; give a CSV file of numbers") from error


class SeriesDataset:
    """The CSV files of a folder; the words of a file's name, but for its last one, describe it."""

    vocabulary = ()  # labels; these items have none
    skipped: list[tuple[str, str]]

    def __init__(self, folder: Path, spec: MediaSpec) -> None:
        self._paths, self._values, self.skipped = [], [], []
        for path in sorted(folder.glob("*.csv")):
            try:
                values, _ = read_values(path)
                assert tuple(values.shape) == spec.shape, f"shape {tuple(values.shape)} where {spec.shape} is wanted"
            except (MediaError, AssertionError) as error:
                self.skipped.append((path.name, str(error)))
            else:
                self._paths.append(path)
                self._values.append(values)
        if not self._paths:
            raise MediaError(f"no data: {folder}: no series of shape {spec.shape}; name another folder")

    def __len__(self) -> int:
        return len(self._paths)

    def item(self, index, *, start):
        return self._values[index].clone()  # whoever asks may write into it, and may be another thread

    def conditions(self, index):
        return {"text": " ".join(self._paths[index].stem.split("_")[:-1])}

    def name(self, index):
        return self._paths[index].name

    @property
    def fingerprint(self):
        """Return a hash that changes when the data does."""
        items = [(self.name(index), self._values[index].tolist()) for index in range(len(self))]
        return hashlib.sha256(repr(items).encode()).hexdigest()
