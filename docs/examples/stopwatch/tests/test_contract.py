"""The command held to the contract of its kind, by the kit that noiseform ships."""

from noiseform.testing import CommandSuite


class TestStopwatch(CommandSuite):
    component = "stopwatch"
