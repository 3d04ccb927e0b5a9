"""What is trained: a network, and the conditioners that feed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from ..contract import check_rows
from ..errors import ConfigError, PluginError, nearest
from .conditioning import combined
from .source import Items

__all__ = ["Model", "Raw", "on_device", "told_of"]

Raw = list[dict[str, Tensor]]
"""What each conditioner makes of the items' wishes, before anything learnt."""


class Model(nn.Module):
    """What is trained: a network and the conditioners that feed it.

    Args:
        network: ``(x, time, cond) -> output``.
        conditioners: turn wishes into conditioning, see the guide on plugins; those that are torch modules are trained
            along.
    """

    def __init__(self, network: nn.Module, conditioners: Sequence[Any]) -> None:
        super().__init__()
        self.network = network
        self.conditioners: Any = nn.ModuleList(c if isinstance(c, nn.Module) else _Frozen(c) for c in conditioners)

    @property
    def additions(self) -> tuple[frozenset[str], ...]:
        """Groups of names of weights that a model which this one can start from may lack, as the network has them."""
        groups = getattr(self.network, "additions", ())
        return tuple(frozenset(f"network.{name}" for name in group) for group in groups)

    @property
    def names(self) -> frozenset[str]:
        """The labels that some conditioner knows."""
        return frozenset(name for one in self.conditioners for name in getattr(one, "names", ()))

    @property
    def takes(self) -> frozenset[str]:
        """The kinds of wishes that are heard; of labels always those known."""
        return frozenset({"labels", *(key for one in self.conditioners for key in getattr(one, "takes", ()))})

    def encode(self, conditions: Sequence[Mapping[str, object]]) -> Raw:
        """Return what each conditioner makes of the items' conditions, before anything learnt.

        Raises:
            ConfigError: an item carries a label that no conditioner knows, or a wish that none takes.
            PluginError: a conditioner breaks its contract.
        """
        taken, known = self.takes, self.names
        for condition in conditions:
            refused = [key for key, value in condition.items() if value and key not in taken]
            if refused:
                wish = {"text": "prompt"}.get(refused[0], refused[0])  # as the user calls it
                raise ConfigError(f"{wish}: this model takes no {wish}; leave it out, or name another model")
            for label in condition.get("labels") or ():  # type: ignore[attr-defined]
                if label not in known:
                    hint = nearest(str(label), known) if known else "this model takes no labels, leave it out"
                    raise ConfigError(f"label: unknown label {label!r}; {hint}")
        return [
            dict(check_rows(one.encode(conditions), len(conditions), of=f"{told_of(one)}: encode"))
            for one in self.conditioners
        ]

    def shown(self, raw: Raw, items: Items) -> Raw:
        """Return the encoding with what conditioners show of the items themselves in training.

        Args:
            raw: what :meth:`encode` gave.
            items: of the batch, with ``u`` for each conditioner (batch, conditioners, some).
        """
        shown = list(raw)
        for number, one in enumerate(self.conditioners):
            if hasattr(one, "shown"):
                of = f"{told_of(one)}: shown"
                mine = replace(items, u=items.u[:, number])
                shown[number] = dict(check_rows(one.shown(mine), len(items.x0), of=of))
        return shown

    def offset(self, raw: Raw) -> tuple[Tensor, Tensor] | None:
        """Return what of the items is there already and the scale of what is to be added; None where that is all.

        The network makes ``(latent - offset) / scale``; one conditioner at most says so, by a method ``offset(raw)``
        that returns latents (items, channels, \\*space) and scales (items, 1, …), or None.
        """
        given = [one.offset(mine) for one, mine in zip(self.conditioners, raw, strict=True) if hasattr(one, "offset")]
        return next((one for one in given if one is not None), None)

    def null(self, raw: Raw) -> Raw:
        """Return the encoding, of the same shapes, that asks for nothing."""
        return [_null(conditioner, one) for conditioner, one in zip(self.conditioners, raw, strict=True)]

    def condition(self, raw: Raw) -> dict[str, Tensor]:
        """Return the conditioning of the network: vectors added up, sequences and channels put side by side."""
        rows = max((len(next(iter(mine.values()), ())) for mine in raw), default=0)
        given = [
            (told, one.outputs, check_rows(one(mine), rows, of=told))
            for told, one, mine in zip(map(told_of, self.conditioners), self.conditioners, raw, strict=True)
        ]
        return combined(given, rows)


def on_device(device: str, raw: Raw) -> Raw:
    """Return an encoding that lies on a device."""
    return [{name: value.to(device) for name, value in one.items()} for one in raw]


def told_of(conditioner: object) -> str:
    """Return what messages call a conditioner."""
    own = getattr(conditioner, "_conditioner", conditioner)
    return f"conditioner {type(own).__name__}"


def _null(conditioner: Any, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what a conditioner makes of no wish, in the place of what it made of one.

    Raises:
        PluginError: it is not of the same form.
    """
    of, rows = f"{told_of(conditioner)}: null", len(next(iter(raw.values()), ()))
    given = check_rows(conditioner.null(raw), rows, of=of)
    if given.keys() != raw.keys():
        raise PluginError(f"{of} gave {sorted(given)}, expected what encode gives, {sorted(raw)}; fix the part")
    return dict(given)


class _Frozen(nn.Module):
    """A conditioner that is no torch module, with nothing to train, in the place of one: all it says is its own."""

    def __init__(self, conditioner: Any) -> None:
        super().__init__()
        self._conditioner = conditioner
        self.forward = conditioner.forward

    def __getattr__(self, name: str) -> Any:
        if "_conditioner" not in self.__dict__:  # while it is being copied
            raise AttributeError(name)
        return getattr(self._conditioner, name)
