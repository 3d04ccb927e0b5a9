"""What plugins are built for: by their dependency, by their module, and what becomes of those from before a change."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping

import noiseform
import pytest
from noiseform import build
from noiseform.core import hookspecs
from noiseform.core.cli.main import main
from noiseform.core.registration import api
from noiseform.core.registration.api import Change
from noiseform.core.registration.build import find
from noiseform.core.registration.kinds import KINDS
from noiseform.core.registration.plugin_loading import RUN_HOOKS, Plugin, _manager
from noiseform.core.registration.registry import current
from packaging.version import Version

HERE = noiseform.__version__
PARTS = """
    class Midpoint:
        order, stochastic, nfe_per_step = 2, False, 2

        def init(self, x):
            return None

        def step(self, x, here, next, denoise, noise, state):
            return x, state
"""


@pytest.fixture(autouse=True)
def _hooks_forgotten():
    """Have plugins judged by the hooks that there really are when the test has given others."""
    yield
    _manager.cache_clear()


def plugin(hook: str = "noiseform_samplers", says: str = "", arguments: str = "") -> Mapping[str, str]:
    """Return the modules of a plugin that has a sampler."""
    body = f"def {hook}({arguments}):\n    return {{'midpoint': 'kit_parts:Midpoint'}}\n"
    return {"kit": f"from noiseform import hookimpl\n{says}\n@hookimpl\n{body}", "kit_parts": PARTS}


def loaded(site, requires: str = "", **settings: str) -> Plugin:
    """Install a plugin that depends on some noiseform, and return what became of it."""
    lines = f"Requires-Dist: torch>=2\n{requires and f'Requires-Dist: {requires}'}\n"
    site.add("kit", plugin(**settings), metadata=f"Metadata-Version: 2.1\nName: kit\nVersion: 1.0\n{lines}")
    return next(one for one in current().plugins.plugins if one.distribution == "kit")


def changed(monkeypatch: pytest.MonkeyPatch, *changes: Change) -> None:
    """Have the interface changed in a later version of noiseform, which this one then is."""
    monkeypatch.setattr(noiseform, "__version__", "0.5.0")
    monkeypatch.setattr(api, "CHANGES", changes)
    monkeypatch.setattr("noiseform.core.registration.plugin_loading.CHANGES", changes)
    monkeypatch.setattr(api, "API_VERSION", 1 + len(changes))


WRAPPED = Change(2, "0.3.0", "noiseform_samplers", "step is given a level; take `here`, not `t`")


@pytest.mark.parametrize(
    ("requires", "said"),
    [
        ("", ""),
        ("noiseform", ""),
        ("noiseform>=0.1,<0.2", ">=0.1,<0.2"),
        ("noiseform (>=0.1)", ">=0.1"),
        ("Noiseform[text] >= 0.1", ">=0.1"),
        ("noiseform~=0.1.0", "~=0.1.0"),
        ("noiseform==0.1.*", "==0.1.*"),
        (f"noiseform=={HERE}", f"=={HERE}"),
        ("noiseform>=0.1.0rc1", ">=0.1.0rc1"),
        ("noiseform>=0.1; python_version > '3'", ">=0.1"),
        ("noiseform-extras>=9", ""),
        ("noiseform_extras>=9", ""),
        ("noiseform>=9; extra == 'later'", ""),
        ("noiseform @ https://example.org/noiseform.whl", ""),
        ("noiseform >=< 3", ""),
    ],
)
def test_dependency_says_what_a_plugin_is_built_for(site, recwarn, requires, said):
    kit = loaded(site, requires)
    assert (kit.state, str(kit.built_for), kit.warnings) == ("loaded", said, ())
    assert build("sampler", "midpoint").order == 2
    assert not recwarn.list


@pytest.mark.parametrize("requires", ["noiseform>=9", "noiseform~=9.1", "noiseform==9.*", f"noiseform>{HERE}"])
def test_built_for_a_later_noiseform_is_set_aside_before_its_import(site, capsys, requires):
    kit = loaded(site, requires, says="raise KeyboardInterrupt")
    assert kit.state == "set aside"
    text = requires.removeprefix("noiseform")
    assert f"it is built for noiseform {text}, this is noiseform {HERE}; update noiseform (pip install" in kit.reason
    assert "or install an earlier kit" in kit.reason
    assert str(kit.built_for) == text  # as `plugins list` shows it
    assert main(["show", "sampler/kit/midpoint"]) == 5
    said = capsys.readouterr().err
    assert "built for noiseform" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "requires", ["noiseform<0.1", "noiseform==0.0.3", f"noiseform!={HERE}", "noiseform>=0.0.1,<0.1"]
)
@pytest.mark.filterwarnings("default")
def test_built_for_an_earlier_noiseform_alone_works_with_one_warning(site, capsys, requires):
    site.add("other", {"other": plugin()["kit"].replace("midpoint", "another")})
    with pytest.warns(UserWarning, match="it says that it works with"):
        assert loaded(site, requires).state == "loaded"
    site.forget()
    assert main(["list", "sampler", "--json"]) == 0
    printed = capsys.readouterr()
    assert {"midpoint", "another"} <= {entry["name"] for entry in json.loads(printed.out)}
    assert printed.err.startswith("warning: plugin kit (kit 1.0): it says that it works with noiseform ")
    assert printed.err.count("\n") == 1
    noiseform.core.registration.registry.use_registry(None)
    assert main(["list", "sampler"]) == 0  # loaded once more, and told once a process
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "says", ["noiseform_api = 0", "noiseform_api = -1", "noiseform_api = True", "noiseform_api = 2"]
)
def test_module_that_says_an_interface_that_there_is_not(site, says):
    kit = loaded(site, says=says)
    assert kit.state == "set aside"
    assert f"it is built for plugin API {says.rpartition(' ')[2]}, this noiseform has 1; " in kit.reason


@pytest.mark.parametrize(
    ("says", "cure"), [("'1'", "write 1 without quotes"), ("'2'", "tell its author"), ("'one'", "tell its author")]
)
def test_interface_in_quotes_is_told_as_such(site, says, cure):
    kit = loaded(site, says=f"noiseform_api = {says}")
    assert kit.reason.startswith(f"it is built for plugin API {says}, this noiseform has 1; {cure}")


def test_list_shows_what_plugins_are_built_for(site, capsys):
    loaded(site, "noiseform>=0.1,<0.2", says="noiseform_api = 1")
    assert main(["plugins", "list"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if line.startswith("kit "))
    assert line[heading.index("BUILT FOR") :].startswith(">=0.1,<0.2, API 1  loaded")
    assert main(["plugins", "list", "--json"]) == 0
    plugins = {one["name"]: one["built_for"] for one in json.loads(capsys.readouterr().out)}
    assert plugins["kit"] == ">=0.1,<0.2, API 1"
    assert plugins["samplers"] == ""


@pytest.mark.parametrize(
    ("requires", "says", "told"),
    [
        ("noiseform>=0.1", "", True),
        ("noiseform>=0.2.9,<1", "", True),
        ("noiseform>=0.3", "", False),
        ("", "noiseform_api = 1", True),
        ("noiseform>=0.1", "noiseform_api = 2", False),  # it works with both, and says that it knows the later one
        ("noiseform>=0.4", "noiseform_api = 1", True),
        ("", "", False),
        ("noiseform", "", False),
    ],
)
def test_change_of_a_contract_is_told_to_those_from_before_it(site, monkeypatch, requires, says, told):
    changed(monkeypatch, WRAPPED, Change(3, "0.4.0", "noiseform_grids", "grids are asked otherwise; mind that"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kit = loaded(site, requires, says=says)
    assert kit.state == "loaded"
    expected = "noiseform_samplers changed in noiseform 0.3.0: step is given a level; take `here`, not `t`"
    assert kit.warnings == ((expected,) if told else ())
    assert [str(one.message) for one in caught] == [f"plugin kit (kit 1.0): {expected}"] * told


def test_plugin_from_before_a_change_is_adapted(site, monkeypatch):
    def adapted(hook: Callable[..., object]) -> Callable[..., object]:
        return lambda: {f"{name}-of-old": target for name, target in hook().items()}  # type: ignore[attr-defined]

    changed(monkeypatch, Change(2, "0.3.0", "noiseform_samplers", "names end in -of-old; so do", adapted=adapted))
    with pytest.warns(UserWarning, match=r"names end in -of-old; so do"):
        assert loaded(site, "noiseform>=0.2").usable
    assert build("sampler", "midpoint-of-old").order == 2


def test_change_that_no_plugin_from_before_survives(site, monkeypatch):
    changed(monkeypatch, Change(2, "0.3.0", "noiseform_samplers", "step gives a list; give one", served=False))
    kit = loaded(site, "noiseform>=0.1")
    assert kit.state == "set aside"
    assert kit.reason == (
        "it is built for noiseform >=0.1, and since 0.3.0 its hook noiseform_samplers is no longer served as it was: "
        "step gives a list; give one"
    )
    assert find("sampler", "ddim")


def former_hook(monkeypatch: pytest.MonkeyPatch) -> DeprecationWarning:
    """Have samplers come from a hook that had another name before, and gave pairs in the place of a mapping."""
    message = DeprecationWarning("noiseform_steppers is noiseform_samplers\n   since noiseform 0.3; rename it")

    def noiseform_steppers():
        """Give samplers, as pairs."""

    specified = hookspecs.hookspec(noiseform_steppers, warn_on_impl=message)
    monkeypatch.setattr(hookspecs, "noiseform_steppers", specified, raising=False)
    _manager.cache_clear()
    text = " ".join(str(message).split())
    changed(
        monkeypatch,
        Change(
            *(2, "0.3.0", "noiseform_samplers", text, "noiseform_steppers"),
            adapted=lambda hook: lambda: dict(hook()),  # type: ignore[call-overload]
        ),
    )
    return message


@pytest.mark.parametrize("requires", ["", "noiseform>=0.1", "noiseform>=0.4"])
def test_renamed_hook_is_asked_under_its_former_name(site, monkeypatch, requires):
    former_hook(monkeypatch)
    modules = plugin("noiseform_steppers")
    site.add(
        "kit",
        {**modules, "kit": modules["kit"].replace("{'midpoint': ", "[('midpoint', ").replace("}", ")]")},
        metadata=f"Name: kit\nVersion: 1.0\n{requires and f'Requires-Dist: {requires}'}\n",
    )
    told = r"^plugin kit \(kit 1.0\): noiseform_steppers is noiseform_samplers since noiseform 0.3; rename it$"
    with pytest.warns(UserWarning, match=told) as caught:
        assert build("sampler", "midpoint").order == 2
    assert len(caught) == 1


def test_plugin_with_the_former_and_the_present_hook_is_not_told(site, monkeypatch):
    former_hook(monkeypatch)
    both = plugin()["kit"] + "@hookimpl\ndef noiseform_steppers():\n    raise OSError\n"
    site.add("kit", {"kit": both, "kit_parts": PARTS})
    assert build("sampler", "midpoint").order == 2


def test_given_up_argument_is_told_by_pluggy(site, monkeypatch):
    message = DeprecationWarning("`session` is `run`; rename it")

    def noiseform_sampling_observers(run, session):
        """Give observers."""

    specified = hookspecs.hookspec(noiseform_sampling_observers, warn_on_impl_args={"session": message})
    monkeypatch.setattr(hookspecs, "noiseform_sampling_observers", specified)
    _manager.cache_clear()
    body = "from noiseform import hookimpl\n@hookimpl\ndef noiseform_sampling_observers({}): return {}\n"
    site.add("kit", {"kit": body.format("session", "session")})
    site.add("new", {"new": body.format("run", "run")})
    with pytest.warns(UserWarning, match=r"^plugin kit \(kit 1.0\): `session` is `run`; rename it$") as caught:
        plugins = current().plugins
    assert len(caught) == 1
    assert plugins.observers("noiseform_sampling_observers", repr) == (repr, repr)


def test_changes_are_in_order_and_lead_to_now():
    numbers = [change.api for change in api.CHANGES]
    assert numbers == sorted(numbers)
    assert max(numbers, default=1) == hookspecs.API_VERSION
    hooks = {**{kind.hook: kind.since for kind in KINDS.values()}, **RUN_HOOKS}
    for change in api.CHANGES:
        assert change.hook in hooks
        assert Version(change.since) <= Version(hooks[change.hook])
        assert not change.former or change.former in vars(hookspecs)
    assert all(Version(since) <= Version(HERE) for since in hooks.values())
