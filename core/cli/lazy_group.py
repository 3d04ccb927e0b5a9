"""A group of subcommands that are imported when they run, so that ``--help`` is quick; plugins may add to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from ..errors import NoiseformError, PluginError, nearest
from ..registration.plugin_loading import Part
from ..registration.registry import current, load_registry, using_registry
from ..registration.targets import import_target
from ..registration.watching import debugging_plugins

__all__ = ["DEBUG_KEY", "PLUGIN_KEY", "Entry", "LazyGroup"]

DEBUG_KEY = "noiseform.debug"
"""Where a context keeps whether tracebacks are wanted."""

PLUGIN_KEY = "noiseform.plugin"
"""Where a context keeps the label of the plugin whose command runs."""


class Entry(NamedTuple):
    """A subcommand before it is imported: where it is, and its line in the list of commands."""

    target: str
    summary: str


class LazyGroup(click.Group):
    """A click group with subcommands of its own, given lazily, and those of plugins.

    The commands of noiseform come first: a plugin's command of the same name is reached as ``distribution/name``.
    """

    def __init__(self, name: str, entries: Mapping[str, Entry], **settings: object) -> None:
        super().__init__(name, **settings)  # type: ignore[arg-type]
        self._entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of noiseform's commands."""
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        entry = self._entries.get(cmd_name)
        if entry is not None:
            command = import_target(entry.target)
            assert isinstance(command, click.Command)
            return _with_common_options(command)
        part = _plugin_command(cmd_name)
        if part is None:
            return None
        given = part.load()
        if not isinstance(given, click.Command):
            raise PluginError(f"{part.label}: expected a click command, got {type(given).__name__}; tell its author")
        ctx.meta[PLUGIN_KEY] = part.plugin.label
        return given

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with."""
        command = self.get_command(ctx, args[0])
        if command is None:
            known = [*self._entries, *(part.name for part in current().plugins.parts("command"))]
            ctx.fail(f"no such command {args[0]!r}; {nearest(args[0], known)}")
        return args[0], command, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self._entries.items()])
        try:
            parts = current().plugins.parts("command")
        except NoiseformError as error:  # help is help even where the configuration is broken
            click.echo(f"warning: {error}", err=True)
            return
        if parts:
            names = [part.full_name if part.name in self._entries else part.name for part in parts]
            with formatter.section("Commands of plugins"):
                formatter.write_dl(
                    [(name, f"from {part.plugin.owner}") for name, part in zip(names, parts, strict=True)]
                )


def _plugin_command(name: str) -> Part | None:
    plugins = current().plugins
    if any(name in {part.name, part.full_name} for part in plugins.parts("command")):
        return plugins.find("command", name)
    return None


def _use_registry(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.with_resource(using_registry(load_registry(Path(value))))


def _debug_plugins(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.with_resource(debugging_plugins())


def common_options() -> Sequence[click.Option]:
    """Return the options that every command of noiseform has."""
    return (
        click.Option(
            ["--registry"],
            metavar="FILE",
            callback=_use_registry,
            expose_value=False,
            is_eager=True,
            help="One more registry.toml, above the built-in one and yours.",
        ),
        click.Option(["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error."),
        click.Option(
            ["--debug-plugins"],
            is_flag=True,
            callback=_debug_plugins,
            expose_value=False,
            help="Give parts from outside copies, and name one that writes into them or changes torch; slow.",
        ),
    )


def _with_common_options(command: click.Command) -> click.Command:
    """Give a command the common options, once; a group's subcommands get them."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _with_common_options(inner)
    else:
        names = {name for parameter in command.params for name in parameter.opts}
        command.params += [option for option in common_options() if names.isdisjoint(option.opts)]
    return command
