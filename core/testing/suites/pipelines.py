"""The suite of pipelines: their tables are right, their parts and weights are there, and they make an item."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from ...errors import NoiseformError
from ...media import MediaSpec
from ...pipeline.pipeline import Pipeline
from ...pipeline.stage import parts_of
from ...registration.build import build, find
from ...registration.config import PipelineConfig
from ...registration.defaults import with_defaults_named
from ...registration.registry import Registry, current, using_registry
from ...registration.registry_layer import Layer
from ...storage.model_folder import read_model_folder
from ...verbs.verbs import Verbs
from ..finding import Finding, holds, no_global_draws, skip
from ..suite import Suite
from ..tried_on.folder import contents, room
from ..tried_on.waves import wave

__all__ = ["PipelineSuite"]

OWN = "not-registered"


class PipelineSuite(Suite):
    """Holds a pipeline to what a registry says of it; one of small weights makes an item, in one step a stage.

    Attributes:
        largest: bytes of weights up to which it is loaded and makes something.
    """

    kind: ClassVar[str] = "pipeline"
    test_parameters_are_described = None  # type: ignore[assignment]  # it has none: it is a table
    test_parameters_are_validated = None  # type: ignore[assignment]
    largest: ClassVar[int] = 2**25

    def test_keeps_its_contract(self) -> None:
        """It is a table that a registry takes, or a function without arguments that returns one."""
        with self._registered() as name:
            self._config(name)

    def test_says_what_it_makes(self) -> None:
        """It says in one line what it makes."""
        with self._registered() as name:
            summary = self._config(name).summary
            holds(summary and "\n" not in summary, f"summary: expected one line, got {summary!r:.80}")

    def test_its_media_are_right(self) -> None:
        """The media of each of its stages are such as its modality takes."""
        with self._registered() as name:
            config = self._config(name)
            modality = _told("modality", lambda: build("modality", config.modality))
            for stage in config.stages:
                media = {**config.media, **stage.media}
                spec = _told(f"stage {stage.name!r}", lambda media=media: modality.spec(media))
                holds(isinstance(spec, MediaSpec), f"stage {stage.name!r}: the modality gave {spec!r:.80}")

    def test_its_parts_are_there(self) -> None:
        """Every part that a stage names is registered."""
        with self._registered() as name:
            for stage in with_defaults_named(self._config(name)).stages:
                for part in _told(f"stage {stage.name!r}", lambda stage=stage: list(parts_of(stage))):
                    find(part.kind, f"{part.distribution}/{part.name}")

    def test_its_weights_are_there(self) -> None:
        """The model folders that it names are whole, and have weights of each stage."""
        with self._registered() as name:
            for stage, folder in self._folders(name).items():
                model = _told(f"stage {stage!r}", lambda folder=folder: read_model_folder(folder))
                for file in model.stages.values():
                    holds((model.folder / file).is_file(), f"stage {stage!r}: {file} is not in its model folder")

    def test_makes_an_item(self) -> None:
        """It is loaded and makes an item in one step a stage, with a record of it that is written and read."""
        with self._loaded() as pipeline, room() as folder:
            with no_global_draws():
                item = _told("it makes no item", lambda: _made(pipeline))
            path = folder / f"item{pipeline.modality.endings[0]}"
            pipeline.modality.write(item, path, record=True, overwrite=False)
            told: Any = pipeline.modality.read_record(path)
            named = told and told.get("pipeline")
            holds(named, f"the record in a file that it made names no pipeline: {told!r:.100}")

    def test_is_deterministic(self) -> None:
        """The same seed gives the same item, byte for byte, which `replay` compares."""
        with self._loaded() as pipeline, room() as folder:
            paths = [folder / f"{name}{pipeline.modality.endings[0]}" for name in ("one", "two")]
            for path in paths:
                item = _told("it makes no item", lambda: _made(pipeline))
                pipeline.modality.write(item, path, record=False, overwrite=False)
            one, two = map(contents, paths)
            holds(
                one == two,
                "the same seed gives another item the second time; a part draws beside its keys, or remembers items",
            )

    @contextmanager
    def _loaded(self) -> Iterator[Pipeline]:
        """Give the pipeline with one step a stage; leave the check out where its weights are large or missing."""
        with self._registered() as name:
            folders = set(self._folders(name).values())
            size = sum(path.stat().st_size for folder in folders for path in folder.glob("*.safetensors"))
            if size > self.largest:
                skip(f"its weights have {size / 2**20:.0f} MiB, more than {self.largest / 2**20:.0f}; raise `largest`")
            config = self._config(name)
            steps = [f"stages.{stage.name}.steps=1" for stage in config.stages]
            yield _told("it cannot be loaded", lambda: Verbs(config.modality).load(name, settings=steps))

    def _config(self, name: str) -> PipelineConfig:
        config: PipelineConfig = _told("its table", lambda: current().pipeline(name))
        return config

    def _folders(self, name: str) -> dict[str, Any]:
        """Return the model folder of each stage."""
        config = self._config(name)
        named = current().pipelines.get(name.rpartition("/")[2], {}).get("weights")
        if not named and not any(stage.weights for stage in config.stages):
            skip("it names no weights: it is trained first")
        folders: dict[str, Any] = _told("its weights", lambda: current().stage_folders(name, config))
        return folders

    @contextmanager
    def _registered(self) -> Iterator[str]:
        """Give the name by which the registry knows the pipeline, if only for this check."""
        if isinstance(self.component, str):
            yield self.component
            return
        given: Any = self.part().load()
        table = given() if callable(given) else given
        layer = Layer("file", {"pipelines": {OWN: table}}, type(self).__name__)
        own = _told("its table", lambda: Registry([*current().layers, layer]))
        with using_registry(own):
            yield OWN


def _made(pipeline: Pipeline) -> Any:
    """Return an item that a pipeline makes of nothing, or of a small wave where it makes things larger."""
    if pipeline.starts_from_nothing:
        (made,) = pipeline.make([{}], seed=0)
        return made.media
    given = pipeline.modality.wrap(wave(pipeline.takes), pipeline.takes, None)
    return Verbs(pipeline.modality.name).upscale(given, pipeline, seed=0)


def _told(what: str, ask: Any) -> Any:
    """Return what a question answers; an error of noiseform's is a Finding that begins with what was asked."""
    try:
        return ask()
    except NoiseformError as error:
        raise Finding(f"{what}: {error}") from error
