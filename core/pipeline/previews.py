"""Pictures of a run while it goes on: what the denoiser takes the clean items to be."""

from __future__ import annotations

from pathlib import Path

from ..diffusion.sampling import SamplingStep
from ..errors import ConfigError
from ..naming import printable
from ..storage.atomic import check_writable
from .pipeline import Pipeline

__all__ = ["Previews"]

_PICTURES = 8  # a run: enough to see it turn out, few enough to cost little beside it


class Previews:
    """An observer that decodes the predicted clean items of some steps and draws them into a folder.

    Args:
        pipeline: what runs.
        folder: made where it is missing; gets ``item-0000-step-005.png``, …, with the window where there are several.
    """

    needs_x0 = True

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        self._pipeline, self._folder = pipeline, folder
        self._stage = pipeline.stages[0]
        self.every = max(1, self._stage.config.steps // _PICTURES)
        self._windows = pipeline.windows
        self._made, self._window = 0, 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"previews: {printable(folder)}: {error.strerror}; name another folder") from error
        check_writable(folder / "item-0000-step-001.png", overwrite=True)

    def __call__(self, step: SamplingStep) -> None:
        if step.x0 is None:
            return
        pipeline, media = self._pipeline, self._stage.media
        decoded = self._stage.codec.decode(step.x0, media.shape)
        for row, tensor in enumerate(decoded):
            item = pipeline.modality.wrap(tensor, media, None)
            caption = f"step {step.index + 1} of {step.steps}"
            window = f"-window-{self._window:03d}" if self._windows > 1 else ""
            path = self._folder / f"item-{self._made + row:04d}{window}-step-{step.index + 1:03d}.png"
            pipeline.modality.sheet([item], [caption], path, overwrite=True)
        if step.index + 1 == step.steps:
            self._window = (self._window + 1) % self._windows
            if not self._window:
                self._made += len(decoded)
