"""The conformance kit, for the tests of plugins.

One suite for each kind of parts; a test class that names its part inherits every check:

    from noiseform.testing import SamplerSuite

    class TestMidpoint(SamplerSuite):
        component = "midpoint"
        declared_order = 2
"""

from __future__ import annotations

from .core.testing.commands import CommandSuite
from .core.testing.converters import ConverterSuite
from .core.testing.metrics import MetricSuite
from .core.testing.modalities import ModalitySuite
from .core.testing.pipelines import PipelineSuite
from .core.testing.samplers import SamplerSuite
from .core.testing.suite import Finding, Suite

__all__ = [
    "CommandSuite",
    "ConverterSuite",
    "Finding",
    "MetricSuite",
    "ModalitySuite",
    "PipelineSuite",
    "SamplerSuite",
    "Suite",
]
