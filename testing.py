"""The conformance kit, for the tests of plugins.

One suite for each kind of parts; a test class that names its part inherits every check:

    from noiseform.testing import SamplerSuite

    class TestMidpoint(SamplerSuite):
        component = "midpoint"
        declared_order = 2
"""

from __future__ import annotations

from .core.testing.codecs import CodecSuite
from .core.testing.commands import CommandSuite
from .core.testing.conditioners import ConditionerSuite
from .core.testing.converters import ConverterSuite
from .core.testing.finding import Finding
from .core.testing.grids import GridSuite
from .core.testing.guidances import GuidanceSuite
from .core.testing.metrics import MetricSuite
from .core.testing.modalities import ModalitySuite
from .core.testing.mutants.every import MUTANTS
from .core.testing.mutants.mutant import Mutant
from .core.testing.networks import NetworkSuite
from .core.testing.objectives import ObjectiveSuite
from .core.testing.pipelines import PipelineSuite
from .core.testing.processes import ProcessSuite
from .core.testing.samplers import SamplerSuite
from .core.testing.suite import Suite
from .core.testing.suites import SUITES

__all__ = [
    "MUTANTS",
    "SUITES",
    "CodecSuite",
    "CommandSuite",
    "ConditionerSuite",
    "ConverterSuite",
    "Finding",
    "GridSuite",
    "GuidanceSuite",
    "MetricSuite",
    "ModalitySuite",
    "Mutant",
    "NetworkSuite",
    "ObjectiveSuite",
    "PipelineSuite",
    "ProcessSuite",
    "SamplerSuite",
    "Suite",
]
