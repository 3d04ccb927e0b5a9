"""The suite of commands passes on right ones; noiseform itself registers no command."""

from __future__ import annotations

from noiseform.core.registration.registry import current
from noiseform.core.testing.mutants.commands import counting
from noiseform.testing import CommandSuite


def test_built_in(found):
    for part in current().plugins.parts("command"):
        assert found("command", part.full_name) == {}


def test_a_name_of_its_own_is_told(found, site):
    site.add(
        "counter",
        {
            "counter": """\
            import click
            from noiseform import hookimpl
            @hookimpl
            def noiseform_commands(): return {"count": "counter:count_up"}
            @click.command()
            def count_up(): '''Count.'''
            """
        },
    )
    assert found("command", "count") == {
        "test_has_its_name": "it is registered as 'count', but its own name is 'count-up'"
    }


def test_checks_of_parameters_are_not_there():
    assert not {name for name in CommandSuite.checks() if "parameters" in name}


class TestAsAnAuthorWritesIt(CommandSuite):
    """Collected by pytest."""

    component = counting
