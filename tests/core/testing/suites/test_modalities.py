"""The suite of modalities passes on every built-in one."""

from __future__ import annotations

import pytest
import torch
from noiseform.core.registration.registry import current
from noiseform.core.testing.finding import Finding
from noiseform.core.testing.mutants.curves import CURVES, Curves
from noiseform.core.testing.suites.modalities.suite import ModalitySuite as Imported
from noiseform.testing import ModalitySuite

BUILT_IN = [part.name for part in current().plugins.parts("modality") if part.plugin.candidate.builtin]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in(name, found):
    assert found("modality", name) == {}


def test_without_an_example_the_cure_is_told():
    suite = type("WithoutMedia", (Imported,), {"component": Curves})
    assert suite.lacks() == "media, an example of its [media] table"
    with pytest.raises(Finding, match="set `media` to an example of its \\[media\\] table"):
        suite().test_media_are_told()


class TestAsAnAuthorWritesIt(ModalitySuite):
    """Collected by pytest: two lines are a whole test."""

    component = "image"
    media = {"height": 12, "width": 9, "channels": 1}  # noqa: RUF012
    declared_error = {".jpg": 0.05, ".jpeg": 0.05}  # noqa: RUF012


class TestItemsOfItsOwn(ModalitySuite):
    """A modality in which a wave is odd brings items of its own."""

    component = Curves
    media = CURVES

    def item(self, spec, number=0):
        steps = torch.zeros(spec.shape)
        steps[0, 5 * number + 3 :] = 0.5
        steps[1, : 2 * number + 9] = -0.25
        return steps
