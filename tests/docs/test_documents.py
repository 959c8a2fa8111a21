"""The documents say what the code says: generated parts are current, every name in them exists, every hook is documented."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from coldframe.config import schema
from coldframe.model import orders
from coldframe.plug.hookspecs import EVENT_HOOKS
from coldframe.plug.loader import GROUP

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def generator() -> ModuleType:
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
