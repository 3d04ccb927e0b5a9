"""The suite of each kind of parts."""

from __future__ import annotations

from collections.abc import Mapping

from .commands import CommandSuite
from .converters import ConverterSuite
from .metrics import MetricSuite
from .modalities import ModalitySuite
from .pipelines import PipelineSuite
from .samplers import SamplerSuite
from .suite import Suite

__all__ = ["SUITES"]

SUITES: Mapping[str, type[Suite]] = {
    suite.kind: suite
    for suite in (SamplerSuite, ModalitySuite, MetricSuite, PipelineSuite, ConverterSuite, CommandSuite)
}
