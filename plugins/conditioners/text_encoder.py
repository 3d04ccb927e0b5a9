"""A text encoder that others trained, loaded by transformers and left as it is: what ``clip`` and ``t5`` share."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import CheckpointError, ConfigError, PluginError
from ...core.naming import printable
from ...core.registration.plugin_loading import reason_of
from ...core.storage.regular_file import open_regular
from ...core.storage.strict_json import parse_json_object
from ...core.storage.weights import file_sha256

__all__ = ["TextEncoder"]

_MODEL = re.compile(r"config\.json|model\.safetensors|model\.safetensors\.index\.json|model-\d+-of-\d+\.safetensors")
_TOKENIZER = re.compile(
    r"tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.json|merges\.txt"
    r"|spiece\.model"
)


@dataclass(frozen=True)
class _Held:
    """Model and tokenizer, out of the sight of the module that uses them: not stored, not trained, never copied."""

    model: Any
    tokenizer: Any
    sha256: str
    source: str

    def __deepcopy__(self, memo: object) -> _Held:
        return self


class TextEncoder(nn.Module, ABC):
    """Text through a frozen encoder; only the sha256 of its files is stored with what is trained on it.

    Args:
        name: of the conditioner, for messages.
        model: a folder with safetensors, or a model's name on the hub if the local cache has it.
        tokenizer: the folder of the tokenizer; the model's own where empty.
        width: of what is given; zeros fill up what the model's own width lacks. The model's own where 0.
        length: largest number of tokens; of longer texts only the start is read, with a warning.
        outputs: "vector", "sequence" or "both".
        padded: fill every text up to ``length``, and let the network look at what fills it up.
        place: the model folder that a relative path may lead into; None where there is none yet.

    Attributes:
        outputs: width of each.
        takes: the condition that it understands.
        settable: what may differ from training: the same files may lie elsewhere.

    Raises:
        PluginError: transformers is not installed.
        ConfigError: there is no such model, or it is wider than ``width``.
        CheckpointError: it cannot be read, or is of another kind.
    """

    takes = ("text",)
    settable = ("model", "tokenizer")
    kinds: ClassVar[frozenset[str]]
    """Values of ``model_type`` in the configuration of a model that can be read."""
    loader: ClassVar[str]
    """Name of the class of transformers that reads it."""
    model_sha256: Tensor

    def __init__(
        self,
        name: str,
        model: str,
        tokenizer: str,
        width: int,
        length: int,
        outputs: str,
        *,
        padded: bool = False,
        place: Path | None = None,
    ) -> None:
        super().__init__()
        self._name, self._padded = f"conditioner {name}", padded
        transformers = _library(self._name)
        self._held = self._loaded(transformers, _folder(model, self._name, place), tokenizer)
        own = int(self._held.model.config.hidden_size)
        if width and width < own:
            raise ConfigError(f"{self._name}: width: the model's own is {own}, got {width}; leave it out or take more")
        self._fill = max(0, width - own)
        longest = getattr(self._held.model.config, "max_position_embeddings", None) or length
        self.length = min(length, longest, self._held.tokenizer.model_max_length)
        kinds = ("vector", "sequence") if outputs == "both" else (outputs,)
        self.outputs: Mapping[str, int] = dict.fromkeys(kinds, own + self._fill)
        self.register_buffer("model_sha256", torch.tensor(list(bytes.fromhex(self._held.sha256)), dtype=torch.uint8))

    def _loaded(self, transformers: Any, folder: Path, tokenizer: str) -> _Held:
        """Read model and tokenizer of a folder."""
        source = f"{self._name}: {printable(folder)}"
        words = Path(tokenizer).expanduser() if tokenizer else folder
        sha256 = _fingerprint(folder, words, source)
        with open_regular(folder / "config.json") as file:
            kind = parse_json_object(file.read(2**20), f"{source}/config.json").get("model_type")
        if kind not in self.kinds:
            raise CheckpointError(f"{source}: a model of type {kind!r}, expected {' or '.join(sorted(self.kinds))}")
        with _quiet(transformers):
            try:
                model, found = getattr(transformers, self.loader).from_pretrained(
                    folder, local_files_only=True, use_safetensors=True, output_loading_info=True
                )
                reader = transformers.AutoTokenizer.from_pretrained(
                    words, local_files_only=True, trust_remote_code=False
                )
            except Exception as error:  # transformers raises whatever comes to its mind
                raise CheckpointError(
                    f"{source}: cannot be read ({reason_of(error)[:200]}); take another copy"
                ) from error
        if found["missing_keys"] or reader.pad_token_id is None:
            lacking = min(found["missing_keys"], default="a token that fills up")
            raise CheckpointError(f"{source}: it lacks {printable(lacking)}; take another copy")
        return _Held(model.float().eval().requires_grad_(False), reader, sha256, printable(folder))

    def encode(self, conditions: Sequence[Mapping[str, object]]) -> dict[str, Tensor]:
        """Return {"tokens": (items, longest), "mask": the same shape}.

        Raises:
            CheckpointError: what was trained on an encoder is given another one.
            ConfigError: a text is no text, or cannot be written in UTF-8.
        """
        recorded = bytes(self.model_sha256.tolist()).hex()
        if recorded != self._held.sha256:
            raise CheckpointError(
                f"{self._name}: {self._held.source}: its sha256 is {self._held.sha256[:12]}…, trained was with "
                f"{recorded[:12]}…; name the folder of that one by --set stages.base.conditioners.0.model=FOLDER"
            )
        texts = [condition.get("text") or "" for condition in conditions]
        wrong = [text for text in texts if not isinstance(text, str)]
        if wrong:
            raise ConfigError(f"text: expected a text, got {type(wrong[0]).__name__}; write it in quotes")
        torn = [str(text) for text in texts if _torn(str(text))]
        if torn:
            raise ConfigError(f"text: {printable(torn[0], 60)} is not Unicode; write it in UTF-8")
        rows = self._tokens(texts)
        if max(map(len, rows), default=0) > self.length:
            warnings.warn(
                f"{self._name}: of texts above {self.length} tokens only the start is read; shorten them", stacklevel=2
            )
            rows = self._tokens(texts, truncation=True, max_length=self.length)
        return self._filled(rows, self.length if self._padded else max(map(len, rows), default=1))

    def _tokens(self, texts: Sequence[object], **options: object) -> list[list[int]]:
        if not texts:
            return []
        with _quiet(_library(self._name)):
            rows: list[list[int]] = self._held.tokenizer(list(texts), **options)["input_ids"]
        return rows

    def _filled(self, rows: Sequence[Sequence[int]], length: int) -> dict[str, Tensor]:
        """Return rows of tokens, filled up at their ends, and which of them count."""
        tokens = torch.full((len(rows), length), int(self._held.tokenizer.pad_token_id))
        mask = torch.full((len(rows), length), self._padded)
        for place, row in enumerate(rows):
            tokens[place, : len(row)] = torch.tensor(row)
            mask[place, : len(row)] = True
        return {"tokens": tokens, "mask": mask}

    def forward(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return "vector" (items, width), "sequence" (items, longest, width) and its mask, as ``outputs`` says."""
        tokens, mask = raw["tokens"], raw["mask"]
        with torch.no_grad():
            vector, sequence = self.read(self._held.model.to(tokens.device), tokens, mask)
        given: dict[str, Tensor] = {}
        if "vector" in self.outputs:
            given["vector"] = functional.pad(vector, (0, self._fill))
        if "sequence" in self.outputs:
            given["sequence"] = functional.pad(sequence, (0, self._fill))
            if not self._padded:
                given["sequence_mask"] = mask
        return given

    @abstractmethod
    def read(self, model: Any, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return a vector (items, width) and a sequence (items, length, width) for tokens and their mask."""

    def null(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the encoding of as many empty texts."""
        items, length = raw["tokens"].shape
        empty = self._filled(self._tokens([""]), length)
        return {name: one.expand(items, -1).to(raw["tokens"].device) for name, one in empty.items()}


def _torn(text: str) -> bool:
    """Return whether a text holds halves of characters, which no tokenizer takes."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _library(name: str) -> Any:
    """Return transformers, imported at the first call."""
    try:
        return importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise PluginError(
            f"{name}: needs transformers, which is not installed; pip install 'noiseform[text]'"
        ) from error


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep transformers from writing between the lines of the program; what matters is raised."""
    logging = transformers.utils.logging
    before, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bar:
            logging.enable_progress_bar()


def _folder(model: str, name: str, place: Path | None) -> Path:
    """Return the folder of a model: one inside the model folder, its own, or that of the hub's local cache."""
    folder = Path(model).expanduser()
    if place is not None and not folder.is_absolute() and (place / folder).is_dir():
        return place / folder
    if folder.is_dir():
        return folder
    if re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        with contextlib.suppress(OSError, ValueError):  # not in the cache
            return Path(importlib.import_module("huggingface_hub").snapshot_download(model, local_files_only=True))
    raise ConfigError(
        f"{name}: model: {printable(model)} is no folder, nor a model of the hub that the local cache has; noiseform "
        "downloads nothing: fetch it first, and name its folder"
    )


def _fingerprint(model: Path, tokenizer: Path, source: str) -> str:
    """Return the sha256 of the names and sha256 of all files that say what a text becomes."""
    files = {
        path.name: path
        for folder, pattern in ((model, _MODEL), (tokenizer, _TOKENIZER))
        for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if pattern.fullmatch(path.name)
    }
    if not any(name.endswith(".safetensors") for name in files):
        raise CheckpointError(f"{source}: it has no model.safetensors, the only format that is read; convert it there")
    if "config.json" not in files or not any(_TOKENIZER.fullmatch(name) for name in files):
        lacking = "config.json" if "config.json" not in files else "the files of a tokenizer"
        raise CheckpointError(f"{source}: it lacks {lacking}; take a whole copy, or name the tokenizer's folder")
    lines = [f"{name} {file_sha256(path)}\n" for name, path in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
