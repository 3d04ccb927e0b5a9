"""Every part held to the contract of its kind, by the kit that noiseform ships."""

import json

import torch
from noiseform.testing import (
    CodecSuite,
    CommandSuite,
    ConditionerSuite,
    ConverterSuite,
    GridSuite,
    GuidanceSuite,
    MetricSuite,
    ModalitySuite,
    NetworkSuite,
    ObjectiveSuite,
    ProcessSuite,
    SamplerSuite,
)
from noiseform_outsider.network import Conv1d


class TestCosinePower(ProcessSuite):
    component = "cosine-power"


class TestHuber(ObjectiveSuite):
    component = "huber"


class TestPower(GridSuite):
    component = "power"


class TestAB2(SamplerSuite):
    component = "ab2"
    declared_order = 2


class TestRamp(GuidanceSuite):
    component = "ramp"


class TestConv1d(NetworkSuite):
    component = "conv-1d"


class TestDCT(CodecSuite):
    component = "dct"


class TestWords(ConditionerSuite):
    component = "words"


class TestRough(ConditionerSuite):
    component = "rough"
    guided = False  # it shows what is there, whatever is asked for beside it


class TestSeries(ModalitySuite):
    component = "series"


class TestSpectrum(MetricSuite):
    component = "spectrum"
    symmetric = True


def write_model(folder):
    """Write a small network that has learnt nothing in the converter's layout."""
    size = {"channels": 8, "depth": 1}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = Conv1d(**size, channels_in=16, channels_out=16).state_dict()  # blocks of 16 values, as dct makes them
    lists = {name: tensor.tolist() for name, tensor in weights.items()}
    table = {"media": {"channels": 1, "steps": 32, "rate": 50}, "network": size, "weights": lists}
    (folder / "conv.json").write_text(json.dumps(table))


class TestJsonConv(ConverterSuite):
    component = "json-conv"
    example = write_model


class TestMakeWaves(CommandSuite):
    component = "make-waves"
