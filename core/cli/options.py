"""The options that the commands which make media share; each group reaches a command as one mapping."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

__all__ = ["asking", "sampling", "writing"]

Command = Callable[..., Any]


def asking(command: Command) -> Command:
    """Add what is asked for: ``asked`` with labels, prompt, negative_labels and negative_prompt."""
    return _grouped(
        "asked",
        command,
        click.Option(["--label", "labels"], multiple=True, metavar="LABEL", help="What it is; again for more labels."),
        click.Option(["--prompt"], help="What it is, in words, for pipelines that take text; empty is none."),
        click.Option(
            ["--negative-label", "negative_labels"],
            multiple=True,
            metavar="LABEL",
            help="What guidance leads away from.",
        ),
        click.Option(["--negative-prompt"], help="The same, in words, for pipelines that take text."),
    )


def sampling(command: Command) -> Command:
    """Add how the first stage is sampled, and where: ``sampled``, which ``Verbs.load`` takes."""
    return _grouped(
        "sampled",
        command,
        click.Option(["--steps"], type=int, help="Number of steps. [default: the pipeline's]"),
        click.Option(["--sampler"], metavar="NAME", help="Another sampler (noiseform list sampler)."),
        click.Option(["--grid"], metavar="NAME", help="Another grid of times (noiseform list grid)."),
        click.Option(["--guidance"], type=float, metavar="W", help="Scale of guidance; 1 is none."),
        click.Option(["--set", "settings"], multiple=True, metavar="PATH=VALUE", help="Anything in the pipeline."),
        click.Option(["--device"], default="cpu", show_default=True, help="Where the network runs."),
        click.Option(
            ["--dtype"], default="float32", show_default=True, help="float32, bfloat16 or float16; or fp32, bf16, fp16."
        ),
        click.Option(["--compile"], is_flag=True, help="Compile the network; the first time takes minutes."),
    )


def writing(command: Command) -> Command:
    """Add where what was made goes and how it is told: ``out``, which ``Delivery`` takes."""
    return _grouped(
        "out",
        command,
        click.Option(["-o", "--output"], metavar="OUT", help="File or folder. Several get numbers: OUT-0000.wav, …"),
        click.Option(["--overwrite"], is_flag=True, help="Replace files that exist."),
        click.Option(["--previews"], metavar="DIR", help="Also write pictures of the steps into this folder."),
        click.Option(
            ["--sheet"],
            is_flag=False,
            flag_value="-",
            metavar="[FILE]",
            help="Also write one picture (PNG) of all items, named after the output if no name is given.",
        ),
        click.Option(["--no-record"], is_flag=True, help="Leave how it was made out of the file."),
        click.Option(
            ["--strict"], is_flag=True, help="End with an error where an item looks wrong (silent, clipped, …)."
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object for each item."),
        click.Option(["--quiet"], is_flag=True, help="Print nothing."),
    )


def _grouped(name: str, command: Command, *options: click.Option) -> Command:
    """Add options to a command, whose values it gets as a mapping called ``name``."""

    @functools.wraps(command)
    def gathering(**given: Any) -> Any:
        group = {str(option.name): given.pop(str(option.name)) for option in options}
        return command(**given, **{name: group})

    known: list[click.Parameter] = list(getattr(command, "__click_params__", ()))
    gathering.__click_params__ = [*known, *reversed(options)]  # type: ignore[attr-defined]  # as click's own decorators
    return gathering
