"""Plugins are found by name or by file, and each way of being wrong has one sentence of its own, which blames no other plugin."""

from __future__ import annotations

import itertools
import os
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import attrs
import pytest

import coldframe_guard
import coldframe_maker
import coldframe_momentum
from coldframe.errors import PluginError
from coldframe.plug.loader import GROUP, PluginRegistry

NUMBERS = itertools.count()
HEAD = "from coldframe import hookimpl\n"
PLAIN = 'class Plain:\n    """Does nothing.\n\n    At all.\n    """\n'
CLASSES = "provide_strategies has to return classes by their names"
GOOD = HEAD + PLAIN + "@hookimpl\ndef provide_strategies():\n    return {'good': Plain}\n"


class Site:
    """A folder on the path in which modules are installed as entry points."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.points: list[EntryPoint] = []

    def install(self, name: str, text: str) -> None:
        module = f"installed_{next(NUMBERS)}"
        (self.folder / f"{module}.py").write_text(text)
        self.points.append(EntryPoint(name, module, GROUP))

    def registry(self) -> PluginRegistry:
        return PluginRegistry(self.points)

    def refusal(self, name: str) -> str:
        return refusal(self.registry(), name, self.folder)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.syspath_prepend(str(tmp_path))
    return Site(tmp_path)


def refusal(registry: PluginRegistry, asked: str, base: Path) -> str:
    with pytest.raises(PluginError) as refused:
        registry.load(asked, base)
    said = str(refused.value)
    assert len(said.splitlines()) == 1
    assert " at 0x" not in said
    return said


# -- entry points -----------------------------------------------------------------------------------------------------


def test_the_installed_plugins_are_found() -> None:
    registry = PluginRegistry()
    assert registry.names == ["guard", "maker", "momentum"]
    assert registry.load("maker", Path()).kind is coldframe_maker.Maker
    found = {plugin.name: plugin for plugin in registry.installed()}
    assert found["guard"].kind is coldframe_guard.Guard
    assert found["momentum"].origin == coldframe_momentum.__name__
    assert all(row.summary.endswith(".") and row.params is not None for row in found.values())


def test_loaded_plugin_has_its_name_class_origin_and_parameters(site: Site) -> None:
    site.install(
        "good", GOOD.replace("At all.\n    ", "At all.") + "import attrs\n@attrs.frozen\nclass P:\n    x: int\nPlain.Params = P\n"
    )
    plugin = site.registry().load("good", site.folder)
    assert (plugin.name, plugin.kind.__name__, plugin.summary) == ("good", "Plain", "Does nothing.")
    assert plugin.origin == site.points[0].value
    assert plugin.params is not None
    assert attrs.has(plugin.params)


def test_one_without_parameters_or_words(site: Site) -> None:
    site.install("good", GOOD.replace(PLAIN, "class Plain: pass\n"))
    plugin = site.registry().load("good", site.folder)
    assert plugin.params is None
    assert plugin.summary == ""


def test_only_what_is_asked_for_is_imported(site: Site) -> None:
    site.install("good", GOOD)
    site.install("other", "raise ValueError('must not be imported')\n")
    assert site.registry().load("good", site.folder).name == "good"
    assert site.points[1].value not in sys.modules


def test_an_unknown_name_with_and_without_a_suggestion(site: Site) -> None:
    site.install("maker", GOOD)
    site.install("zebra", GOOD)
    installed = "installed: maker, zebra; or write path/to/file.py:Class"
    assert site.refusal("makr") == f"no plugin 'makr' (did you mean 'maker'?); {installed}"
    assert site.refusal("qqqq") == f"no plugin 'qqqq'; {installed}"
    assert site.refusal("file.py") == f"no plugin 'file.py'; {installed}"
    assert refusal(PluginRegistry([]), "x", site.folder) == "no plugin 'x'; installed: none; or write path/to/file.py:Class"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def (\n", "SyntaxError: invalid syntax (MODULE.py, line 1)"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module' (MODULE.py:1)"),
        ("\n1 / 0\n", "ZeroDivisionError: division by zero (MODULE.py:2)"),
        ("raise SystemExit(3)\n", "SystemExit: 3 (MODULE.py:1)"),
        (HEAD + "@hookimpl\ndef provide_strategies():\n    raise KeyError('x')\n", "KeyError: 'x' (MODULE.py:4)"),
        (HEAD + "@hookimpl\ndef provide_strategy():\n    return {}\n", "unknown hook 'provide_strategy'"),
        (
            HEAD + "@hookimpl\ndef provide_strategies(config):\n    return {}\n",
            "provide_strategies takes config, but a hook gets no arguments",
        ),
        *(
            (HEAD + PLAIN + f"@hookimpl\ndef provide_strategies():\n    return {value}\n", CLASSES)
            for value in ("[Plain]", "5", "{'bad': Plain()}", "{5: Plain}", "'Plain'", "Plain")
        ),
    ],
)  # fmt: skip
def test_s8_modules_that_cannot_be_loaded(site: Site, text: str, sentence: str) -> None:
    site.install("bad", text)
    expected = f"plugin 'bad' cannot be loaded: {sentence.replace('MODULE', site.points[0].value)}"
    assert site.refusal("bad") == expected
    # A second question is answered like the first.
    registry = site.registry()
    assert [refusal(registry, "bad", site.folder) for _ in range(2)] == [expected] * 2


def test_a_module_that_is_not_there(site: Site) -> None:
    site.points = [EntryPoint("gone", "no_such_module", GROUP), EntryPoint("empty", "math:nothing", GROUP)]
    assert site.refusal("gone") == "plugin 'gone' cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"
    assert "has no attribute 'nothing'" in site.refusal("empty")


@pytest.mark.parametrize("returned", ["{'other': Plain}", "{}", "None"])
def test_a_module_that_provides_something_else(site: Site, returned: str) -> None:
    site.install("bad", GOOD.replace("{'good': Plain}", returned))
    provided = "other" if "other" in returned else "nothing"
    assert site.refusal("bad") == f"the entry point 'bad' provides {provided}, but no 'bad'"


def test_an_unmarked_provider_provides_nothing(site: Site) -> None:
    site.install("good", GOOD.replace("@hookimpl\n", ""))
    assert site.refusal("good") == "the entry point 'good' provides nothing, but no 'good'"


def test_parameters_must_be_an_attrs_class(site: Site) -> None:
    for params in ("dict", "5", "Plain"):
        site.install("good", GOOD + f"Plain.Params = {params}\n")
        assert refusal(PluginRegistry(site.points[-1:]), "good", site.folder) == "plugin 'good': Params must be an attrs class"


@pytest.mark.parametrize(
    "bad", [HEAD + "@hookimpl\ndef provide_strategy(): ...\n", "def (\n", HEAD + "@hookimpl\ndef provide_sinks(x): ...\n"]
)
def test_a_bad_plugin_spoils_no_other(site: Site, bad: str) -> None:
    site.install("bad", bad)
    site.install("good", GOOD)
    registry = site.registry()
    refusal(registry, "bad", site.folder)
    assert registry.load("good", site.folder).name == "good"
    assert not registry.checks()
    assert not registry.sinks()


def test_one_module_may_stand_behind_several_names(site: Site) -> None:
    site.install("good", GOOD.replace("{'good': Plain}", "{'good': Plain, 'better': Plain}"))
    site.points.append(EntryPoint("better", site.points[0].value, GROUP))
    registry = site.registry()
    assert registry.load("better", site.folder).kind is registry.load("good", site.folder).kind
    assert registry.load("good", site.folder).name == "good"


def test_checks_and_sinks_of_what_is_loaded(site: Site) -> None:
    extra = """
@hookimpl
def provide_checks():
    return [lambda document: ['one']]
@hookimpl
def provide_sinks():
    return [print, repr]
"""
    site.install("good", GOOD + extra)
    site.install("other", GOOD.replace("'good'", "'other'") + extra)
    registry = site.registry()
    assert registry.checks() == []
    registry.load("good", site.folder)
    (check,) = registry.checks()
    assert list(check({})) == ["one"]
    assert registry.sinks() == [print, repr]
    registry.load("other", site.folder)
    assert len(registry.checks()) == 2


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_class_in_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "bot.py").write_text(PLAIN + "import attrs\n@attrs.frozen\nclass Other:\n    x: 'int' = 1\n")
    registry = PluginRegistry([])
    plugin = registry.load("mine/bot.py:Plain", tmp_path)
    assert (plugin.name, plugin.kind.__name__, plugin.origin) == ("Plain", "Plain", "mine/bot.py")
    assert registry.load(str(tmp_path / "mine" / "bot.py") + ":Other", Path("elsewhere")).name == "Other"
    other = registry.load("mine/bot.py:Other", tmp_path).kind
    assert attrs.resolve_types(other)


def test_a_file_runs_once_and_two_files_of_one_name_are_two(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bot.py").write_text(
            "from pathlib import Path\nwith Path(__file__ + '.log').open('a') as f:\n    f.write('.')\n" + PLAIN
        )
    registry = PluginRegistry([])
    kinds = [registry.load(f"{folder}/bot.py:Plain", tmp_path).kind for folder in ("one", "two", "one")]
    assert kinds[0] is kinds[2] is not kinds[1]
    assert (tmp_path / "one" / "bot.py.log").read_text() == "."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def (\n", "SyntaxError: invalid syntax (bot.py, line 1)"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module' (bot.py:1)"),
        ("from coldframe import Nothing\n", "ImportError: cannot import name 'Nothing' from 'coldframe' "),
        ("raise SystemExit\n", "SystemExit: no message (bot.py:1)"),
        ("x = undefined\n", "NameError: name 'undefined' is not defined (bot.py:1)"),
        ("\0", "SyntaxError: source code string cannot contain null bytes"),
    ],
)
def test_files_that_cannot_be_loaded(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bot.py"
    path.write_text(text)
    assert refusal(PluginRegistry([]), "bot.py:Plain", tmp_path).startswith(f"plugin file {path} cannot be loaded: {sentence}")


def test_a_file_can_be_mended_and_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "bot.py"
    path.write_text("def (\n")
    registry = PluginRegistry([])
    refusal(registry, "bot.py:Plain", tmp_path)
    path.write_text("# mended\n" + PLAIN)
    assert registry.load("bot.py:Plain", tmp_path).name == "Plain"


@pytest.mark.parametrize("name", ["none.py", "folder.py", "x" * 300 + ".py", "a\0b.py"])
def test_files_that_are_not_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.py").mkdir()
    assert refusal(PluginRegistry([]), f"{name}:Plain", tmp_path) == f"no plugin file {tmp_path / name}"


@pytest.mark.parametrize(
    ("text", "asked", "has"),
    [
        (PLAIN, "Plan", "Plain"),
        (PLAIN + "maker = Plain()\n", "maker", "Plain"),
        ("x = 1\n", "x", "none"),
        (HEAD, "hookimpl", "none"),
    ],
)
def test_classes_that_are_not_there(tmp_path: Path, text: str, asked: str, has: str) -> None:
    (tmp_path / "bot.py").write_text(text)
    assert (
        refusal(PluginRegistry([]), f"bot.py:{asked}", tmp_path)
        == f"plugin file {tmp_path / 'bot.py'} has no class {asked}: it has {has}"
    )


def test_a_ctrl_c_while_a_file_runs_is_no_refusal(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    with pytest.raises(KeyboardInterrupt):
        PluginRegistry([]).load("bot.py:Plain", tmp_path)


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit(3)", "GeneratorExit", "BaseException('x')"])
def test_s13_a_file_that_raises_anything_is_refused(error: str, tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(f"raise {error}\n")
    assert refusal(PluginRegistry([]), "bot.py:Plain", tmp_path).startswith("plugin file ")


def test_a_file_that_was_edited_is_loaded_as_it_is_now(tmp_path: Path) -> None:
    """Within the same second, and to the same length: what Python keeps of compiled files would be taken for new."""
    file = tmp_path / "own.py"
    for size in ("1", "2", "3"):
        file.write_text(f"class Own:\n    size = {size}\n")
        os.utime(file, (1_700_000_000, 1_700_000_000))
        assert vars(PluginRegistry([]).load("own.py:Own", tmp_path).kind)["size"] == int(size)
