"""The conformance kit, for the tests of plugins.

One suite for each kind of parts; a test class that names its part inherits every check:

    from noiseform.testing import SamplerSuite

    class TestMidpoint(SamplerSuite):
        component = "midpoint"
        declared_order = 2
"""

from __future__ import annotations

from .core.testing.finding import Finding
from .core.testing.mutants.every import MUTANTS
from .core.testing.mutants.mutant import Mutant
from .core.testing.suite import Suite
from .core.testing.suites.codecs import CodecSuite
from .core.testing.suites.commands import CommandSuite
from .core.testing.suites.conditioners import ConditionerSuite
from .core.testing.suites.converters import ConverterSuite
from .core.testing.suites.every import SUITES
from .core.testing.suites.grids import GridSuite
from .core.testing.suites.guidances import GuidanceSuite
from .core.testing.suites.metrics import MetricSuite
from .core.testing.suites.modalities.suite import ModalitySuite
from .core.testing.suites.networks import NetworkSuite
from .core.testing.suites.objectives import ObjectiveSuite
from .core.testing.suites.pipelines import PipelineSuite
from .core.testing.suites.processes import ProcessSuite
from .core.testing.suites.samplers import SamplerSuite

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
