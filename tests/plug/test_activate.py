"""Plugins that belong to no strategy: named by the configuration, active only then, and refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldframe.errors import PluginError
from coldframe.plug.loader import Module, PluginRegistry
from tests.plug.test_loader import GOOD, HEAD, Site, site

__all__ = ["site"]

ALERTS = HEAD + "heard = []\n@hookimpl\ndef provide_sinks():\n    return [heard.append]\n"
CHECKS = HEAD + "@hookimpl\ndef provide_checks():\n    return [lambda document: [f'looked at {document[\"name\"]}']]\n"


def stocked(site: Site) -> PluginRegistry:
    site.install("alerts", ALERTS)
    site.install("checks", CHECKS)
    site.install("good", GOOD)
    site.install("both", GOOD.replace("'good'", "'both'") + ALERTS.removeprefix(HEAD))
    return site.registry()


def active(registry: PluginRegistry) -> set[str]:
    return {module.name for module in registry.modules() if module.active}


def test_what_is_not_named_does_nothing(site: Site) -> None:
    registry = stocked(site)
    registry.installed()  # imports all of them
    assert registry.sinks() == registry.checks() == []
    assert active(registry) == set()


def test_a_plugin_that_is_named_brings_its_sinks_and_checks(site: Site) -> None:
    registry = stocked(site)
    registry.activate("alerts", site.folder)
    registry.activate("alerts", site.folder)
    assert len(registry.sinks()) == 1
    registry.activate("checks", site.folder)
    assert [check({"name": "x"}) for check in registry.checks()] == [["looked at x"]]
    assert active(registry) == {"alerts", "checks"}


def test_a_strategy_brings_those_of_its_module(site: Site) -> None:
    registry = stocked(site)
    registry.load("both", site.folder)
    assert len(registry.sinks()) == 1
    assert active(registry) == {"both"}


def test_a_file_may_be_named_and_is_run_once(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(HEAD + "class S: pass\n" + ALERTS.removeprefix(HEAD))
    registry = PluginRegistry([])
    registry.load("mine.py:S", tmp_path)
    assert registry.sinks() == [], "a class from a file brings nothing else"
    registry.activate("mine.py", tmp_path)
    (sink,) = registry.sinks()
    sink("news")  # type: ignore[arg-type]
    assert registry.load("mine.py:S", tmp_path).kind.__module__ == sys_module(registry)


def sys_module(registry: PluginRegistry) -> str:
    (module,) = registry._modules.values()
    return module.__name__


def test_modules_say_what_they_provide(site: Site) -> None:
    registry = stocked(site)
    provided = {module.name: module.provides for module in registry.modules()}
    assert provided == {
        "alerts": ("sinks",),
        "checks": ("checks",),
        "good": ("strategies",),
        "both": ("strategies", "sinks"),
    }
    assert all(isinstance(module, Module) and module.origin.startswith("installed_") for module in registry.modules())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("alert", "no plugin 'alert' (did you mean 'alerts'?); installed: alerts, both, checks, good; or write path/to/file.py"),
        ("good", "plugin 'good' provides no checks and no sinks: it belongs to a strategy, or nowhere"),
        ("nowhere.py", "no plugin file "),
        ("broken.py", "broken.py cannot be loaded: ZeroDivisionError"),
        ("odd.py", "plugin 'odd.py' cannot be loaded: provide_sinks takes what, but a hook gets no arguments"),
    ],
)
def test_what_cannot_be_activated_is_refused_in_one_sentence(site: Site, asked: str, said: str) -> None:
    registry = stocked(site)
    (site.folder / "broken.py").write_text("1 / 0\n")
    (site.folder / "odd.py").write_text(HEAD + "@hookimpl\ndef provide_sinks(what):\n    return []\n")
    with pytest.raises(PluginError) as refused:
        registry.activate(asked, site.folder)
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert active(registry) == set()
