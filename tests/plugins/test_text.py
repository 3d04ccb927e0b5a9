"""Text: by a transformer of our own, and by encoders that others trained."""

from __future__ import annotations

import copy
import socket
import sys

import pytest
import torch
from noiseform import build
from noiseform.core.errors import CheckpointError, ConfigError, PluginError
from noiseform.core.pipeline.model import Model
from noiseform.core.storage.weights import assign
from torch.testing import assert_close


def conditioner(name: str, **settings: object) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build("conditioner", name, **settings).eval()


def told(text: torch.nn.Module, *texts: str | None) -> dict[str, torch.Tensor]:
    return text(text.encode([{} if one is None else {"text": one} for one in texts]))


@pytest.fixture(params=[0, 50], ids=["bytes", "words"])
def text(request: pytest.FixtureRequest) -> torch.nn.Module:
    return conditioner("text", width=32, depth=2, heads=4, length=24, words=request.param)


def likeness(text: torch.nn.Module, *texts: str) -> torch.Tensor:
    """Return how alike the vectors of texts are, pair by pair, around their mean."""
    vectors = told(text, *texts)["vector"]
    return torch.corrcoef(vectors - vectors.mean(0))


def test_words_are_alike_by_their_letters_and_otherwise_not():
    """Before any training: what shares a word, or most of one, is alike; what only shares single letters is not."""
    texts = "red heart", "red hearts", "blue heart", "Red Heart", "trader heat", "penguin", "frog", "camera"
    like = likeness(conditioner("text", width=256, depth=0, words=4096), *texts)
    assert like[0, 3] > 0.6
    assert like[0, 1] > 0.2
    assert like[0, 2] > 0.2
    assert like[0, 4:].max() < 0.1
    # By bytes alone the letters count, whatever word they are of.
    like = likeness(conditioner("text", width=256, depth=0), *texts)
    assert like[0, 4] > like[0, 2] + 0.2


def test_odd_texts_take_no_more_than_their_length():
    """Neither a long word nor many short ones make the others of the batch large."""
    text = conditioner("text", width=32, depth=0, length=400, words=50)
    raw = text.encode([{"text": "red heart"}, {"text": "x" * 400}, {"text": "a " * 200}])
    assert raw["pieces"].shape[1] <= 3 * 400
    assert torch.isfinite(text(raw)["vector"]).all()


def test_words_have_the_places_of_their_bytes():
    text = conditioner("text", width=64, depth=0, words=512)
    plain = conditioner("text", width=64, depth=0)
    raw = text.encode([{"text": "an old map"}, {"text": "é"}, {}])
    assert raw["word"].tolist() == [[0, 0, -1, 1, 1, 1, -1, 2, 2, 2], [0] * 2 + [-1] * 8, [-1] * 10]
    assert raw["owners"][0, [0, -1]].tolist() == [0, 2]
    assert raw["owners"][2].tolist() == [-1] * raw["pieces"].shape[1]
    vectors = text._vectors(raw["pieces"], raw["owners"], raw["word"])
    assert_close(vectors[0, 3], vectors[0, 5])
    assert not vectors[0, 2].any()
    assert not vectors[2].any()
    assert_close(vectors[0, :2].std().item(), 1.0, atol=0.3, rtol=0)
    # A text whose words are all unknown to the table is one of bytes alone: the same symbols, the same places.
    with torch.no_grad():
        text.words.zero_()
        text.symbols.copy_(plain.symbols)
    assert_close(told(text, "an old map")["vector"], told(plain, "an old map")["vector"])


def test_texts_are_told_apart_by_the_order_of_their_bytes(text):
    vectors = told(text, "red heart", "heart red", "read heart", "赤い心")["vector"]
    assert torch.pdist(vectors).min() > 1e-2


def test_spaces_and_ways_of_writing_a_letter_make_no_difference(text):
    vectors = told(text, "caf\u00e9 noir", " cafe\u0301\n\tnoir ")["vector"]
    assert torch.equal(vectors[0], vectors[1])


@pytest.mark.parametrize("outputs", ["both", "vector", "sequence"])
def test_outputs_are_as_declared(outputs):
    text = conditioner("text", width=32, depth=1, length=8, outputs=outputs)
    given = told(text, "ab", None)
    assert set(given) - {"sequence_mask"} == set(text.outputs)
    if outputs != "vector":
        assert given["sequence"].shape == (2, 2, 32)
        assert given["sequence_mask"].tolist() == [[True, True], [True, False]]


def test_null_is_no_text(text):
    raw = text.encode([{"text": "a hat"}, {}, {"text": " "}])
    null = text.null(raw)
    assert {name: (one.shape, one.dtype) for name, one in null.items()} == {
        name: (one.shape, one.dtype) for name, one in raw.items()
    }
    assert torch.equal(null["bytes"][1:], raw["bytes"][1:])
    vectors = text(null)["vector"]
    assert_close(vectors, told(text, None)["vector"].expand(3, -1))
    assert (vectors[0] - text(raw)["vector"][0]).abs().max() > 1e-2


def test_long_texts_are_cut_between_characters(text):
    with pytest.warns(UserWarning, match="above 24 bytes only the start is read"):
        raw = text.encode([{"text": "é" * 12 + "x"}, {"text": "x" + "é" * 12}])
    assert raw["bytes"].shape == (2, 24)
    assert bytes(raw["bytes"][1][:23].tolist()).decode() == "x" + "é" * 11
    assert raw["bytes"][1][23] > 255


@pytest.mark.parametrize(("wish", "why"), [(7, "expected a text, got int"), ("\udcff", "is not Unicode")])
def test_what_is_no_text_is_refused(text, wish, why):
    with pytest.raises(ConfigError, match=why):
        text.encode([{"text": wish}])


def test_a_wish_for_text_is_refused_where_nobody_takes_it(text):
    assert Model(torch.nn.Identity(), [text]).encode([{"text": "a"}])
    with pytest.raises(ConfigError, match="takes no prompt"):
        Model(torch.nn.Identity(), []).encode([{"text": "a"}])


@pytest.mark.parametrize("settings", [{"width": 33}, {"width": 32, "heads": 5}])
def test_widths_that_do_not_split_are_refused(settings):
    with pytest.raises(ConfigError, match="conditioner 'text': width"):
        build("conditioner", "text", **settings)


def test_every_parameter_of_text_learns(text):
    given = told(text.train(), "red heart", None)
    (given["vector"].square().sum() + given["sequence"].sin().sum()).backward()
    assert all(bool(parameter.grad.any()) for parameter in text.parameters())


# Encoders that others trained -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory):
    """Give the folders of a tiny CLIP, a tiny T5 and another such CLIP, drawn at random and written by transformers."""
    reason = "transformers is not installed (pip install noiseform[dev])"
    transformers = pytest.importorskip("transformers", reason=reason)
    folder = tmp_path_factory.mktemp("encoders")
    letters = [chr(code) for code in range(97, 123)]
    symbols = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    words = transformers.CLIPTokenizer(vocab={s: n for n, s in enumerate(symbols)}, merges=[], model_max_length=16)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("\u2581", -3.0), *((letter, -4.0) for letter in letters)]
    size = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name in ("clip", "other"):
            config = transformers.CLIPTextConfig(vocab_size=54, max_position_embeddings=16, **size, **ids)
            transformers.CLIPTextModel(config).save_pretrained(folder / name)
            words.save_pretrained(folder / name)
        config = transformers.T5Config(vocab_size=30, d_model=24, d_kv=6, d_ff=32, num_layers=2, num_heads=4)
        transformers.T5EncoderModel(config).save_pretrained(folder / "t5")
        transformers.T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder / "t5")
    return folder


@pytest.fixture
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection."""
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it reaches for the network"))


NAMES = ("clip", "t5")


@pytest.mark.parametrize("name", ["text", "words", *NAMES])
def test_other_items_of_the_batch_change_nothing(name, request):
    if name in ("text", "words"):
        one = conditioner("text", width=32, words=50 if name == "words" else 0)
    else:
        one = conditioner(name, model=str(request.getfixturevalue("encoders") / name))
    alone, among = told(one, "a hat"), told(one, "a hat", "much longer", None)
    length = alone["sequence"].shape[1]
    assert_close(among["vector"][:1], alone["vector"], rtol=0, atol=1e-6)
    assert_close(among["sequence"][:1, :length], alone["sequence"], rtol=0, atol=1e-6)
    assert among["sequence_mask"][0].tolist() == [place < length for place in range(among["sequence"].shape[1])]


@pytest.mark.usefixtures("_offline")
@pytest.mark.parametrize(("name", "loader"), [("clip", "CLIPTextModel"), ("t5", "T5EncoderModel")])
def test_an_encoder_gives_what_transformers_gives(encoders, capfd, name, loader):
    import transformers

    folder = encoders / name
    given = told(conditioner(name, model=str(folder)), "a hat")
    assert capfd.readouterr() == ("", "")
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(["a hat"], return_tensors="pt")
    with torch.no_grad():
        peer = getattr(transformers, loader).from_pretrained(folder).eval()(**tokens)
    assert_close(given["sequence"], peer.last_hidden_state)
    pooled = peer.pooler_output if name == "clip" else peer.last_hidden_state.mean(1)
    assert_close(given["vector"], pooled)


@pytest.mark.parametrize("name", NAMES)
def test_null_is_the_empty_text(encoders, name):
    one = conditioner(name, model=str(encoders / name))
    raw = one.encode([{"text": "a hat"}, {}])
    null = one.null(raw)
    assert all(torch.equal(null[kind][1], raw[kind][1]) for kind in raw)
    assert_close(one(null)["vector"][0], told(one, None)["vector"][0])


@pytest.mark.parametrize("name", NAMES)
def test_an_encoder_is_neither_stored_nor_trained_nor_copied(encoders, name):
    model = Model(torch.nn.Linear(2, 2), [conditioner(name, model=str(encoders / name))])
    assert {label for label, _ in model.named_parameters()} == {"network.weight", "network.bias"}
    assert [label for label in model.state_dict() if "network" not in label] == ["conditioners.0.model_sha256"]
    assert copy.deepcopy(model).conditioners[0]._held is model.conditioners[0]._held
    given = model.bfloat16().condition(model.encode([{"text": "a hat"}]))
    assert not given["vector"].requires_grad


def test_another_encoder_than_trained_with_is_refused(encoders):
    trained, other = (conditioner("clip", model=str(encoders / name)) for name in ("clip", "other"))
    assign(other, trained.state_dict())
    with pytest.raises(CheckpointError, match=r"other: its sha256 is .*--set stages.base.conditioners.0.model=FOLDER"):
        other.encode([{"text": "a"}])


def test_two_encoders_go_together_when_the_narrow_one_is_filled_up(encoders):
    both = [conditioner("clip", model=str(encoders / "clip")), conditioner("t5", model=str(encoders / "t5"), width=32)]
    model = Model(torch.nn.Identity(), both)
    cond = model.condition(model.encode([{"text": "a hat"}, {"text": "x"}]))
    assert cond["vector"].shape == (2, 32)
    assert cond["sequence"].shape[::2] == (2, 32)
    assert cond["sequence_mask"].sum(1).tolist() == [6 + 7, 3 + 3]


def test_long_texts_are_cut(encoders):
    with pytest.warns(UserWarning, match="conditioner clip: of texts above 16 tokens"):
        assert conditioner("clip", model=str(encoders / "clip")).encode([{"text": "x" * 40}])["tokens"].shape == (1, 16)


@pytest.mark.usefixtures("_offline")
def test_a_name_on_the_hub_stands_for_the_copy_in_the_local_cache(encoders, tmp_path, monkeypatch):
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--someone--tiny"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    (cached / "snapshots").mkdir()
    (cached / "snapshots" / commit).symlink_to(encoders / "clip")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    named, local = (conditioner("clip", model=model) for model in ("someone/tiny", str(encoders / "clip")))
    assert torch.equal(named.model_sha256, local.model_sha256)


@pytest.mark.usefixtures("_offline")
def test_what_is_no_encoder_is_refused(encoders, tmp_path):
    def refused(error, match, model, **settings):
        with pytest.raises(error, match=match):
            build("conditioner", "clip", model=str(model), **settings)

    refused(ConfigError, "is no folder, nor a model of the hub", "nobody/nothing")
    refused(ConfigError, "is no folder", tmp_path / "missing")
    refused(CheckpointError, "no model.safetensors, the only format", tmp_path)
    refused(CheckpointError, "a model of type 't5', expected clip", encoders / "t5")
    refused(ConfigError, "the model's own is 32, got 8", encoders / "clip", width=8)
    for path in (encoders / "clip").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04junk" * 10)
    refused(CheckpointError, "cannot be read", tmp_path)


def test_without_transformers_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(PluginError, match=r"conditioner clip: needs transformers.*pip install 'noiseform\[text\]'"):
        build("conditioner", "clip", model=str(tmp_path))
