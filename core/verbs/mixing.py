"""What lies between two items: the way back to noise from both, and the way from what lies between."""

from __future__ import annotations

from torch import Tensor

from ..diffusion.denoiser import Denoiser
from ..diffusion.inversion import between, inverted
from ..diffusion.sampling import levels_from, sample
from ..pipeline.running import Conditions, Running
from ..pipeline.wishes import heard
from ..registration.build import build

__all__ = ["mixture"]


def mixture(running: Running, items: Tensor, share: float, conditions: Conditions) -> Tensor:
    """Return the latent (1, channels, \\*space) of an item between two, along the arc between their noises.

    Both are taken back to the noise that Euler's steps make them from, without guidance, and the same steps lead from
    what lies between: a share of 0 gives the first again, 1 the second.

    Args:
        running: the stage.
        items: two of them (2, \\*media).
        share: of the second.
        conditions: of what is made (one).

    Source: Song et al. 2021, arXiv 2010.02502, section 5.3.
    """
    stage = running.stage
    latents = running.encoded(items, stage.media)
    cond = heard(stage, conditions, running.device).cond
    denoise = Denoiser(stage.network, stage.objective.prediction, dtype=running.dtype)
    levels = levels_from(stage.process, stage.grid, stage.config.steps)
    noises = [inverted(lambda x, level: denoise(x, level, cond), one[None], levels) for one in latents]
    made = sample(
        lambda x, level: denoise(x, level, cond),
        process=stage.process,
        sampler=build("sampler", "noiseform/euler"),
        grid=stage.grid,
        steps=stage.config.steps,
        seeds=running.windows(0),
        x=between(noises[0], noises[1], share),
        observers=running.observers,
    )
    running.rows += denoise.rows
    return made
