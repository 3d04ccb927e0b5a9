"""Text by the text encoder of a CLIP model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le
from torch import Tensor

from .text_encoder import TextEncoder

__all__ = ["CLIPText"]


class CLIPText(TextEncoder):
    """A text (``--prompt``, captions) by the frozen text encoder of a CLIP model: its last token, and all of them.

    Needs transformers (``pip install 'noiseform[text]'``). The weights stay where they are and nothing is downloaded;
    what is trained remembers their sha256 and refuses others.

    Args:
        model: a folder with config.json, model.safetensors and a tokenizer, inside the model folder or elsewhere, or a
            model's name on the hub, such as "openai/clip-vit-large-patch14", if the local cache has it.
        tokenizer: the folder of the tokenizer; the model's own where empty.
        width: of vector and sequence; zeros fill up what the model's own width lacks, so that two encoders go together.
            The model's own where 0.
        length: largest number of tokens, at most the model's; of longer texts only the start is read, with a warning.
        outputs: "vector", "sequence" or "both".
        padded: fill every text up to ``length``, and let the network look at what fills it up: Stable Diffusion.

    Source: Radford et al. 2021, arXiv 2103.00020, section 2.4.
    """

    kinds: ClassVar = frozenset({"clip", "clip_text_model"})
    loader: ClassVar = "CLIPTextModel"

    def __init__(
        self,
        model: str,
        tokenizer: str = "",
        width: Annotated[int, Ge(0), Le(16384)] = 0,
        length: Annotated[int, Ge(2), Le(4096)] = 77,
        outputs: Literal["both", "vector", "sequence"] = "both",
        padded: bool = False,
        *,
        folder: Path | None = None,
    ) -> None:
        super().__init__("clip", model, tokenizer, width, length, outputs, padded=padded, place=folder)

    def read(self, model: Any, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        told = model(input_ids=tokens, attention_mask=mask.long())
        return told.pooler_output, told.last_hidden_state
