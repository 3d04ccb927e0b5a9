"""Parts whose weights come from a model folder: ``codec = { use = "kl-vae", weights = "runs/vae" }``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..errors import CheckpointError, ConfigError
from ..naming import printable
from ..registration.config import PartConfig, checked
from ..registration.weights_reference import resolve_weights
from ..storage.model_folder import load_model_folder
from ..storage.weights import assign_frozen

__all__ = [
    "CODEC",
    "Pretrained",
    "codec_entry",
    "decodes",
    "has_weights",
    "pretrained_codec",
    "pretrained_encoder",
    "refuse_other_encoder",
]

_SAME = 0.01  # how far weights may differ that were rounded to other precisions, in parts of their norm

CODEC = "codec"
"""The name of a codec's weights in the folder of a trained codec."""


def codec_entry(stage: str) -> str:
    """Return the name of the weights of a stage's codec in the folder of a whole model."""
    return f"{stage}.{CODEC}"


@dataclass(frozen=True)
class Pretrained:
    """A part with the weights that it was given.

    Attributes:
        config: the part's table, whole, without the reference to the weights.
        tensors: the weights.
        source: where they are from, for messages.
        sha256: of the weights' file.
    """

    config: PartConfig
    tensors: Mapping[str, Tensor]
    source: str
    sha256: str

    def fill(self, part: object) -> None:
        """Put the weights into the built part.

        Raises:
            CheckpointError: they do not fit.
        """
        if not isinstance(part, nn.Module):
            raise ConfigError(f"codec {self.config.use!r} has nothing to learn; leave weights out")
        assign_frozen(part, self.tensors, source=self.source)


def has_weights(codec: object) -> bool:
    """Tell whether a codec has anything learnt in it."""
    return isinstance(codec, nn.Module) and bool(codec.state_dict())


def decodes(codec: object) -> bool:
    """Tell whether a codec gives media back for its latents; one of embeddings says ``decodes = False``."""
    return bool(getattr(codec, "decodes", True))


def pretrained_codec(table: PartConfig) -> Pretrained | None:
    """Return what a codec's table says of weights that were trained before; None where it says nothing.

    What the table leaves out is as the codec was trained.

    Raises:
        ConfigError: there is no such folder, or its codec is another one.
        CheckpointError: it holds no codec, or a damaged one.
    """
    if table.weights is None:
        return None
    folder: Path = resolve_weights(table.weights)
    model, weights = load_model_folder(folder)
    shown = printable(folder)
    entry, found = _codec_of(model.pipeline, weights)
    if entry is None:
        raise CheckpointError(f"codec {table.use!r}: {shown} holds no codec; name a folder that a codec's recipe made")
    trained = checked(PartConfig, found, what=f"codec of {shown}")
    if trained.use != table.use:
        raise ConfigError(f"codec {table.use!r}: {shown} holds a codec {trained.use!r}; write use = {trained.use!r}")
    changed = {key: value for key, value in table.params.items() if trained.params.get(key, value) != value}
    if changed:
        name, value = next(iter(changed.items()))
        raise ConfigError(
            f"codec {table.use!r}: {name} = {value!r}, but {shown} was trained with {trained.params[name]!r}; "
            "leave it out"
        )
    config = PartConfig.model_validate({"use": trained.use, **trained.params, **table.params})
    return Pretrained(config, weights[entry], f"weights: {shown}", model.sha256(entry))


def _codec_of(pipeline: Mapping[str, Any], weights: Mapping[str, object]) -> tuple[str | None, Any]:
    """Return the entry and the table of the codec in a model folder: its own, or that of the first stage with one."""
    if CODEC in weights:
        return CODEC, pipeline.get(CODEC, {})
    for stage in pipeline.get("stages", ()):
        if codec_entry(stage["name"]) in weights:
            return codec_entry(stage["name"]), stage["codec"]
    return None, {}


def pretrained_encoder(table: PartConfig) -> tuple[PartConfig, Pretrained | None]:
    """Return a conditioner's table whose ``codec`` names no weights any more, and what it named; None where nothing.

    Raises:
        ConfigError, CheckpointError: as :func:`pretrained_codec` does.
    """
    inner = table.params.get("codec")
    if not isinstance(inner, Mapping) or inner.get("weights") is None:
        return table, None
    found = pretrained_codec(checked(PartConfig, inner, what=f"conditioner {table.use!r}: codec"))
    assert found is not None, "it names weights"
    return table.model_copy(update={"codec": {"use": found.config.use, **found.config.params}}), found


def refuse_other_encoder(codec: object, conditioners: Iterable[tuple[PartConfig, Any]], *, where: str) -> None:
    """Refuse conditioners that would take latents of another encoder than their own for those of their own.

    Args:
        codec: of the stage before, whose latents they get.
        conditioners: of a stage, with their tables; those whose table has a ``codec`` have it as ``encoder``.
        where: the stage, for messages.

    Raises:
        ConfigError: the weights differ.
    """
    if decodes(codec) or not isinstance(codec, nn.Module):
        return
    theirs = codec.state_dict()
    for table, one in conditioners:
        encoder = getattr(one, "encoder", None)
        if "codec" not in table.params or not isinstance(encoder, nn.Module):
            continue
        own = encoder.state_dict()
        if own.keys() != theirs.keys() or not all(_alike(own[name], theirs[name]) for name in own):
            raise ConfigError(
                f"{where}: its conditioner was trained with another joint encoder than the stage before it lives in; "
                "train both with the same weights of their codec"
            )


def _alike(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    first, second = one.double().cpu(), other.double().cpu()
    return bool((first - second).norm() <= _SAME * second.norm())
