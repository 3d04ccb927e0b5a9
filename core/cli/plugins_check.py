"""``noiseform plugins check``: the parts of a distribution held to the contracts of their kinds."""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError, PluginError, nearest
from ..pipeline.work import Work
from ..registration.installed import normalized
from ..registration.kinds import KINDS
from ..registration.plugin_loading import Part, Plugin
from ..registration.registry import current
from .checked import Checked, report
from .counting import counted
from .lazy_group import DEBUG_KEY
from .rows import print_json

if TYPE_CHECKING:
    from ..testing.running import Outcome

__all__ = ["check"]

LOADS = "loads"
"""What a part that cannot even be loaded, or is wrongly claimed about, fails in."""


@click.command(short_help="Hold parts to the contracts of their kinds.")
@click.argument("about", metavar="[DIST|KIND/NAME]...", nargs=-1)
@click.option("-x", "--exitfirst", is_flag=True, help="End with the first check that fails.")
@click.option("--verbose", is_flag=True, help="List every check, and why one was left out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(about: tuple[str, ...], exitfirst: bool, verbose: bool, as_json: bool) -> None:
    """Hold the parts of distributions, or single parts, to the contracts of their kinds.

    DIST is a distribution or a plugin, such as acme-noise, or noiseform for all built-in parts; KIND/NAME is one
    part, such as sampler/ddim. If none is named, all plugins from outside are meant. What a part claims of itself
    stands in its attribute `claims`; the checks are those of noiseform.testing. Exceptions are listed before
    findings, the basic ones first, and what is the same once, with the line of the part that raised it; --debug
    shows the tracebacks.

    The code of the parts runs in this process and without a time limit: one that hangs is ended by Ctrl-C, and the
    progress on a terminal says which. Ends with 5 where a check failed. Needs pip install 'noiseform[testing]'.
    """
    # Refused in one line where hypothesis is missing.
    from ..testing import running as _  # noqa: F401

    parts, unusable = _all_asked(about)
    checked = [_set_aside(plugin) for plugin in unusable]
    with counted() as tell:
        for number, part in enumerate(parts):
            if exitfirst and any(one.count("failed") for one in checked):
                break
            tell(Work(_label(part), number, len(parts), "parts"))
            checked.append(_checked(part, exitfirst=exitfirst))
    if as_json:
        print_json([asdict(one) for one in checked])
    else:
        report(checked, verbose=verbose, debug=bool(click.get_current_context().meta.get(DEBUG_KEY)))
    if any(one.count("failed") for one in checked):
        raise click.exceptions.Exit(PluginError.exit_code)


def _all_asked(about: Sequence[str]) -> tuple[list[Part], list[Plugin]]:
    """Return what all the arguments mean, each part and plugin once; without any, all that comes from outside.

    Raises:
        ConfigError: nothing does.
    """
    asked = [_asked(one) for one in about] if about else [_from_outside()]
    parts = {(part.kind, part.full_name): part for parts, _ in asked for part in parts}
    unusable = {id(plugin): plugin for _, plugins in asked for plugin in plugins}
    return list(parts.values()), list(unusable.values())


def _from_outside() -> tuple[list[Part], list[Plugin]]:
    plugins = [one for one in current().plugins.plugins if not one.candidate.builtin and one.state != "disabled"]
    if not plugins:
        raise ConfigError(
            "plugins check: no plugin from outside is installed; name what to check, such as noiseform or sampler/ddim"
        )
    return _of(plugins)


def _of(plugins: Sequence[Plugin]) -> tuple[list[Part], list[Plugin]]:
    """Return the parts of plugins, and those plugins that are set aside."""
    parts = [part for part in current().plugins.parts() if any(part.plugin is plugin for plugin in plugins)]
    return parts, [plugin for plugin in plugins if plugin.state == "set aside"]


def _asked(about: str) -> tuple[list[Part], list[Plugin]]:
    """Return the parts that are meant, and the plugins of them that are set aside.

    Raises:
        ConfigError: there is no such part, distribution or plugin.
        PluginError: the part cannot be had.
    """
    found = current().plugins
    kind, slash, name = about.partition("/")
    if slash and kind in KINDS:
        return [found.find(kind, name)], []
    names = {about, normalized(about)}
    plugins = [plugin for plugin in found.plugins if names & plugin.candidate.names]
    if not plugins:
        known = {name for plugin in found.plugins for name in plugin.candidate.names}
        hint = nearest(about, known, listing="noiseform plugins list")
        raise ConfigError(f"plugins check: no distribution, plugin or KIND/NAME {about!r:.200}; {hint}")
    disabled = [plugin for plugin in plugins if plugin.state == "disabled"]
    if len(disabled) == len(plugins):
        raise PluginError(f"plugins check: plugin {disabled[0].label} is disabled: {disabled[0].reason}; enable it")
    return _of(plugins)


def _label(part: Part) -> str:
    """Return the shortest name of a part that this command takes."""
    alone = len([one for one in current().plugins.parts(part.kind) if one.name == part.name]) == 1
    return f"{part.kind}/{part.name if alone else part.full_name}"


def _set_aside(plugin: Plugin) -> Checked:
    """Return the row of a plugin that could not be loaded."""
    from ..testing.running import Outcome, failure

    failed = Outcome(LOADS, "failed", plugin.reason)
    if plugin.error is not None:
        found = failure(LOADS, plugin.error)
        place = "" if found.place in plugin.reason else found.place  # which most reasons say themselves
        failed = replace(found, why=plugin.reason, place=place)
    return Checked(f"plugin {plugin.candidate.name}", plugin.owner, (failed,))


def _checked(part: Part, *, exitfirst: bool) -> Checked:
    """Run the checks of a part, with ``exitfirst`` up to one that fails; what it prints meanwhile is a fault too."""
    from ..testing.running import Outcome, failure, outcomes, suite_for
    from ..testing.suites.every import SUITES

    name, owner, started = _label(part), part.plugin.owner, time.perf_counter()
    if part.kind not in SUITES:
        return Checked(name, owner, (), "no suite for this kind")
    spoken = io.StringIO()
    found: list[Outcome] = []
    with contextlib.redirect_stdout(spoken), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            suite = suite_for(part.kind, part.full_name)
            lacks = suite.lacks()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a part may raise SystemExit, or worse
            return Checked(name, owner, (failure(LOADS, error),), "", time.perf_counter() - started)
        if lacks:
            return Checked(name, owner, (), f"left out: needs {lacks}; say it in the part's attribute `claims`")
        for outcome in outcomes(suite, contract_first=True):
            found.append(outcome)
            if exitfirst and outcome.verdict == "failed":
                break
    said = spoken.getvalue().strip()
    if said:
        why = f"printed {said[:80]!r}; say things by logging or by warnings, since the output is the user's"
        found.append(Outcome("prints nothing", "failed", why))
    return Checked(name, owner, tuple(found), "", time.perf_counter() - started)
