"""A model under guidance, as the loop calls it: ``(x, level) -> x0``, held against the contract."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from ..contract import check_tensor, writes_to
from ..errors import PluginError
from .denoiser import Cond, Denoiser, Guidance
from .level import Level
from .transition import Variance, learnt_variance

__all__ = ["Guided"]


class Guided:
    """A denoiser wrapped by a guidance; what the two give is checked where it can be wrong.

    Guidance moves the mean of a step. Its variance, where the network learns one, is that of the model under the
    condition asked for: of the rows whose conditioning is that one, or of the first rows of the first call where the
    guidance asks under none such.

    Args:
        guidance: wraps the denoiser.
        denoise: the model.
        cond: the conditioning asked for, see :class:`~.denoiser.Guidance`.
        null: the conditioning that says nothing.
        of: the guidance, for messages.
        given: what else the guidance is to be given, such as its guide.

    Raises:
        PluginError: the guidance breaks its contract.
    """

    def __init__(
        self, guidance: Guidance, denoise: Denoiser, cond: Cond, null: Cond, *, of: str, given: Mapping[str, object]
    ) -> None:
        self._denoise, self._of = denoise, of
        self._cond = cond
        self._checked, self._sure = False, False
        self._spread: Tensor | None = None
        self._rows = 0
        conditioned = self._remembering if denoise.learns_variance else denoise
        self._guided = guidance.wrap(conditioned, cond, null, **given)
        if not callable(self._guided):
            raise PluginError(
                f"{of}: wrap gave a {type(self._guided).__name__}, expected denoise(x, level) -> x0; fix the part"
            )

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        writes, self._spread, self._sure, self._rows = writes_to(x), None, False, len(x)
        x0: Tensor = self._guided(x, level)
        if not self._checked:  # what holds for the first call holds for all
            check_tensor(x0, x.shape, of=self._of, device=x.device)
            self._checked = True
        if writes_to(x) != writes:
            raise PluginError(
                f"{self._of}, or the network under it, changed the items it was given; fix it to work on copies"
            )
        return x0

    @property
    def variance(self) -> Variance:
        """See :class:`~.denoiser.Denoiser`."""
        if self._spread is None:
            raise AttributeError("variance")
        return partial(learnt_variance, self._spread)

    def _remembering(self, x: Tensor, level: Level[float], cond: Cond | None = None) -> Tensor:
        x0 = self._denoise(x, level, cond)
        if not self._sure and self._denoise.spread is not None:
            place = self._place(cond or {})
            if place is not None or self._spread is None:
                first = place or 0
                self._spread = self._denoise.spread[first : first + self._rows]
            self._sure = place is not None
        return x0

    def _place(self, cond: Cond) -> int | None:
        """Return the first of the rows that are conditioned as was asked for."""
        if cond.keys() != self._cond.keys():
            return None
        asked, rows = self._cond, self._rows
        batch = min((len(value) for value in cond.values()), default=rows)
        places = range(0, batch - rows + 1, rows)
        return next((at for at in places if all(torch.equal(cond[k][at : at + rows], asked[k]) for k in asked)), None)
