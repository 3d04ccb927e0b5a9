"""The suite of conditioners passes on every built-in one."""

from __future__ import annotations

import pytest
import torch
from noiseform.core.registration.registry import current
from noiseform.testing import ConditionerSuite

TEXT = {"width": 16, "depth": 1, "heads": 2}
CLAIMS = {
    "text": [{"parameters": TEXT}, {"parameters": {**TEXT, "words": 50, "outputs": "sequence"}}],
    "mask": [{}, {"parameters": {"guided": False, "holes": 0.2}, "guided": False}],
    "low-res": [{}, {"parameters": {"factor": [2, 1], "neighbours": True, "residual": 0.3, "level": 0.1}}],
    "clip": [{"parameters": {}}, {"parameters": {"padded": True}}],
    "t5": [{"parameters": {}}],
}
"""What is claimed of each built-in conditioner, small, beside what it claims itself."""
BUILT_IN = [part for part in current().plugins.parts("conditioner") if part.plugin.candidate.builtin]
CASES = [(part, claims) for part in BUILT_IN for claims in CLAIMS.get(part.name, [{}])]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """Give the folders of a tiny CLIP and a tiny T5, drawn at random and written by transformers."""
    reason = "transformers is not installed (pip install noiseform[dev])"
    transformers = pytest.importorskip("transformers", reason=reason)
    folder = tmp_path_factory.mktemp("encoders")
    letters = [chr(code) for code in range(97, 123)]
    symbols = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("\u2581", -3.0), *((letter, -4.0) for letter in letters)]
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = transformers.CLIPTextConfig(vocab_size=54, max_position_embeddings=32, **size, **ids)
        transformers.CLIPTextModel(config).save_pretrained(folder / "clip")
        words = transformers.CLIPTokenizer(vocab={s: n for n, s in enumerate(symbols)}, merges=[], model_max_length=32)
        words.save_pretrained(folder / "clip")
        config = transformers.T5Config(vocab_size=30, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        transformers.T5EncoderModel(config).save_pretrained(folder / "t5")
        transformers.T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder / "t5")
    return folder


@pytest.mark.parametrize(("part", "claims"), CASES, ids=[part.name for part, _ in CASES])
def test_built_in(part, claims, found, request):
    claims = {**getattr(part.load(), "claims", {}), **claims}
    if part.name in ("clip", "t5"):
        folder = str(request.getfixturevalue("encoders") / part.name)
        claims["parameters"] = {"model": folder, "length": 32, **claims["parameters"]}
    assert found("conditioner", part.name, claims) == {}


class TestAsAnAuthorWritesIt(ConditionerSuite):
    """Collected by pytest: what it is made with, and what may be asked of it."""

    component = "labels"
    parameters = {"names": ["warm", "cold"]}  # noqa: RUF012 (as an author writes it)
    examples = ({"labels": ("warm",)}, {"labels": ("cold",)})
