"""A conditioner as its suite calls it: made for media, asked for what it understands, and what it gives held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...contract import check_rows
from ...errors import PluginError
from ...media import MediaSpec
from ...pipeline.conditioning import combined
from ...registration.build import build
from ...registration.parameters import host_parameters
from ..answers import called
from ..finding import Finding, same
from ..tried_on.media_samples import FILM, PICTURE, SOUND, taken
from ..tried_on.numbers import normal
from ..tried_on.wishes import drawn_wishes
from .learning import LearningSuite, stirred

__all__ = ["ConditionerTrial", "Conditions", "item_of"]

Conditions = Sequence[Mapping[str, object]]


class ConditionerTrial(LearningSuite):
    """What the checks of a conditioner share; the attributes are those of ``ConditionerSuite``."""

    examples: ClassVar[Conditions] = ()
    media: ClassVar[Sequence[MediaSpec]] = (SOUND, PICTURE, FILM)
    guided: ClassVar[bool] = True

    def host(self) -> dict[str, object]:
        """Return what the first of the media that it does not refuse gives it."""
        return _host(self._taken()[0])

    def _taken(self, *, strict: bool = False) -> list[MediaSpec]:
        """Return those of the media that it does not refuse; the first alone where it asks for none.

        Where ``strict``, it may not trip over the others.
        """
        asked = host_parameters(self.part().load())  # type: ignore[arg-type]
        looks = {"media", "latent_shape", "codec", "**"} & asked.keys()
        return taken(self.media if looks else self.media[:1], self._made_for, strict=strict)

    def _made_for(self, spec: MediaSpec) -> Any:
        """Return the conditioner for media.

        Raises:
            ConfigError: it takes no such media.
        """
        try:
            return self.made(**_host(spec))
        except PluginError as error:
            raise Finding(f"{error}; refuse what it cannot take by a ConfigError or ValueError") from error

    @classmethod
    def _spelt_out(cls, spec: MediaSpec, conditions: Conditions) -> dict[str, object]:
        """Return what conditions are encoded as, in plain numbers."""
        raw = cls()._made_for(spec).encode(conditions)
        return {name: value.tolist() for name, value in raw.items()}

    def _each(self) -> Iterator[tuple[Any, Conditions, MediaSpec]]:
        """Give the conditioner for each kind of media, with wishes of some items, and the media."""
        for spec in self._taken():
            part = stirred(self._made_for(spec))
            part = part.eval() if isinstance(part, nn.Module) else part
            yield part, self._wishes(part, spec), spec

    def _wishes(self, part: Any, spec: MediaSpec) -> Conditions:
        """Return what is asked of it."""
        return list(self.examples) or drawn_wishes(part, spec, spec.shape)

    def _answer(self, part: Any) -> Tensor:
        """Return all that it gives for its examples and for none, in one row."""
        with torch.no_grad():
            return torch.cat([value.double().flatten() for value in self._all(part)])

    def _loss(self, part: Any) -> Tensor:
        """Return a random share of all that it gives."""
        given = torch.cat([value.flatten() for value in self._all(part)])
        return (given * normal(1, given.numel(), purpose="share")[0].to(given)).sum()

    def _encoded(self, part: Any, conditions: Conditions) -> dict[str, Tensor]:
        """Return what conditions are encoded as, as a Finding where that is not a row for each."""
        return self._rows_of(called("encode", part.encode, conditions), len(conditions), "encode")

    def _nothing(self, part: Any, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the encoding of as many items of which nothing is asked."""
        return self._rows_of(called("null", part.null, raw), _rows(raw), "null")

    def _told(self, part: Any, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what the network is told, as a Finding where it is not as declared."""
        with torch.no_grad():
            return self._forward(part, raw)

    def _forward(self, part: Any, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        given = self._rows_of(called("forward", part.forward, raw), _rows(raw), "forward")
        try:
            return combined([("forward", part.outputs, given)], _rows(raw))
        except PluginError as error:
            raise Finding(str(error)) from error

    def _all(self, part: Any) -> list[Tensor]:
        """Return all tensors that it gives for its examples and for none."""
        wishes = self._wishes(part, self._taken()[0])
        raw = self._encoded(part, [*wishes, {}])
        given = [self._forward(part, one) for one in (raw, self._nothing(part, raw))]
        return [value for one in given for name, value in one.items() if name != "sequence_mask"]

    def _rows_of(self, given: object, rows: int, of: str) -> dict[str, Tensor]:
        """Return tensors of so many rows by name, as a Finding where they are none."""
        try:
            return dict(check_rows(given, rows, of=of))
        except PluginError as error:
            raise Finding(str(error)) from error

    def _close(self, made: Mapping[str, Tensor], expected: Mapping[str, Tensor], told: str) -> None:
        """Raise a Finding unless two items are told the same."""
        for name, value in expected.items():
            size = value.abs().max().item() if value.numel() else 0.0
            same(made[name], value, f"{name}: {told}", atol=1e-5 * max(1.0, size))


def _host(spec: MediaSpec) -> dict[str, object]:
    """Return what the program gives a conditioner of a stage that makes such media as they are."""
    codec = build("codec", "identity", media=spec)
    return {"media": spec, "latent_shape": spec.shape, "codec": codec, "folder": None}


def item_of(given: Mapping[str, Tensor], row: int) -> dict[str, Tensor]:
    """Return what one item is told; of a sequence what its mask says is there."""
    found = {name: value[row] for name, value in given.items() if name != "sequence_mask"}
    if "sequence_mask" in given:
        found["sequence"] = found["sequence"][given["sequence_mask"][row]]
    return found


def _rows(raw: Mapping[str, Tensor]) -> int:
    return len(next(iter(raw.values()), ()))
