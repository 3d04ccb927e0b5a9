"""What is trained: the loss of a batch, the modules that learn from it, and what they leave behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from ..pipeline.modality import DataSet
from ..storage.model_parts import RequiredPart
from .batches import Batch

__all__ = ["Task"]


class Task(Protocol):
    """One kind of training; the loop around it is always the same.

    A task may have ``memory`` as well, torch modules by name that do not learn by gradients: checkpoints keep them too.
    """

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """What learns, each module with an optimizer of its own.

        The one named ``model`` comes first: its loss is the run's, its moving average is what ships. Others, such as a
        discriminator, only help.
        """

    @property
    def entry(self) -> str:
        """The name that the weights of ``model`` have in the model folder."""

    @property
    def pipeline(self) -> Mapping[str, object]:
        """The tables of the model folder's ``pipeline.toml``."""

    @property
    def parts(self) -> Sequence[RequiredPart]:
        """What the model needs of the installed plugins."""

    @property
    def conditioners(self) -> int:
        """For how many conditioners a batch draws whether a condition is left out."""

    def check(self, data: DataSet, batch_size: int) -> None:
        """Refuse, before the first step, data that cannot be learnt from and batches that do not fit into memory.

        Raises:
            ConfigError: an item carries what the model does not know.
            ResourceError: it takes more memory than there is.
        """

    def updates(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """Give the loss of each module in turn; each is updated before the next loss is computed."""

    def exported(self, average: nn.Module, data: DataSet) -> Mapping[str, Mapping[str, Tensor]]:
        """Return the tensors of the model folder, by the names of its files, for the average of ``model``."""

    def draw(self, average: nn.Module, data: DataSet, path: Path) -> None:
        """Draw what the average of ``model`` can do into a picture."""
