"""A classifier of noisy items: which label an item carries, told from any moment of a process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ..contract import check_tensor
from ..diffusion.level import Level, expand
from ..diffusion.process import CompleteProcess, complete
from ..errors import ConfigError
from ..machine.interrupts import interrupts_held
from ..registration.build import build_part
from ..registration.config import PartConfig

__all__ = ["CLASSIFIER", "Classifier", "ClassifierConfig"]

CLASSIFIER = "classifier"
"""The name of a classifier's weights in its model folder, and of its table."""


class ClassifierConfig(BaseModel):
    """The ``[classifier]`` table.

    Attributes:
        process: how data is destroyed; that of the pipelines that it is to guide.
        network: any network; its output, averaged over space, is one score for each label.
        codec: what the network sees of the media; that of the pipelines that it is to guide.
        names: the labels that it tells apart; each item carries one of them.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    process: PartConfig
    network: PartConfig
    codec: PartConfig = PartConfig(use="identity")
    names: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=2)]


class Classifier(nn.Module):
    """Any network with one channel of output for each label, averaged over space.

    Args:
        config: its parts and labels.
        latent_shape: shape of an item as its codec gives it (channels, \\*space).

    Attributes:
        names: the labels.
        process: at whose levels it stands.

    Raises:
        ConfigError: a label stands there twice, or the network takes items of another rank.
    """

    def __init__(self, config: ClassifierConfig, latent_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.names = tuple(config.names)
        if len(set(self.names)) < len(self.names):
            raise ConfigError("classifier: names: a label stands there twice; remove one")
        self.process: CompleteProcess = complete(build_part(config.process, "process", where="classifier"))
        host = {"channels_in": latent_shape[0], "channels_out": len(self.names)}
        host |= {"vector_width": 0, "sequence_width": 0, "extra_channels": 0}
        with interrupts_held(), torch.device("meta"):  # an interrupt between would leave torch there
            trial: Any = build_part(config.network, "network", where="classifier", **host)
        if trial.item_ndim != len(latent_shape) - 1:
            raise ConfigError(
                f"classifier: network {config.network.use!r} takes items of {trial.item_ndim} axes of space, but codec "
                f"{config.codec.use!r} gives {len(latent_shape) - 1} (shape {latent_shape}); choose another of the two"
            )
        self.network: nn.Module = build_part(config.network, "network", where="classifier", **host)

    def forward(self, x: Tensor, level: Level[float] | Level[Tensor]) -> Tensor:
        """Return scores (batch, names) of noisy items; softmax makes them probabilities.

        Args:
            x: the noisy items (batch, \\*latent_shape).
            level: where they stand: one for all, or fields (batch,).
        """
        scale = (level.alpha**2 + level.sigma**2) ** -0.5
        if isinstance(scale, Tensor):
            scaled = x * expand(scale, x)
            time = torch.as_tensor(level.t, dtype=torch.float32, device=x.device)
        else:
            scaled = x * scale
            time = torch.full((len(x),), float(level.t), dtype=torch.float32, device=x.device)
        weight = next(self.network.parameters())
        output: Tensor = self.network(scaled.to(weight.dtype), time, {})
        shape = (len(x), len(self.names), *output.shape[2:])
        of = f"network {type(self.network).__name__}"
        return check_tensor(output, shape, of=of, device=x.device).float().flatten(2).mean(2)

    def number_of(self, condition: Mapping[str, object]) -> int | None:
        """Return which of its labels an item carries; None where it carries none of them.

        Raises:
            ConfigError: it carries several of them.
        """
        labels: Any = condition.get("labels") or ()
        mine = [label for label in labels if label in self.names]
        if len(mine) > 1:
            raise ConfigError(f"label: the classifier tells {mine[0]!r} from {mine[1]!r}; give one of them")
        return self.names.index(mine[0]) if mine else None
