"""Pictures of a run while it goes on: what the denoiser takes the clean items to be."""

from __future__ import annotations

from pathlib import Path

from ..diffusion.sampling import SamplingStep
from ..errors import ConfigError
from ..naming import printable
from ..storage.atomic import check_writable
from .pipeline import Pipeline
from .pretrained import decodes
from .running import SamplingRun

__all__ = ["Previews"]

_PICTURES = 8  # a run: enough to see it turn out, few enough to cost little beside it


class Previews:
    """An observer that decodes the predicted clean items of some steps and draws them into a folder.

    Args:
        pipeline: what runs.
        folder: made where it is missing; gets ``item-0000-step-005.png``, …, with the stage and the window where there
            are several.
    """

    needs_x0 = True

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        self._pipeline, self._folder = pipeline, folder
        self.every, self._window = 1, 0
        self._run: SamplingRun | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"previews: {printable(folder)}: {error.strerror}; name another folder") from error
        check_writable(folder / "item-0000-step-001.png", overwrite=True)

    def begin(self, run: SamplingRun) -> None:
        """Look at the stage that runs now."""
        self._run, self._window = run, 0
        self.every = max(1, run.steps // _PICTURES)

    def __call__(self, step: SamplingStep) -> None:
        run, pipeline = self._run, self._pipeline
        if step.x0 is None or run is None:
            return
        stage, media = run.stage, run.stage.media
        if not decodes(stage.codec):  # there is nothing to see of an embedding; the stage after it shows it
            return
        decoded = stage.codec.decode(step.x0, media.shape)
        several = len(pipeline.stages) > 1 or run.called != stage.config.name
        of_stage = f"-{run.called.replace(' ', '-')}" if several else ""
        for key, tensor in zip(run.keys, decoded, strict=True):
            item = pipeline.modality.wrap(tensor, media, None)
            caption = f"step {step.index + 1} of {step.steps}"
            window = f"-window-{self._window:03d}" if run.windows > 1 else ""
            path = self._folder / f"item-{key.item:04d}{of_stage}{window}-step-{step.index + 1:03d}.png"
            pipeline.modality.sheet([item], [caption], path, overwrite=True)
        if step.index + 1 == step.steps:
            self._window += 1
