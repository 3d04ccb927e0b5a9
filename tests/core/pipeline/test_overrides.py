"""What a user wants otherwise, said by a flag and by a setting at once."""

from __future__ import annotations

import pytest
from noiseform import ConfigError, audio


def test_a_setting_inside_of_a_named_part_is_of_that_part(tiny_model):
    settings = ["stages.base.sampler.eta=0.5", "stages.0.grid.rho=5.0"]
    loaded = audio.load(str(tiny_model), sampler="ddim", grid="karras", settings=settings)
    stage = loaded.stages[0]
    assert stage.sampler.eta == 0.5
    assert stage.grid.rho == 5.0


def test_a_setting_of_that_part_is_held_to_its_bounds(tiny_model):
    with pytest.raises(ConfigError, match="memory"):
        audio.load(str(tiny_model), sampler="spline", settings=["stages.base.sampler.memory=0"])
    with pytest.raises(ConfigError, match="nonsense"):
        audio.load(str(tiny_model), grid="karras", settings=["stages.base.grid.nonsense=1"])


@pytest.mark.parametrize(
    ("wish", "setting"),
    [
        ({"steps": 8}, "stages.base.steps=3"),
        ({"sampler": "ddim"}, "stages.base.sampler.use=heun"),
        ({"grid": "karras"}, 'stages.base.grid={use="uniform"}'),
        ({"guidance": 2.0}, "stages.base.guidance.scale=3"),
    ],
)
def test_the_same_thing_is_not_said_twice(tiny_model, wish, setting):
    with pytest.raises(ConfigError, match="said by itself and by the setting"):
        audio.load(str(tiny_model), **wish, settings=[setting])
