"""The suite of each kind of parts."""

from __future__ import annotations

from collections.abc import Mapping

from ..suite import Suite
from .codecs import CodecSuite
from .commands import CommandSuite
from .conditioners import ConditionerSuite
from .converters import ConverterSuite
from .grids import GridSuite
from .guidances import GuidanceSuite
from .metrics import MetricSuite
from .modalities.suite import ModalitySuite
from .networks import NetworkSuite
from .objectives import ObjectiveSuite
from .pipelines import PipelineSuite
from .processes import ProcessSuite
from .samplers import SamplerSuite

__all__ = ["SUITES"]

SUITES: Mapping[str, type[Suite]] = {
    suite.kind: suite
    for suite in (
        *(ProcessSuite, ObjectiveSuite, GridSuite, SamplerSuite, GuidanceSuite),
        *(NetworkSuite, CodecSuite, ConditionerSuite, ModalitySuite, MetricSuite),
        *(PipelineSuite, ConverterSuite, CommandSuite),
    )
}
"""By the name of the kind, in the order of ``KINDS``."""
