"""Folders in diffusers' layout as pipelines of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from ...core.pipeline.conversion import Converted, content_name
from .folder import INDEX, Component, SourceFolder
from .library import known_options
from .schedule import Schedule, translated

__all__ = ["Diffusers"]

Table = dict[str, object]
Weights = dict[str, Mapping[str, Tensor]]
Folders = dict[str, Mapping[str, bytes | Mapping[str, Tensor]]]

_TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json")
# What says how a network is conditioned, in ways that nothing here feeds.
_UNFED = {
    "class_embed_type": None,
    "num_class_embeds": None,
    "addition_embed_type": None,
    "encoder_hid_dim_type": None,
    "encoder_hid_dim": None,
    "time_cond_proj_dim": None,
}


class Diffusers:
    """A folder with a model_index.json, as ``save_pretrained`` of diffusers' pipelines writes it.

    Read are DDPMPipeline, DDIMPipeline, LDMPipeline, DiTPipeline and StableDiffusionPipeline. Of the library only the
    classes of the networks are imported; nothing is downloaded.
    """

    def reads(self, source: Path) -> bool:
        return (source / INDEX).is_file()

    def convert(self, source: Path, *, pickles: bool) -> Converted:
        """Return the pipeline of a folder.

        Raises:
            CheckpointError: a file is missing or damaged, or the pipeline cannot be translated.
            PluginError: diffusers is not installed.
        """
        folder = SourceFolder(source, pickles)
        if folder.pipeline not in _PIPELINES:
            raise folder.error(
                f"{INDEX} names a {folder.pipeline:.80}, which cannot be converted; those that can: "
                f"{', '.join(_PIPELINES)}"
            )
        scheduler = folder.component("scheduler")
        schedule = translated(*_as_run(folder.pipeline, scheduler), folder.error)
        media, stage, weights, folders = _PIPELINES[folder.pipeline](folder, schedule)
        stage = {
            "process": schedule.process,
            "objective": schedule.objective,
            **stage,
            "sampler": schedule.sampler,
            "grid": schedule.grid,
        }
        version = folder.index.get("_diffusers_version")
        return Converted(
            {"modality": "image", "media": media, "stages": [stage]},
            weights,
            folders,
            {"converted": {"layout": "diffusers", "pipeline": folder.pipeline, "version": version}},
            (*schedule.notes, *folder.notes),
        )


def _as_run(pipeline: str, scheduler: Component) -> tuple[str, Mapping[str, object]]:
    """Return class and configuration of a scheduler as the pipeline changes them, whatever the folder says."""
    if pipeline == "DDIMPipeline":
        return "DDIMScheduler", scheduler.config
    if pipeline == "StableDiffusionPipeline":
        return scheduler.kind, {**scheduler.config, "steps_offset": 1, "clip_sample": False}
    return scheduler.kind, scheduler.config


Parts = tuple[Table, Table, Weights, Folders]
"""The ``[media]`` table, what a stage has beside its schedule, weights and folders."""


def _pixels(steps: int) -> Callable[[SourceFolder, Schedule], Parts]:
    """Return what reads a pipeline of a U-Net on pixels, which is sampled in so many steps."""

    def read(folder: SourceFolder, schedule: Schedule) -> Parts:
        unet = folder.component("unet", "UNet2DModel")
        network = _network(folder, unet, "diffusers-unet-2d", schedule)
        media = _media(folder, unet, _whole(folder, unet, "in_channels", 3), 1)
        return media, {"network": network, "steps": steps}, {"base": _named(folder, unet, "network.model")}, {}

    return read


def _latent_diffusion(folder: SourceFolder, schedule: Schedule) -> Parts:
    unet = folder.component("unet", "UNet2DModel")
    codec, media, weights = _codec(folder, unet)
    stage: Table = {"network": _network(folder, unet, "diffusers-unet-2d", schedule), "codec": codec, "steps": 50}
    return media, stage, {"base": _named(folder, unet, "network.model"), **weights}, {}


def _dit(folder: SourceFolder, schedule: Schedule) -> Parts:
    transformer = folder.component("transformer", "DiTTransformer2DModel", "Transformer2DModel")
    codec, media, weights = _codec(folder, transformer)
    stage: Table = {
        "network": _network(folder, transformer, "diffusers-dit", schedule),
        "codec": codec,
        "conditioners": [{"use": "class-number", "classes": _classes(folder, transformer)}],
        "guidance": {"use": "cfg", "scale": 4.0},
        "steps": 50,
    }
    return media, stage, {"base": _named(folder, transformer, "network.model"), **weights}, {}


def _stable_diffusion(folder: SourceFolder, schedule: Schedule) -> Parts:
    unet = folder.component("unet", "UNet2DConditionModel")
    codec, media, weights = _codec(folder, unet)
    encoder = folder.component("text_encoder", "CLIPTextModel")
    if encoder.config.get("use_attention_mask"):
        raise folder.error("text_encoder: use_attention_mask is set, which cannot be translated")
    files: dict[str, bytes | Mapping[str, Tensor]] = {
        "config.json": folder.read(encoder.folder / "config.json"),
        "model.safetensors": folder.weights(encoder),
    }
    words = folder.folder / "tokenizer"
    files["tokenizer_config.json"] = folder.read(words / "tokenizer_config.json")
    files |= {name: folder.read(words / name) for name in _TOKENIZER if (words / name).is_file()}
    if not ("tokenizer.json" in files or {"vocab.json", "merges.txt"} <= files.keys()):
        raise folder.error("tokenizer has neither tokenizer.json nor vocab.json with merges.txt; take a whole copy")
    text = content_name("text", files)
    for name in ("safety_checker", "image_encoder"):
        if folder.has(name):
            folder.notes.append(f"{name} is left out")
    stage: Table = {
        "network": _network(folder, unet, "diffusers-unet-2d-condition", schedule),
        "codec": codec,
        "conditioners": [{"use": "clip", "model": text, "outputs": "sequence", "padded": True}],
        "guidance": {"use": "cfg", "scale": 7.5},
        "steps": 50,
    }
    return media, stage, {"base": _named(folder, unet, "network.model"), **weights}, {text: files}


_PIPELINES: dict[str, Callable[[SourceFolder, Schedule], Parts]] = {
    "DDPMPipeline": _pixels(1000),
    "DDIMPipeline": _pixels(50),
    "LDMPipeline": _latent_diffusion,
    "DiTPipeline": _dit,
    "StableDiffusionPipeline": _stable_diffusion,
}


def _network(folder: SourceFolder, component: Component, part: str, schedule: Schedule) -> Table:
    """Return the table of a network."""
    for option, harmless in _UNFED.items():
        if component.config.get(option) != harmless:
            value = component.config[option]
            raise folder.error(f"{component.folder.name} has {option} = {value!r:.80}, which cannot be translated")
    kind = {"Transformer2DModel": "DiTTransformer2DModel"}.get(component.kind, component.kind)  # as DiT was called once
    length: Table = {"length": schedule.length} if schedule.length != 1000 else {}
    return {"use": part, **length, **_options(component, kind)}


def _options(component: Component, kind: str) -> Table:
    """Return the options of a class that a configuration sets: ``config``, and ``nulls``, which TOML cannot say.

    What the class does not know it ignores in diffusers too.
    """
    known = known_options(kind, f"convert: {component.folder.name}")
    given = {key: value for key, value in component.config.items() if key in known and value != known[key]}
    nulls = sorted(key for key, value in given.items() if value is None)
    table: Table = {"config": {key: value for key, value in given.items() if value is not None}}
    return {**table, "nulls": nulls} if nulls else table


def _codec(folder: SourceFolder, network: Component) -> tuple[Table, Table, Weights]:
    """Return the table of the codec, that of the media that it decodes to, and its weights."""
    key = "vqvae" if folder.pipeline == "LDMPipeline" else "vae"
    kinds = {"VQModel": "diffusers-vq", "AutoencoderKL": "diffusers-vae"}
    component = folder.component(key, *kinds)
    scale = component.config.get("scaling_factor", 0.18215)
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not scale > 0:
        raise folder.error(f"{key}: scaling_factor is {scale!r:.80}, expected a number above 0; correct it")
    levels = component.config.get("block_out_channels", (64,))
    stride = 2 ** (len(levels) - 1) if isinstance(levels, list | tuple) else 1
    table = {"use": kinds[component.kind], "scale": float(scale), **_options(component, component.kind)}
    media = _media(folder, network, _whole(folder, component, "out_channels", 3), stride)
    return table, media, {"base.codec": _named(folder, component, "model")}


def _media(folder: SourceFolder, network: Component, channels: int, stride: int) -> Table:
    """Return the size of a picture, of which a network sees one position for each ``stride``."""
    size = network.config.get("sample_size")
    edges = [edge * stride for edge in (size if isinstance(size, list) else [size, size]) if type(edge) is int]
    if len(edges) != 2 or not all(edge > 0 for edge in edges):
        raise folder.error(
            f"{network.folder.name}: sample_size is {size!r:.80}, expected one whole number or two; "
            "write it into config.json"
        )
    return {"height": edges[0], "width": edges[1], "channels": channels}


def _whole(folder: SourceFolder, component: Component, option: str, default: int) -> int:
    value = component.config.get(option, default)
    if type(value) is not int or value < 1:
        raise folder.error(f"{component.folder.name}: {option} is {value!r:.80}, expected a whole number; correct it")
    return value


def _named(folder: SourceFolder, component: Component, prefix: str) -> dict[str, Tensor]:
    """Return a component's tensors by the names that they have in a part of ours."""
    return {f"{prefix}.{name}": tensor for name, tensor in folder.weights(component).items()}


def _classes(folder: SourceFolder, transformer: Component) -> list[str]:
    """Return the names of the classes, or their numbers where they have none."""
    count = _whole(folder, transformer, "num_embeds_ada_norm", 1000)
    names = folder.index.get("id2label")
    if not isinstance(names, dict):
        return [str(number) for number in range(count)]
    return [str(names.get(str(number), number)) for number in range(count)]
