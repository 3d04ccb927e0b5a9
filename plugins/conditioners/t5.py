"""Text by the encoder of a T5 model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le
from torch import Tensor

from .text_encoder import TextEncoder

__all__ = ["T5Text"]


class T5Text(TextEncoder):
    """A text (``--prompt``, captions) by the frozen encoder of a T5 model: the mean of its tokens, and all of them.

    Needs transformers (``pip install 'noiseform[text]'``). The weights stay where they are and nothing is downloaded;
    what is trained remembers their sha256 and refuses others.

    Args:
        model: a folder with config.json, model.safetensors and a tokenizer, inside the model folder or elsewhere, or a
            model's name on the hub, such as "google/t5-v1_1-base", if the local cache has it.
        tokenizer: the folder of the tokenizer; the model's own where empty.
        width: of vector and sequence; zeros fill up what the model's own width lacks, so that two encoders go together.
            The model's own where 0.
        length: largest number of tokens; of longer texts only the start is read, with a warning.
        outputs: "vector", "sequence" or "both".

    Source: Raffel et al. 2020, arXiv 1910.10683, section 2.1; as a condition, Saharia et al. 2022, arXiv 2205.11487.
    """

    kinds: ClassVar = frozenset({"t5"})
    loader: ClassVar = "T5EncoderModel"

    def __init__(
        self,
        model: str,
        tokenizer: str = "",
        width: Annotated[int, Ge(0), Le(16384)] = 0,
        length: Annotated[int, Ge(2), Le(4096)] = 128,
        outputs: Literal["both", "vector", "sequence"] = "both",
        *,
        folder: Path | None = None,
    ) -> None:
        super().__init__("t5", model, tokenizer, width, length, outputs, place=folder)

    def read(self, model: Any, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        sequence = model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        kept = mask.unsqueeze(-1).to(sequence.dtype)
        return (sequence * kept).sum(1) / kept.sum(1), sequence
