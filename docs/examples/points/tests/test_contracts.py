"""Every part held to the contract of its kind, by the kit that noiseform ships."""

from noiseform.testing import CommandSuite, MetricSuite, ModalitySuite, NetworkSuite, PipelineSuite
from noiseform_points.metric import Chamfer


class TestPoints(ModalitySuite):
    component = "points"


class TestPointTransformer(NetworkSuite):
    component = "point-transformer"


class TestChamfer(MetricSuite):
    component = "chamfer"
    best = Chamfer.claims["best"]


class TestShapes(PipelineSuite):
    component = "shapes"


class TestMakeShapes(CommandSuite):
    component = "make-shapes"


class TestFitPoints(CommandSuite):
    component = "fit-points"
