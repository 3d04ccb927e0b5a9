"""The transformers of patches: sizes, conditioning, a start that changes nothing, and other people's numbers."""

from __future__ import annotations

import pytest
import torch
from noiseform import build
from noiseform.core.errors import ConfigError
from torch import nn
from torch.testing import assert_close

NAMES = ("dit", "mm-dit")
SIZES = [(32,), (33,), (1,), (8, 8), (7, 9), (1, 5), (4, 4, 4), (3, 5, 2)]
SMALL = {"width": 48, "depth": 2, "heads": 2}
CONDITIONING = {"vector_width": 12, "sequence_width": 6, "extra_channels": 2}


def transformer(name: str, rank: int, *, stirred: bool = True, **settings: int) -> nn.Module:
    """Return a small network, as it starts or with the layers that start at zero stirred so that they are heard."""
    given = {**SMALL, **CONDITIONING, "channels_in": 3, **settings}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build("network", name, rank=rank, **given)
        for parameter in network.parameters():
            if stirred and not bool(parameter.any()):
                nn.init.normal_(parameter, std=0.1)
    return network.eval()


def inputs(*size: int, rows: int = 2) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    draw = torch.Generator().manual_seed(1)
    cond = {
        "vector": torch.randn(rows, 12, generator=draw),
        "sequence": torch.randn(rows, 5, 6, generator=draw),
        "sequence_mask": torch.tensor([[True] * 3 + [False] * 2] * rows),
        "channels": torch.randn(rows, 2, *size, generator=draw),
    }
    return torch.randn(rows, 3, *size, generator=draw), torch.rand(rows, generator=draw), cond


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("patch", [1, 2, 4, 8])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_size_goes_in_and_comes_out(name, size, patch):
    x, time, cond = inputs(*size)
    network = transformer(name, len(size), patch=patch)
    output = network(x, time, cond)
    assert network.item_ndim == len(size)
    assert output.shape == x.shape
    assert bool(torch.isfinite(output).all())


@pytest.mark.parametrize("name", NAMES)
def test_one_network_takes_films_of_any_length_and_size_by_patches_of_space_alone(name):
    network = transformer(name, 3, patch=[1, 2, 2])
    counts: list[int] = []
    network.frame.stem.register_forward_hook(lambda layer, given, output: counts.append(output.shape[1]))
    for size in ((1, 8, 8), (5, 8, 8), (16, 6, 10), (3, 7, 5)):
        x, time, cond = inputs(*size)
        assert network(x, time, cond).shape == x.shape
    assert counts == [16, 5 * 16, 16 * 15, 3 * 12]


@pytest.mark.parametrize("name", NAMES)
def test_an_edge_for_each_axis_is_the_one_edge_where_they_are_equal(name):
    one, each = (transformer(name, 3, patch=patch) for patch in (2, [2, 2, 2]))
    given = inputs(4, 6, 3)
    assert torch.equal(one(*given), each(*given))


@pytest.mark.parametrize("name", NAMES)
def test_patches_need_one_edge_or_one_for_each_axis(name):
    with pytest.raises(ConfigError, match="one for each of 3 axes of space, got 2"):
        transformer(name, 3, patch=[1, 2])
    with pytest.raises(ConfigError, match="patch"):
        transformer(name, 3, patch=[1, 2, 3])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_it_starts_by_saying_nothing(name, rank):
    assert not bool(transformer(name, rank, stirred=False)(*inputs(*(4,) * rank)).any())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("changed", ["time", "vector", "sequence", "channels"])
def test_every_condition_is_heard(name, rank, changed):
    network, (x, time, cond) = transformer(name, rank), inputs(*(5,) * rank)
    before = network(x, time, cond)
    after = network(x, time + 0.3, cond) if changed == "time" else network(x, time, cond | {changed: cond[changed] + 1})
    assert (after - before).abs().amax(tuple(range(1, x.ndim))).min() > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_masked_places_of_a_sequence_are_not_heard(name):
    network, (x, time, cond) = transformer(name, 2), inputs(6, 6)
    other = cond["sequence"].clone()
    other[:, 3:] += 5
    before = network(x, time, cond)
    assert_close(network(x, time, cond | {"sequence": other}), before)
    short = cond | {"sequence": cond["sequence"][:, :3]}
    del short["sequence_mask"]
    assert_close(network(x, time, short), before)


@pytest.mark.parametrize("name", NAMES)
def test_order_of_patches_is_heard_along_every_axis(name):
    network, (x, time, cond) = transformer(name, 3), inputs(4, 4, 4)
    plain = {"vector": cond["vector"], "sequence": cond["sequence"], "channels": torch.zeros_like(cond["channels"])}
    for axis in (2, 3, 4):
        turned = network(x.roll(2, axis), time, plain)
        assert (turned.roll(-2, axis) - network(x, time, plain)).abs().max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_items_do_not_leak_into_each_other(name):
    network, (x, time, cond) = transformer(name, 2), inputs(6, 6)
    other = x.clone()
    other[1] += 1
    changed = {kind: torch.cat([value[:1], value[1:].flip(1)]) for kind, value in cond.items()}
    assert_close(network(other, time, changed)[0], network(x, time, cond)[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("rank", "size", "rows"), [(1, 999, 1), (2, 48, 1), (2, 17, 2), (3, 9, 1)])
def test_bytes_do_not_depend_on_the_number_of_threads(name, rank, size, rows):
    network, (x, time, cond) = transformer(name, rank, width=96), inputs(*(size,) * rank, rows=rows)
    before = torch.get_num_threads()
    try:
        outputs = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            with torch.no_grad():
                outputs.append(network(x, time, cond))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(outputs[0], other) for other in outputs[1:])


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name):
    network, (x, time, cond) = transformer(name, 2, stirred=False).train(), inputs(6, 6)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    for _ in range(4):  # what starts at zero opens the way for the layers behind it, one step after the other
        optimizer.zero_grad()
        (network(x, time, cond) - x.flip(0)).square().mean().backward()
        optimizer.step()
    still = [label for label, parameter in network.named_parameters() if not bool(parameter.grad.any())]
    assert still == []


@pytest.mark.parametrize("name", NAMES)
def test_half_precision(name):
    network, (x, time, cond) = transformer(name, 2), inputs(6, 6)
    exact = network(x, time, cond)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network(x, time, cond)
    narrow = network.bfloat16()(x.bfloat16(), time, cond)  # the conditioning stays as its conditioners give it
    assert narrow.dtype == torch.bfloat16
    for output in (mixed, narrow):
        assert bool((output.float() - exact).std() < 0.15 * exact.std())


def test_without_a_sequence_there_is_only_dit():
    x, time, _ = inputs(6, 6)
    assert build("network", "dit", **SMALL, channels_in=3)(x, time, {}).shape == x.shape
    with pytest.raises(ConfigError, match="network 'mm-dit': no conditioner gives it a sequence"):
        build("network", "mm-dit", **SMALL, channels_in=3)


@pytest.mark.parametrize("name", NAMES)
def test_widths_that_do_not_split_into_heads_are_refused(name):
    with pytest.raises(ConfigError, match="width 48 does not split into 5 heads"):
        build("network", name, width=48, depth=1, heads=5, channels_in=3, sequence_width=6)


@pytest.mark.parametrize(("size", "millions"), [("S", 33), ("B", 130), ("L", 458), ("XL", 675)])
def test_sizes_are_those_of_the_paper(size, millions):
    """Peebles and Xie 2022, arXiv 2212.09748, tables 1 and 4: latents of 4 channels, variances learnt, 1000 classes."""
    with torch.device("meta"):
        network = build("network", "dit", size=size, channels_in=4, channels_out=8, vector_width=1000)
    assert sum(one.numel() for one in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


def test_two_streams_are_as_large_as_the_papers():
    """Esser et al. 2024, arXiv 2403.03206: 8 billion parameters at depth 38, and 2 at depth 24."""
    for depth, billions in ((38, 8.0), (24, 2.0)):
        with torch.device("meta"):
            host = {"channels_in": 16, "vector_width": 2048, "sequence_width": 4096}
            network = build("network", "mm-dit", depth=depth, **host)
        assert sum(one.numel() for one in network.parameters()) / 1e9 == pytest.approx(billions, rel=0.03)


# Other people's numbers -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def diffusers():
    return pytest.importorskip("diffusers", reason="diffusers, a peer, is not installed (pip install noiseform[dev])")


def stir(module: nn.Module) -> None:
    """Draw every parameter anew, so that nothing stands at zero or one."""
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            scale = 0.3 if parameter.ndim < 2 else parameter[0].numel() ** -0.5
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * scale)


def copied(layer: nn.Module, *peers: nn.Module) -> None:
    """Give a layer the parameters of one or several, those of several one below the other."""
    for name, parameter in layer.named_parameters():
        parameter.data = torch.cat([peer.get_parameter(name).data for peer in peers])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_dit_is_that_of_diffusers(diffusers):
    peer = diffusers.DiTTransformer2DModel(
        num_attention_heads=4, attention_head_dim=16, in_channels=4, out_channels=8, num_layers=3, sample_size=12,
        num_embeds_ada_norm=10, norm_eps=1e-6,
    ).eval()  # fmt: skip
    stir(peer)
    ours = build("network", "dit", width=64, depth=3, heads=4, channels_in=4, channels_out=8, vector_width=64).eval()
    frame, embedder = ours.frame, peer.transformer_blocks[0].norm1.emb
    for block in peer.transformer_blocks[1:]:  # each block has an embedding of its own there; published weights agree
        block.norm1.emb.load_state_dict(embedder.state_dict())
    copied(frame.time.mlp[0], embedder.timestep_embedder.linear_1)
    copied(frame.time.mlp[2], embedder.timestep_embedder.linear_2)
    frame.vector.weight.data = torch.eye(64)
    stem = peer.pos_embed.proj
    frame.stem.weight.data, frame.stem.bias.data = stem.weight.data.flatten(1), stem.bias.data
    copied(frame.modulation, peer.proj_out_1)
    order = torch.arange(32).reshape(2, 2, 8).permute(2, 0, 1).flatten()  # there a token's channels come last
    frame.head.weight.data, frame.head.bias.data = peer.proj_out_2.weight.data[order], peer.proj_out_2.bias.data[order]
    for mine, block in zip(ours.blocks, peer.transformer_blocks, strict=True):
        copied(mine.modulation, block.norm1.linear)
        copied(mine.attention.queries_keys_values, block.attn1.to_q, block.attn1.to_k, block.attn1.to_v)
        copied(mine.attention.out, block.attn1.to_out[0])
        copied(mine.feed[0], block.ff.net[0].proj)
        copied(mine.feed[2], block.ff.net[2])
    x, steps, labels = torch.randn(3, 4, 12, 12), torch.tensor([0, 500, 999]), torch.tensor([1, 9, 10])
    with torch.no_grad():
        expected = peer(x, steps, labels).sample
        found = ours(x, steps / 1000, {"vector": embedder.class_embedder.embedding_table(labels)})
    assert_close(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())  # about 3; angles round otherwise


@pytest.mark.parametrize("last", [False, True])
def test_a_block_of_two_streams_is_that_of_diffusers(diffusers, last):
    from diffusers.models.attention import JointTransformerBlock

    peer = JointTransformerBlock(64, 4, 16, context_pre_only=last, qk_norm="rms_norm").eval()
    stir(peer)
    network = build("network", "mm-dit", width=64, depth=2, heads=4, channels_in=4, sequence_width=8).eval()
    block, attention = network.blocks[1 if last else 0], peer.attn
    patches, sequence = block.patches, block.sequence
    copied(patches.modulation, peer.norm1.linear)
    copied(patches.queries_keys_values, attention.to_q, attention.to_k, attention.to_v)
    copied(patches.norm_queries, attention.norm_q)
    copied(patches.norm_keys, attention.norm_k)
    copied(patches.out, attention.to_out[0])
    copied(patches.feed[0], peer.ff.net[0].proj)
    copied(patches.feed[2], peer.ff.net[2])
    copied(sequence.norm_keys, attention.norm_added_k)
    copied(sequence.modulation, peer.norm1_context.linear)
    if last:
        copied(sequence.keys_values, attention.add_k_proj, attention.add_v_proj)
        for parameter in sequence.modulation.parameters():  # there the scale comes before the shift
            parameter.data = torch.cat(parameter.data.chunk(2)[::-1])
    else:
        copied(sequence.queries_keys_values, attention.add_q_proj, attention.add_k_proj, attention.add_v_proj)
        copied(sequence.norm_queries, attention.norm_added_q)
        copied(sequence.out, attention.to_add_out)
        copied(sequence.feed[0], peer.ff_context.net[0].proj)
        copied(sequence.feed[2], peer.ff_context.net[2])
    x, y, embedding = torch.randn(2, 9, 64), torch.randn(2, 5, 64), torch.randn(2, 64)
    with torch.no_grad():
        expected_y, expected = peer(x, y, embedding)
        found, found_y = block(x, y, nn.functional.silu(embedding), None)
    assert_close(found, expected, rtol=0, atol=1e-5)
    if not last:
        assert_close(found_y, expected_y, rtol=0, atol=1e-5)
