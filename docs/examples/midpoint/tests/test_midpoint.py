"""The sampler held to what it promises, by the kit that noiseform ships."""

from noiseform.testing import SamplerSuite


class TestMidpoint(SamplerSuite):
    component = "midpoint"
    declared_order = 2
