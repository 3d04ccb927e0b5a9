"""The suite of each kind of parts."""

from __future__ import annotations

from collections.abc import Mapping

from .codecs import CodecSuite
from .conditioners import ConditionerSuite
from .networks import NetworkSuite
from .samplers import SamplerSuite
from .suite import Suite

__all__ = ["SUITES"]

SUITES: Mapping[str, type[Suite]] = {
    suite.kind: suite for suite in (SamplerSuite, NetworkSuite, CodecSuite, ConditionerSuite)
}
"""The suite of each kind of parts."""
