"""The suite of conditioners: wishes to tensors, tensors to conditioning, and nothing at all."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from operator import mul
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...machine.devices import seeded
from ...pipeline.conditioning import KINDS
from ...pipeline.context import CONTEXT, Context
from ...pipeline.source import SOURCE, Items
from ...registration.build import build
from ..answers import called, tensor_of
from ..finding import Finding, holds, no_global_draws, same, skip, unchanged
from ..inherited.conditioner_trial import ConditionerTrial, Conditions, item_of
from ..tried_on.another_device import another_device, lies_on, moved
from ..tried_on.another_process import encoded_elsewhere
from ..tried_on.media_samples import drawn_media
from ..tried_on.wishes import ROWS, drawn_items, same_wishes

__all__ = ["ConditionerSuite"]

ODD_TEXTS = ("", " \n", "é" * 3000, "\udcff", 7, None)


class ConditionerSuite(ConditionerTrial):
    """Holds a conditioner to its contract: ``outputs``, ``encode``, ``forward`` and ``null``.

    Attributes:
        examples: conditions of some items, such as ``{"labels": ("seven",)}`` or ``{"text": "a hat"}``; some that suit
            its ``names`` and ``takes`` where they are left out.
        media: what is made with it; a sound, a picture and a film where it is left out, of which it may refuse some.
        guided: False where guidance does not lead away from what it tells: its ``null`` then says the same again.
    """

    kind: ClassVar[str] = "conditioner"

    def test_declares_what_it_is(self) -> None:
        """``outputs`` is a mapping from kinds of conditioning to widths; ``names`` are different labels."""
        for part, _, _ in self._each():
            outputs, names = part.outputs, tuple(getattr(part, "names", ()))
            right = isinstance(outputs, Mapping) and outputs and set(outputs) <= set(KINDS)
            right = right and all(type(width) is int and width >= 1 for width in outputs.values())
            holds(right, f"outputs: expected widths of {', '.join(KINDS)}, such as {{'vector': 128}}, got {outputs!r}")
            holds(all(isinstance(name, str) for name in names), f"names: expected texts, got {names[:3]!r}")
            holds(len(set(names)) == len(names), "names: a label stands there twice")
            takes = getattr(part, "takes", ())
            holds(not isinstance(takes, str), f"takes: expected a tuple, got the text {takes!r}; write ({takes!r},)")

    def test_takes_media_or_refuses_them(self) -> None:
        """It takes some media, and refuses others when it is made, by a ConfigError."""
        self._taken(strict=True)

    def test_gives_what_it_declares(self) -> None:
        """Each item is told what ``outputs`` says, as wide as that says, finite, and beside each of its positions."""
        for part, wishes, spec in self._each():
            for conditions in (wishes, wishes[:1]):
                for name, value in self._told(part, self._encoded(part, conditions)).items():
                    holds(value.isfinite().all(), f"forward: {name!r} is not finite")
                    if name == "channels":
                        space = tuple(value.shape[2:])
                        holds(space == spec.shape[1:], f"channels of {space} beside items of {spec.shape[1:]}")

    def test_works_in_the_dtype_of_its_weights(self) -> None:
        """With weights in bfloat16 or float64 it takes what it took before, as it has encoded it."""
        for part, wishes, _ in self._each():
            if not isinstance(part, nn.Module):
                skip("it is no torch module, and has no weights")
            raw = self._encoded(part, wishes)
            for dtype in (torch.float64, torch.bfloat16):
                for given in (raw, self._encoded(part.to(dtype), wishes)):
                    for name, value in self._told(part, given).items():
                        holds(value.isfinite().all(), f"forward: {name!r} is not finite in {dtype}")

    def test_null_is_alike(self) -> None:
        """``null`` has the names, shapes and dtypes of what ``encode`` gives, and can be told as that can."""
        for part, wishes, _ in self._each():
            raw = self._encoded(part, wishes)
            null = self._nothing(part, raw)
            found, expected = ({name: (value.shape, value.dtype) for name, value in one.items()} for one in (null, raw))
            holds(found == expected, f"null: expected {_shapes(raw)} as encode gives, got {_shapes(null)}")
            self._told(part, null)

    def test_null_asks_for_nothing(self) -> None:
        """``null`` says the same whatever was wished for, and something else than a wish does."""
        if not self.guided:
            skip("the suite says that guidance does not lead away from what it tells")
        for part, wishes, _ in self._each():
            raw = self._encoded(part, wishes)
            asked, null = self._told(part, raw), self._told(part, self._nothing(part, raw))
            for row in range(1, len(wishes)):
                self._close(item_of(null, row), item_of(null, 0), f"null of item {row} beside that of item 0")
            for row, wish in enumerate(wishes):
                if wish:
                    holds(_differs(item_of(asked, row), item_of(null, row)), f"null says what {_shown(wish)} says too")

    def test_no_wish_is_null(self) -> None:
        """An item that nothing is asked of is told what ``null`` tells."""
        for part, _, _ in self._each():
            raw = self._encoded(part, [{}, {}])
            given, null = self._told(part, raw), self._told(part, self._nothing(part, raw))
            for row in (0, 1):
                self._close(item_of(given, row), item_of(null, row), "an item without any wish beside null")

    def test_tells_wishes_apart(self) -> None:
        """Each wish counts: another value of one alone is told otherwise."""
        for part, (first, *others), _ in self._each():
            for other in others:
                for key in first.keys() & other.keys():
                    wish = {**first, key: other[key]}
                    given = self._told(part, self._encoded(part, [first, wish]))
                    if not same_wishes(wish, first):
                        told = f"{_shown(first)} and {_shown(wish)} are told as the same"
                        holds(_differs(item_of(given, 1), item_of(given, 0)), told)

    def test_items_do_not_depend_on_their_batch(self) -> None:
        """An item alone is told as it is told in a batch, where a sequence has places for the longest."""
        for part, wishes, _ in self._each():
            together = self._told(part, self._encoded(part, [*wishes, {}]))
            for row, wish in enumerate([*wishes, {}]):
                alone = self._told(part, self._encoded(part, [wish]))
                self._close(item_of(alone, 0), item_of(together, row), f"item {row} alone beside the same in a batch")

    def test_is_deterministic(self) -> None:
        """Nothing is drawn and nothing kept: the same wishes are told the same, whatever came between."""
        for part, wishes, _ in self._each():
            with seeded(11), no_global_draws():
                raw = self._encoded(part, wishes)
                given = self._told(part, raw)
                self._nothing(part, raw)
            self._told(part, self._encoded(part, wishes[1:]))
            self._told(part, self._encoded(part, [{}]))
            again = self._told(part, self._encoded(part, wishes))
            for name, value in given.items():
                same(again[name], value, f"{name} of the same wishes twice, with others between")

    def test_means_the_same_in_another_process(self) -> None:
        """The next start of the program encodes as this one does: hashes of texts and orders of sets are its own."""
        part, wishes, spec = next(self._each())
        plain = [wish for wish in wishes if same_wishes(wish, wish)]
        if not any(plain):
            skip("it takes neither texts nor labels")
        factory = self.part().load()
        assert callable(factory)
        raw = self._encoded(part, plain)
        again = encoded_elsewhere(factory, self.parameters, spec, plain)
        told = "the same wishes in another process (hash() and the order of sets change with every start)"
        holds(again.keys() == raw.keys(), f"{told}: encode gave {sorted(again)}, expected {sorted(raw)}")
        for name, value in raw.items():
            same(again[name], value.double(), f"{name} of {told}", atol=1e-5)

    def test_keeps_the_device(self) -> None:
        """What it makes on the way lies where its weights and what was encoded lie, on a GPU too.

        What ``encode`` and ``shown`` give the program moves, so that they need only run there.
        """
        part, wishes, spec = next(self._each())
        x0 = build("codec", "identity", media=spec).encode(drawn_media(spec, ROWS))
        items = drawn_items(spec, x0)
        with another_device() as device, torch.no_grad():
            part = moved(part, device)
            raw = moved(part.encode(wishes), device)
            lies_on(device, part.forward(raw), "forward")
            lies_on(device, part.null(raw), "null")
            offset = part.offset(raw) if hasattr(part, "offset") else None
            for one in offset or ():
                lies_on(device, one, "offset")
            if hasattr(part, "shown"):
                part.shown(_items_on(device, items))

    def test_leaves_its_inputs_alone(self) -> None:
        """Neither conditions nor what was encoded are changed in place."""
        for part, wishes, _ in self._each():
            before = [dict(wish) for wish in wishes]
            with unchanged(**_tensors(wishes)):
                raw = self._encoded(part, wishes)
            holds(all(map(_identical, wishes, before)), "encode changed the conditions; work on copies")
            with unchanged(**raw):
                self._told(part, raw)
                self._nothing(part, raw)

    def test_leaves_the_wishes_of_others_alone(self) -> None:
        """Labels that it does not know, and wishes that it does not take, are another conditioner's, and no error."""
        for part, wishes, _ in self._each():
            given = self._told(part, self._encoded(part, wishes))
            more: list[dict[str, object]] = []
            for wish in wishes:
                labels = ("a label of another", *(wish.get("labels") or ()), "one more")  # type: ignore[misc]
                more.append({"text": None, **wish, "labels": labels, "wish of another": 3.0})
            again = self._told(part, self._encoded(part, more))
            for row in range(len(wishes)):
                self._close(item_of(again, row), item_of(given, row), f"item {row} with wishes of another conditioner")

    def test_odd_wishes_work_or_are_refused(self) -> None:
        """Empty, endless and strange texts, and all labels at once, are told or refused by a ConfigError."""
        for part, wishes, _ in self._each():
            odd: list[dict[str, object]] = [{"labels": ()}, {"labels": None}]
            odd += [{"labels": tuple(getattr(part, "names", ()))}]
            odd += [{"text": text} for text in ODD_TEXTS if "text" in getattr(part, "takes", ())]
            for wish in odd:
                try:
                    with warnings.catch_warnings(action="ignore"):  # it may say that a text is too long
                        raw = self._encoded(part, [wish, wishes[0]])
                except Finding as found:
                    if isinstance(found.__cause__, ConfigError):
                        continue
                    raise Finding(f"{_shown(wish)}: {found}; refuse it by a ConfigError") from found
                for name, value in self._told(part, raw).items():
                    holds(value.isfinite().all(), f"{_shown(wish)}: {name!r} is not finite")

    def test_training_shows_what_use_gives(self) -> None:
        """What ``shown`` gives of items is named and shaped as what ``encode`` gives, and each item has its own."""
        for part, wishes, spec in self._each():
            if not hasattr(part, "shown"):
                skip("it shows nothing of the items themselves")
            x0 = build("codec", "identity", media=spec).encode(drawn_media(spec, ROWS))
            items = drawn_items(spec, x0)
            with seeded(11), no_global_draws(), unchanged(x0=items.x0, media=items.media, u=items.u), torch.no_grad():
                raw = self._rows_of(called("shown", part.shown, items), ROWS, "shown")
            expected = self._encoded(part, (list(wishes) * ROWS)[:ROWS])
            holds(_shapes(raw) == _shapes(expected), f"shown gave {_shapes(raw)}, encode gives {_shapes(expected)}")
            for row in range(ROWS):
                with torch.no_grad():
                    alone = called("shown", part.shown, drawn_items(spec, x0, slice(row, row + 1)))
                for name, value in raw.items():
                    same(alone[name][0], value[row], f"shown: {name!r} of item {row} alone and in a batch", atol=1e-5)

    def test_sources_fit_their_items(self) -> None:
        """The source is smaller than items by the factors; what is corrected, and what is there already, fit them."""
        for part, wishes, spec in self._each():
            if SOURCE not in getattr(part, "takes", ()):
                skip("it takes no source")
            if not getattr(part, "whole", False):
                own, factors = part.source.shape[1:], tuple(part.factors)
                fits = len(own) == len(factors) and spec.shape[1:] == tuple(map(mul, own, factors))
                holds(fits, f"a source of {own} times factors {factors} is no item of {spec.shape[1:]}")
            made = drawn_media(spec, len(wishes), purpose="made")
            if hasattr(part, "corrected"):
                for wish, one in zip(wishes, made, strict=True):
                    with unchanged(made=one):
                        better = called("corrected", part.corrected, one, wish[SOURCE])
                    holds(tensor_of(better, spec.shape, "corrected").isfinite().all(), "corrected: not finite")
            offset = part.offset(self._encoded(part, wishes)) if hasattr(part, "offset") else None
            if offset is not None:
                there, scale = offset
                holds((scale > 0).all(), "offset: a scale is not above 0")
                tensor_of(there + 0 * made / scale, made.shape, "offset, beside items,")

    def test_says_what_it_has_learnt(self) -> None:
        """``learnt(known)`` says True or False of every part of an item that may be known."""
        for part, wishes, _ in self._each():
            contexts = [wish[CONTEXT] for wish in wishes if isinstance(wish.get(CONTEXT), Context)]
            if not contexts or not hasattr(part, "learnt"):
                skip("it takes no context, or has no learnt(known)")
            for context in contexts:
                assert isinstance(context, Context)
                for known in (
                    context.known > 0,
                    torch.zeros_like(context.known) > 0,
                    torch.ones_like(context.known) > 0,
                ):
                    said = called("learnt", part.learnt, known)
                    holds(type(said) is bool, f"learnt: expected True or False, got {said!r}")


def _differs(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return any(value.shape != other[name].shape or not torch.equal(value, other[name]) for name, value in one.items())


def _shapes(raw: Mapping[str, Tensor]) -> dict[str, str]:
    return {name: f"{tuple(value.shape[1:])} {value.dtype}" for name, value in sorted(raw.items())}


def _items_on(device: str, items: Items) -> Items:
    """Return items of a training as they lie where one trains on a device."""
    there = {name: moved(getattr(items, name), device) for name in ("x0", "media", "u")}
    return replace(items, **there, normal=lambda shape: items.normal(shape).to(device))


def _shown(wish: Mapping[str, object]) -> str:
    """Return a wish as messages tell it."""
    told = [key if key in (SOURCE, CONTEXT) else f"{key}: {value!a:.40}" for key, value in wish.items()]
    return "{" + ", ".join(told) + "}"


def _tensors(wishes: Conditions) -> dict[str, Tensor]:
    """Return the tensors that conditions hold."""
    found = {}
    for row, wish in enumerate(wishes):
        context = wish.get(CONTEXT)
        if isinstance(context, Context):
            for name in ("latent", "known", "eps"):
                found[f"{name} of the context of item {row}"] = getattr(context, name)
    return found


def _identical(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return one.keys() == other.keys() and all(value is other[key] for key, value in one.items())
