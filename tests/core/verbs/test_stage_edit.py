"""Items changed in part: what is held, in which windows, from what sampling begins, and what stays exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from noiseform.core.diffusion.level import Level
from noiseform.core.diffusion.noise import Key
from noiseform.core.diffusion.resampling import Resampling
from noiseform.core.errors import ConfigError
from noiseform.core.media import MediaSpec
from noiseform.core.pipeline.context import CONTEXT
from noiseform.core.pipeline.running import Running
from noiseform.core.pipeline.stage import Stage, build_stage
from noiseform.core.registration.config import ExtendConfig, StageConfig, checked
from noiseform.core.verbs.stage_edit import Edit, blended, edited, windows_of
from torch import Tensor

SOUND = MediaSpec((1, 64), (64.0,), -1.0, 1.0)
PICTURE = MediaSpec((1, 8, 8), (None, None), 0.0, 1.0)
EXTEND = ExtendConfig()
LEVEL = Level(0.5, 0.5, 0.5, -1.0, 1.0, 0.0)


def stage(media: MediaSpec = SOUND, **changes: object) -> Stage:
    table = {
        "process": {"use": "flow"},
        "objective": {"use": "velocity"},
        "network": {"use": f"unet-{len(media.shape) - 1}d", "channels": [8, 8], "blocks": 1, "head_width": 8},
        "steps": 2,
        **changes,
    }
    return build_stage(checked(StageConfig, table, what="stage"), media)


class Making(Running):
    """Makes 9 everywhere, as far as the denoiser that it is given lets it, and remembers how it was asked."""

    def __init__(self, built: Stage, count: int = 1) -> None:
        super().__init__("test", built, tuple(Key(3, item=item) for item in range(count)))
        self.asked: list[dict[str, object]] = []

    def window(self, conditions, keys, *, start=1.0, signal=None, noise=None, around=None, sampler=None) -> Tensor:
        def nine(x, level):
            return torch.full_like(x, 9.0)

        x = torch.zeros(len(keys), *self.stage.latent_shape)
        held = nine(x, LEVEL) if around is None else around(nine)(x, LEVEL)
        told = [condition.get(CONTEXT) for condition in conditions]
        self.asked.append(
            {
                "start": start,
                "signal": None if signal is None else signal.clone(),
                "held": held,
                "told": told,
                "sampler": sampler,
                "keys": keys,
            }
        )
        return torch.full_like(x, 9.0)


def masked(length: int, *spans: tuple[int, int]) -> Tensor:
    mask = torch.zeros(length, dtype=torch.bool)
    for first, last in spans:
        mask[first:last] = True
    return mask


@pytest.mark.parametrize(
    ("length", "spans", "windows"),
    [
        (64, [(10, 20)], 1),
        (64, [(0, 64)], 1),
        (200, [(90, 100)], 1),
        (200, [(0, 10), (180, 200)], None),
        (300, [(64, 300)], None),
        (40, [(5, 9)], 1),
    ],
)
def test_what_is_masked_is_made_and_nothing_else(length, spans, windows):
    media, mask = torch.rand(1, length), masked(length, *spans)
    spec = replace(SOUND, shape=(1, length))
    running, edit = Making(stage()), Edit(mask)
    latent = edited(running, media, spec, edit, EXTEND, [{}])
    assert torch.equal(latent[0, :, :length], torch.where(mask, torch.tensor(9.0), media))
    assert len(running.asked) == windows_of(running.stage, edit, EXTEND, spec, where="test")
    if windows:
        assert len(running.asked) == windows
    for one in running.asked:
        assert one["signal"] is None
        assert one["start"] == 1.0
        assert one["told"] == [None]
    assert len({one["keys"][0].window for one in running.asked}) == len(running.asked)


def test_a_window_holds_what_is_known_and_what_was_made_before_it():
    media, mask = torch.arange(160.0)[None] / 160, masked(160, (64, 160))
    running = Making(stage())
    edited(running, media, replace(SOUND, shape=(1, 160)), Edit(mask), EXTEND, [{}])
    first, *others = [one["held"][0, 0] for one in running.asked]
    torch.testing.assert_close(first[:32], media[0, 32:64])
    assert bool((first[32:] == 9).all())
    assert len(others) == 2
    assert all(bool((one == 9).all()) for one in others)  # half of it made before, and held


def test_windows_with_much_that_is_known_come_first():
    mask = masked(192, (40, 192))
    mask[150:] = False
    running = Making(stage())
    edited(running, torch.zeros(1, 192), replace(SOUND, shape=(1, 192)), Edit(mask), EXTEND, [{}])
    known = [int((one["held"][0, 0] != 9).sum()) for one in running.asked]
    assert known[0] >= 8


def test_strength_begins_with_the_item_itself():
    media, mask = torch.rand(1, 64), torch.ones(64, dtype=torch.bool)
    running = Making(stage(), 2)
    edited(running, media, SOUND, Edit(mask, 0.4), EXTEND, [{}, {}])
    (asked,) = running.asked
    assert asked["start"] == 0.4
    torch.testing.assert_close(asked["signal"], media.expand(2, 1, 64))


def test_steps_are_made_again_where_asked_for():
    running = Making(stage())
    edited(running, torch.rand(1, 64), SOUND, Edit(masked(64, (3, 9)), 1.0, 5), EXTEND, [{}])
    assert isinstance(running.asked[0]["sampler"], Resampling)
    assert running.asked[0]["sampler"].nfe_per_step == 5


@pytest.mark.parametrize(("span", "told"), [((32, 64), True), ((40, 64), False), ((0, 20), False)])
def test_a_model_is_told_what_it_has_learnt_to_be_told(span, told):
    built = stage(conditioners=[{"use": "mask", "first": 0.5, "keys": 0.0}])
    running = Making(built)
    edited(running, torch.rand(1, 64), SOUND, Edit(masked(64, span)), ExtendConfig(noise=0.2), [{}])
    (context,) = running.asked[0]["told"]
    if told:
        assert torch.equal(context.known, (~masked(64, span)).float())
        assert context.noise == 0.2
    else:
        assert context is None


MEL = {"use": "mel", "bins": 8, "hop": 8, "window": 32}


@pytest.mark.parametrize("layout", ["axis", "channels"])
def test_positions_of_a_spectrogram_are_those_of_its_samples_and_their_neighbours(layout):
    network = {"use": "unet-2d" if layout == "axis" else "unet-1d", "channels": [8, 8], "blocks": 1, "head_width": 8}
    built = stage(codec={**MEL, "layout": layout}, network=network)
    running = Making(built)
    latent = edited(running, 0.1 * torch.rand(1, 64), SOUND, Edit(masked(64, (24, 33))), EXTEND, [{}])
    new = (latent[0] == 9).flatten(0, -2)
    assert torch.equal(new.all(0), new.any(0))
    assert new.all(0).nonzero().flatten().tolist() == [2, 3, 4, 5]


def test_a_codec_gives_back_what_it_is_given_outside_of_the_mask_exactly():
    media, made, mask = torch.rand(1, 8, 8), torch.rand(2, 1, 8, 8), torch.zeros(8, 8, dtype=torch.bool)
    mask[2:5, 3:7] = True
    built = stage(PICTURE)
    for exact in (True, False):
        result = blended(made, media, mask, built, exact=exact)
        assert torch.equal(result[..., ~mask], media.expand(2, -1, -1, -1)[..., ~mask])
    assert torch.equal(blended(made, media, mask, built, exact=True)[..., mask], made[..., mask])


def test_what_a_codec_gets_wrong_leaves_no_seam():
    """A codec that is off by a constant everywhere is off by less and less from the edge of the mask on."""
    built = stage(codec={**MEL, "layout": "channels"})
    media, mask = torch.zeros(1, 200), masked(200, (50, 150))
    result = blended(torch.full((1, 1, 200), 0.3), media, mask, built, exact=False)[0, 0]
    assert result.diff().abs().max() < 0.04
    assert abs(result[100] - 0.3) < 1e-6
    assert bool((result[~mask] == 0).all())


def test_an_item_that_is_new_altogether_has_no_seam_to_hide():
    made, mask = torch.rand(1, 1, 8, 8), torch.ones(8, 8, dtype=torch.bool)
    assert torch.equal(blended(made, torch.rand(1, 8, 8), mask, stage(PICTURE), exact=False), made)


def test_items_of_another_kind_than_their_windows_are_refused():
    class Squeezing:
        def shape(self, media_shape):
            return (media_shape[1], *media_shape[1:])

    built = replace(stage(), codec=Squeezing())
    spec = replace(SOUND, shape=(1, 128))
    with pytest.raises(ConfigError, match="of which they are no part; use another pipeline"):
        windows_of(built, Edit(masked(128, (0, 9))), EXTEND, spec, where="test")
