"""Conditioners that are wrong in one way each: of labels and letters, and those of ``conditioners_beside``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from .conditioners_beside import MUTANTS as BESIDE
from .mutant import Mutant

__all__ = ["MUTANTS"]

Conditions = Sequence[Mapping[str, object]]


class Letters(nn.Module):
    """A learnt vector for a label, and one for each letter of a text: an original."""

    names: tuple[str, ...] = ("warm", "cold")
    takes: Any = ("text",)

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.outputs: Any = {"vector": width, "sequence": width}
        self.labels = nn.Parameter(torch.randn(3, width))  # the last one stands for no label
        self.letters = nn.Parameter(torch.randn(128, width))  # the first one for no text

    def encode(self, conditions: Conditions) -> dict[str, Tensor]:
        texts = [self.text(condition) for condition in conditions]
        letters = torch.full((len(texts), max(map(len, texts))), -1)
        for row, text in zip(letters, texts, strict=True):
            row[: len(text)] = torch.tensor(text)
        return {"label": torch.tensor([self.label(condition) for condition in conditions]), "letters": letters}

    def label(self, condition: Mapping[str, object]) -> int:
        mine = [label for label in condition.get("labels") or () if label in self.names]  # type: ignore[attr-defined]
        if len(mine) > 1:
            raise ConfigError(f"label: {mine[0]!r} and {mine[1]!r} exclude each other; give one of them")
        return self.names.index(mine[0]) if mine else 2

    def text(self, condition: Mapping[str, object]) -> list[int]:
        text = condition.get("text") or ""
        if not isinstance(text, str):
            raise ConfigError(f"text: expected a text, got {type(text).__name__}")
        return [1 + ord(letter) % 127 for letter in text[:40]] or [0]

    def forward(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        letters = raw["letters"]
        sequence = self.letters[letters.clamp(min=0)]
        return {"vector": self.labels[raw["label"]], "sequence": sequence, "sequence_mask": letters >= 0}

    def null(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        letters = torch.full_like(raw["letters"], -1)
        letters[:, 0] = 0
        return {"label": torch.full_like(raw["label"], 2), "letters": letters}


class _AnotherWidth(Letters):
    def __init__(self, width: int = 6) -> None:
        super().__init__(width)
        self.outputs = {"vector": width + 1, "sequence": width}


class _OutputsInAList(Letters):
    def __init__(self, width: int = 6) -> None:
        super().__init__(width)
        self.outputs = ["vector", "sequence"]


class _TakesAText(Letters):
    takes = "text"


class _NeedsAText(Letters):
    def text(self, condition):  # type: ignore[no-untyped-def]
        return super().text({"text": condition["text"]})


class _LeavesOutTheSilent(Letters):
    """Gives no row for an item that nothing is asked of."""

    def encode(self, conditions):  # type: ignore[no-untyped-def]
        return super().encode([one for one in conditions if one] or conditions[:1])


class _ShortNull(Letters):
    def null(self, raw):  # type: ignore[no-untyped-def]
        return {name: value[:, :1] if name == "letters" else value for name, value in super().null(raw).items()}


class _NullInFloats(Letters):
    def null(self, raw):  # type: ignore[no-untyped-def]
        return {name: value.float() for name, value in super().null(raw).items()}

    def forward(self, raw):  # type: ignore[no-untyped-def]
        return super().forward({name: value.long() for name, value in raw.items()})


class _NullKeepsTheLabel(Letters):
    def null(self, raw):  # type: ignore[no-untyped-def]
        return {**super().null(raw), "label": raw["label"].clone()}


class _NullIsALabel(Letters):
    """Leads guidance away from its first label."""

    def null(self, raw):  # type: ignore[no-untyped-def]
        return {**super().null(raw), "label": torch.zeros_like(raw["label"])}


class _DeafToLabels(Letters):
    def label(self, condition):  # type: ignore[no-untyped-def]
        return 0 if super().label(condition) < 2 else 2


class _NoMask(Letters):
    def forward(self, raw):  # type: ignore[no-untyped-def]
        given = super().forward(raw)
        del given["sequence_mask"]
        return given


class _Centres(Letters):
    """Subtracts the mean of the batch."""

    def forward(self, raw):  # type: ignore[no-untyped-def]
        given = super().forward(raw)
        return {**given, "vector": given["vector"] - 0.1 * given["vector"].mean(0)}


class _KnowsAllLabels(Letters):
    def label(self, condition):  # type: ignore[no-untyped-def]
        wanted = condition.get("labels") or ()
        return self.names.index(wanted[-1]) if wanted else 2


class _KnowsTheFirstLabel(Letters):
    """Looks at the first of all labels, whoever's it is."""

    def label(self, condition):  # type: ignore[no-untyped-def]
        return super().label({"labels": (condition.get("labels") or ())[:1]})


class _Hashes(Letters):
    """Finds the vector of a letter by a hash that is another in every process."""

    def text(self, condition):  # type: ignore[no-untyped-def]
        super().text(condition)
        return [1 + hash(letter) % 127 for letter in (condition.get("text") or "")[:40]] or [0]


class _TableOnTheCPU(Letters):
    """Makes a table on the CPU, wherever the rest lies."""

    def forward(self, raw):  # type: ignore[no-untyped-def]
        given = super().forward(raw)
        return {**given, "vector": given["vector"] + torch.zeros(given["vector"].shape[1])}


class _NullOnTheCPU(Letters):
    def null(self, raw):  # type: ignore[no-untyped-def]
        return {name: value.cpu() for name, value in super().null(raw).items()}


class _EncodesOnTheCPU(Letters):
    """Looks whether its weights can be used, wherever they lie, by a tensor on the CPU."""

    def encode(self, conditions):  # type: ignore[no-untyped-def]
        assert (self.labels @ torch.ones(self.labels.shape[1], dtype=self.labels.dtype)).isfinite().all()
        return super().encode(conditions)


class _Drops(Letters):
    """Leaves labels out at random, which is training's business."""

    def encode(self, conditions):  # type: ignore[no-untyped-def]
        raw = super().encode(conditions)
        return {**raw, "label": raw["label"].where(torch.rand(len(conditions)) > 0.1, 2)}


class _Grows(Letters):
    longest = 0

    def encode(self, conditions):  # type: ignore[no-untyped-def]
        raw = super().encode(conditions)
        self.longest += 1
        return {**raw, "letters": nn.functional.pad(raw["letters"], (0, self.longest), value=-1)}


class _TakesWishesAway(Letters):
    def encode(self, conditions):  # type: ignore[no-untyped-def]
        raw = super().encode(conditions)
        for condition in conditions:
            condition.pop("text", None)
        return raw


class _WritesIntoRaw(Letters):
    def forward(self, raw):  # type: ignore[no-untyped-def]
        mask = raw["letters"] >= 0
        return {**super().forward({**raw, "letters": raw["letters"].clamp_(min=0)}), "sequence_mask": mask}


class _OneDtype(Letters):
    def forward(self, raw):  # type: ignore[no-untyped-def]
        share = nn.functional.one_hot(raw["label"], 3).float()
        return {**super().forward(raw), "vector": share @ self.labels}


class _TextsOnly(Letters):
    """Takes for granted that a text is one."""

    def text(self, condition):  # type: ignore[no-untyped-def]
        return [1 + ord(letter) % 127 for letter in (condition.get("text") or "").strip()[:40]] or [0]


class _Unicode(Letters):
    """Takes for granted that a text can be written in UTF-8."""

    def text(self, condition):  # type: ignore[no-untyped-def]
        text = condition.get("text")
        return super().text({"text": text.encode().decode() if isinstance(text, str) else text})


class _LabelTwice(Letters):
    names = ("warm", "warm")


class _DeadWeight(Letters):
    def __init__(self, width: int = 6) -> None:
        super().__init__(width)
        self.second = nn.Linear(width, width)


class _ForgetsAWeight(Letters):
    turned: Tensor

    def __init__(self, width: int = 6) -> None:
        super().__init__(width)
        self.register_buffer("turned", torch.randn(width, width), persistent=False)

    def forward(self, raw):  # type: ignore[no-untyped-def]
        given = super().forward(raw)
        return {**given, "vector": given["vector"] @ self.turned}


class _UnknownSettable(Letters):
    settable = ("level",)


class _UnknownWish(Letters):
    takes = ("text", "mood")


MUTANTS = (
    Mutant("the original: labels and letters", Letters, None),
    Mutant("declares another width", _AnotherWidth, "test_gives_what_it_declares"),
    Mutant("declares its outputs in a list", _OutputsInAList, "test_declares_what_it_is"),
    Mutant("takes a text in the place of a tuple", _TakesAText, "test_declares_what_it_is"),
    Mutant("has a label twice", _LabelTwice, "test_declares_what_it_is"),
    Mutant("takes a wish without an example", _UnknownWish, "test_declares_what_it_is"),
    Mutant("cannot do without a text", _NeedsAText, "test_no_wish_is_null"),
    Mutant("gives no row for an item without a wish", _LeavesOutTheSilent, "test_items_do_not_depend_on_their_batch"),
    Mutant("has a shorter null", _ShortNull, "test_null_is_alike"),
    Mutant("has a null of another dtype", _NullInFloats, "test_null_is_alike"),
    Mutant("keeps the label in its null", _NullKeepsTheLabel, "test_null_asks_for_nothing"),
    Mutant("has a label for its null", _NullIsALabel, "test_no_wish_is_null"),
    Mutant("takes all labels for one", _DeafToLabels, "test_tells_wishes_apart"),
    Mutant("fills up without a mask", _NoMask, "test_items_do_not_depend_on_their_batch"),
    Mutant("lets the items of a batch mix", _Centres, "test_items_do_not_depend_on_their_batch"),
    Mutant("takes all labels for its own", _KnowsAllLabels, "test_leaves_the_wishes_of_others_alone"),
    Mutant("knows the first of all labels", _KnowsTheFirstLabel, "test_leaves_the_wishes_of_others_alone"),
    Mutant("hashes letters", _Hashes, "test_means_the_same_in_another_process"),
    Mutant("makes tensors on the CPU", _TableOnTheCPU, "test_keeps_the_device"),
    Mutant("makes its null on the CPU", _NullOnTheCPU, "test_keeps_the_device"),
    Mutant("encodes by its weights on the CPU", _EncodesOnTheCPU, "test_keeps_the_device"),
    Mutant("leaves labels out at random", _Drops, "test_is_deterministic"),
    Mutant("grows by every call", _Grows, "test_is_deterministic"),
    Mutant("takes wishes out of the conditions", _TakesWishesAway, "test_leaves_its_inputs_alone"),
    Mutant("writes into what was encoded", _WritesIntoRaw, "test_leaves_its_inputs_alone"),
    Mutant("works in float32 alone", _OneDtype, "test_works_in_the_dtype_of_its_weights"),
    Mutant("trips over what is no text", _TextsOnly, "test_odd_wishes_work_or_are_refused"),
    Mutant("trips over what is not Unicode", _Unicode, "test_odd_wishes_work_or_are_refused"),
    Mutant("has a layer that it does not use", _DeadWeight, "test_every_parameter_learns"),
    Mutant("draws something that no file holds", _ForgetsAWeight, "test_weights_go_out_and_in_again"),
    Mutant("lets a parameter be set that it does not have", _UnknownSettable, "test_settable_parameters_exist"),
    *BESIDE,
)
