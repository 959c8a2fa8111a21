"""The documents say what the code says: generated parts are current, every name in them exists, every hook is documented."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import get_args
from xml.etree import ElementTree

import pytest

import coldframe
from coldframe.config import schema
from coldframe.model import orders
from coldframe.model.effects import Effect
from coldframe.model.inputs import Input
from coldframe.plug.hookspecs import EVENT_HOOKS
from coldframe.plug.loader import GROUP
from tests.core.test_structure import arrows

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def generator() -> ModuleType:
    sys.path.insert(0, str(DOCS))  # as for a script that stands there
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = generator()


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_generated_parts_are_current(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert GENERATOR.render(text) == text, "run python docs/generate.py"


@pytest.mark.scene
@pytest.mark.parametrize("name", GENERATOR.PICTURES)
def test_pictures_are_current(name: str) -> None:
    drawn = GENERATOR.PICTURES[name]()
    assert (DOCS / name).read_text(encoding="utf-8") == drawn, "run python docs/generate.py"
    assert f"]({name})" in (DOCS / "architecture.md").read_text(encoding="utf-8")


def shapes(name: str, kind: str) -> list[ElementTree.Element]:
    """The texts or the lines of a picture."""
    return list(ElementTree.fromstring(GENERATOR.PICTURES[name]()).iter(f"{{http://www.w3.org/2000/svg}}{kind}"))


def words(name: str) -> set[str]:
    """What is written in a picture."""
    return {word.rstrip(",") for text in shapes(name, "text") for word in (text.text or "").split()}


def parts_at(folder: Path) -> set[str]:
    return {path.name.removesuffix(".py") for path in folder.iterdir() if not path.name.startswith("_") and path.name != "py.typed"}


def test_the_layers_show_every_module_at_the_top() -> None:
    """All but those that the contract of the floors does not place."""
    assert parts_at(Path(coldframe.__file__).parent) - words("architecture-floors.svg") == {"renamed", "testing"}


def test_the_core_shows_every_part_and_every_import() -> None:
    core = Path(coldframe.__file__).parent / "core"
    assert parts_at(core) <= words("architecture-core.svg")
    heads = [line for line in shapes("architecture-core.svg", "polyline") if line.get("marker-end")]
    assert len(heads) == len(arrows(core))


def test_the_run_shows_every_input_and_every_effect() -> None:
    assert {kind.__name__ for union in (Input, Effect) for kind in get_args(union)} <= words("architecture-run.svg")


def test_an_import_within_a_function_is_an_arrow(tmp_path: Path) -> None:
    path = tmp_path / "made.py"
    path.write_text("def late():\n    from coldframe.core import engine\n    import coldframe.wire\n    import os\n")
    assert list(importlib.import_module("facts").imported(path)) == ["coldframe.core.engine", "coldframe.wire"]


def test_every_part_is_used_somewhere() -> None:
    used = {name for path in DOCS.glob("*.md") for name in re.findall(r"<!-- begin ([\w ]+) -->", path.read_text())}
    assert used == set(GENERATOR.PARTS)


def named_objects(path: Path) -> set[str]:
    return set(re.findall(r"`(coldframe(?:\.\w+)+)`", path.read_text(encoding="utf-8"))) - {GROUP}


@pytest.mark.parametrize("path", [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"], ids=lambda path: path.name)
def test_every_name_of_the_code_exists(path: Path) -> None:
    for name in sorted(named_objects(path)):
        assert resolves(name), f"{path.name} speaks of {name}, which does not exist"


def resolves(name: str) -> bool:
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            if part not in getattr(found, "__attrs_attrs__", ()) and not hasattr(found, part):
                return False
            found = getattr(found, part, None)
        return True
    return False


def test_hooks_have_their_exact_signatures() -> None:
    text = (DOCS / "hooks.md").read_text(encoding="utf-8")
    for name in EVENT_HOOKS | {"review_intent", "provide_strategies", "provide_checks", "provide_sinks"}:
        assert f"### `{name}(" in text


def test_configuration_names_every_key() -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for field in schema.StrategyTable.__attrs_attrs__:
        assert f"| `{field.name}` |" in text


def test_flows_walk_through_every_floor() -> None:
    named = named_objects(DOCS / "flows.md")
    for floor in (
        "cli",
        "commands",
        "runtime",
        "trio_io",
        "exchange_server",
        "exchange",
        "config",
        "plug",
        "core",
        "model",
        "wire",
        "errors",
    ):
        assert any(name.startswith(f"coldframe.{floor}") for name in named), floor


def test_diagram_shows_every_state() -> None:
    text = (DOCS / "orders.md").read_text(encoding="utf-8")
    assert all(state.value in text for state in orders.OrderState)
    assert all(overlay.value in text for overlay in orders.Overlay)
