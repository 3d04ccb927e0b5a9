"""The suite of commands: click commands that tell what they do, and take a wrong line for what it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir
from typing import Any, ClassVar

import click
from click.testing import CliRunner

from ..finding import holds
from ..suite import Suite
from ..tried_on.folder import room

__all__ = ["CommandSuite"]


class CommandSuite(Suite):
    """Holds a command to its contract: a click command, or a group of them, that helps. Nothing is run."""

    kind: ClassVar[str] = "command"
    test_parameters_are_described = None  # type: ignore[assignment]  # a command has options, and no file names it
    test_parameters_are_validated = None  # type: ignore[assignment]

    def test_keeps_its_contract(self) -> None:
        """It is a click command."""
        given = self.part().load()
        holds(
            isinstance(given, click.Command),
            f"expected a click command, got {type(given).__name__}; write @click.command()",
        )

    def test_says_what_it_is_for(self) -> None:
        """The command, its subcommands and each of their options say in words what they are for."""
        for name, command in self._commands():
            holds(command.help and command.help.strip(), f"{name} has no help; write a docstring")
            for parameter in command.params:
                if isinstance(parameter, click.Option) and not parameter.hidden:
                    holds(parameter.help, f"{name}: option {parameter.opts[0]} has no help")

    def test_refuses_unknown_options(self) -> None:
        """An option that does not exist is a usage error of code 2, and runs nothing."""
        for name, command in self._commands():
            done = self._run(name, command, "--no-such-option-of-it")
            holds(done.exit_code == 2, f"{name} --no-such-option-of-it ended with {done.exit_code}, expected 2")

    def test_helps(self) -> None:
        """``--help`` ends with 0 and shows usage and help, of every subcommand too."""
        for name, command in self._commands():
            done = self._run(name, command, "--help")
            holds(done.exit_code == 0, f"{name} --help ended with {done.exit_code}: {done.exception!r:.200}")
            holds("Usage:" in done.output, f"{name} --help shows no usage: {done.output!r:.100}")

    def test_has_its_name(self) -> None:
        """The command has the name that it is registered under, which is what users type."""
        own = self._command().name
        if isinstance(self.component, str):
            holds(own == self.part().name, f"it is registered as {self.part().name!r}, but its own name is {own!r}")
        else:
            holds(own, "it has no name")

    def _command(self) -> click.Command:
        self.test_keeps_its_contract()
        given: Any = self.part().load()
        assert isinstance(given, click.Command)
        return given

    def _commands(self) -> Iterator[tuple[str, click.Command]]:
        """Give the command and its subcommands, with how they are called."""
        command = self._command()
        yield from _within(str(command.name), command)

    def _run(self, name: str, command: click.Command, *arguments: str) -> Any:
        with room() as folder, chdir(folder):
            return CliRunner().invoke(command, arguments, prog_name=f"noiseform {name}")


def _within(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            holds(found is not None, f"{name} lists {inner!r}, and has no such command")
            assert found is not None
            yield from _within(f"{name} {inner}", found)
