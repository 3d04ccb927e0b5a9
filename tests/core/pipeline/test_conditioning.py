"""What several conditioners give becomes what one network is told; what it does not take is refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from noiseform.core.errors import ConfigError, PluginError
from noiseform.core.media import MediaSpec
from noiseform.core.pipeline.model import Model
from noiseform.core.pipeline.stage import Stage, build_stage
from noiseform.core.registration.config import StageConfig, checked
from torch import Tensor

PICTURE = MediaSpec((3, 8, 8), (None, None), -1.0, 1.0)


class Given:
    """A conditioner that gives what it was made with."""

    def __init__(self, outputs: Mapping[str, int], **tensors: Tensor) -> None:
        self.outputs, self._tensors = outputs, tensors

    def encode(self, conditions):
        return {"row": torch.zeros(len(conditions), 1)}

    def forward(self, raw):
        return self._tensors

    def null(self, raw):
        return raw


def told(*conditioners: Given) -> dict[str, Tensor]:
    model = Model(torch.nn.Identity(), conditioners)
    return model.condition(model.encode([{}, {}]))


def test_sequences_join_with_their_masks():
    mask = torch.tensor([[True, False, False], [True, True, True]])
    first = Given(
        {"sequence": 4, "vector": 5}, sequence=torch.ones(2, 3, 4), sequence_mask=mask, vector=torch.ones(2, 5)
    )
    whole = Given({"sequence": 4}, sequence=torch.zeros(2, 2, 4))
    vector = Given({"vector": 5}, vector=torch.ones(2, 5))
    cond = told(first, whole, vector)
    assert cond["sequence"].shape == (2, 5, 4)
    assert cond["sequence_mask"].tolist() == [[True, False, False, True, True], [True] * 5]
    assert cond["vector"].tolist() == [[2.0] * 5] * 2
    assert told(whole, first)["sequence_mask"].tolist() == [[True, True, True, False, False], [True] * 5]
    assert set(told(whole)) == {"sequence"}  # all of it counts, so there is nothing to mask
    assert told() == {}


def test_channels_lie_side_by_side():
    one, two = (Given({"channels": n}, channels=torch.full((2, n, 8, 8), float(n))) for n in (1, 2))
    assert told(one, two)["channels"][0, :, 0, 0].tolist() == [1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("outputs", "tensors", "message"),
    [
        ({"vector": 4}, {"vector": torch.ones(2, 5)}, r"expected floating-point numbers of shape \(2, 4\)"),
        ({"sequence": 4}, {"sequence": torch.ones(2, 4)}, "Given: sequence gave a tensor of shape"),
        ({"channels": 4}, {"channels": torch.ones(2, 3, 8)}, "Given: channels gave"),
        ({"vector": 4}, {}, "gave no 'vector'"),
        ({}, {"sequence": torch.ones(2, 3, 4)}, "gave 'sequence', which its outputs do not name"),
        ({"sequence": 4}, {"sequence": torch.ones(2, 3, 4), "sequence_mask": torch.ones(2, 3)}, "expected torch.bool"),
    ],
)
def test_what_was_not_announced_is_refused(outputs, tensors, message):
    with pytest.raises(PluginError, match=message):
        told(Given(outputs, **tensors))


def stage(network: Mapping[str, object], *conditioners: Mapping[str, object]) -> Stage:
    table = {
        "process": {"use": "flow"},
        "objective": {"use": "velocity"},
        "codec": {"use": "identity"},
        "network": network,
        "conditioners": list(conditioners),
    }
    return build_stage(checked(StageConfig, table, what="stage"), PICTURE)


TEXT = {"use": "text", "width": 16, "depth": 1, "heads": 2}
SMALL = {"width": 16, "depth": 1, "heads": 2}
NETWORKS = [{"use": "dit", **SMALL}, {"use": "mm-dit", **SMALL}, {"use": "unet-2d", "channels": [32], "blocks": 1}]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda table: table["use"])
def test_text_and_labels_reach_every_network(network):
    built = stage(network, TEXT, {"use": "labels", "names": ["red", "blue"], "width": 16})
    model = built.model
    for parameter in model.network.parameters():
        if not bool(parameter.any()):
            torch.nn.init.normal_(parameter, std=0.1)
    x, time = torch.randn(1, 3, 8, 8), torch.tensor([0.5])
    said = [
        model.network(x, time, model.condition(model.encode([wish])))
        for wish in ({"text": "a hat"}, {"text": "a cat"}, {"text": "a hat", "labels": ("red",)}, {})
    ]
    assert all((one - other).abs().max() > 1e-5 for n, one in enumerate(said) for other in said[:n])


def test_conditioning_that_a_network_does_not_take_is_refused(outsider_network):
    with pytest.raises(ConfigError, match=r"network 'plain' takes no conditioning sequence.*outputs = \"vector\""):
        stage({"use": "plain"}, TEXT)
    assert set(stage({"use": "plain"}, TEXT | {"outputs": "vector"}).model.conditioners[0].outputs) == {"vector"}
    with pytest.raises(ConfigError, match="network 'deaf' takes no conditioning vector"):
        stage({"use": "deaf"}, TEXT | {"outputs": "vector"})
    with pytest.raises(ConfigError, match="network 'mm-dit': no conditioner gives it a sequence"):
        stage({"use": "mm-dit"}, TEXT | {"outputs": "vector"})


@pytest.fixture
def outsider_network(site):
    """Have two networks of another plugin: one asks for a vector, one says that it takes nothing."""
    source = """
        import torch
        from noiseform import hookimpl

        class Plain(torch.nn.Identity):
            item_ndim = 2
            def __init__(self, *, channels_in: int, vector_width: int = 0):
                super().__init__()

        class Deaf(torch.nn.Identity):
            item_ndim, conditioning = 2, frozenset()
            def __init__(self, **host):
                super().__init__()

        @hookimpl
        def noiseform_networks():
            return {"plain": Plain, "deaf": Deaf}
    """
    site.add("two-networks", {"two_networks": source})
