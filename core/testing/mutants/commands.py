"""Commands that are wrong in one way each, of one that counts."""

from __future__ import annotations

import click

from .mutant import Mutant

__all__ = ["MUTANTS"]


@click.command()
@click.argument("count", type=int)
@click.option("--loud", is_flag=True, help="Shout.")
def counting(count: int, loud: bool) -> None:
    """Count up to COUNT: an original."""
    click.echo("!" * count if loud else "." * count)


@click.group()
def several() -> None:
    """Several commands: an original."""


several.add_command(counting)


def _plain() -> None:
    """Print nothing; no click command."""


@click.command()
@click.option("--loud", is_flag=True, help="Shout.")
def _silent(loud: bool) -> None:
    pass


@click.command()
@click.option("--loud", is_flag=True)
def _unsaid(loud: bool) -> None:
    """Have an option without help."""


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def _anything() -> None:
    """Take any option."""


@click.command(add_help_option=False)
def _helpless() -> None:
    """Know no --help."""


class _Eager(click.Command):
    """Does its work while the line is read."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        raise RuntimeError("no network")


@click.group()
def _partly() -> None:
    """Have a subcommand without help."""


_partly.add_command(_silent)

MUTANTS = (
    Mutant("the original: a command", counting, None),
    Mutant("the original: a group of commands", several, None),
    Mutant("is a function", _plain, "test_keeps_its_contract"),
    Mutant("has no help", _silent, "test_says_what_it_is_for"),
    Mutant("has an option without help", _unsaid, "test_says_what_it_is_for"),
    Mutant("has a subcommand without help", _partly, "test_says_what_it_is_for"),
    Mutant("takes any option", _anything, "test_refuses_unknown_options"),
    Mutant("knows no --help", _helpless, "test_helps"),
    Mutant("works before the line is read", _Eager("eager", help="Work."), "test_helps"),
)
