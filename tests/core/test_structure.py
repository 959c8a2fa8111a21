"""How the engine is put together: the state has one writer, and what is wired is wired by constructors."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

import coldframe
from coldframe.model.engine_events import TURNS, EngineEvent

ROOT = Path(coldframe.__file__).parent
STATE = ROOT / "core" / "state"
#: Methods by which the containers of the standard library are changed.
CHANGES = frozenset(
    """add append appendleft clear discard extend insert pop popitem popleft
    remove reverse setdefault sort update""".split()  # noqa: SIM905
)


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def stored_in(function: ast.FunctionDef) -> Iterator[str]:
    """The attributes of its own object that a method stores."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node.value):
            yield node.attr


def attributes_of(made: ast.ClassDef) -> set[str]:
    """What can be stored in an object of a class; nothing where the class is frozen or an enum."""
    heads = [*made.decorator_list, *made.bases]
    if any("frozen" in ast.unparse(head) or "Enum" in ast.unparse(head) for head in heads):
        return set()
    names = {node.target.id for node in made.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    methods = (node for node in made.body if isinstance(node, ast.FunctionDef))
    return names.union(*(set(stored_in(method)) for method in methods))


@cache
def state_attributes() -> dict[str, set[str]]:
    """The attributes of the state's classes, each with the classes that have it."""
    found: dict[str, set[str]] = {}
    for path in STATE.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            for name in attributes_of(node) if isinstance(node, ast.ClassDef) else ():
                found.setdefault(name, set()).add(node.name)  # type: ignore[union-attr]
    return found


def changed_by(node: ast.AST) -> list[ast.expr]:
    """The places that a statement stores into, or whose container a call changes."""
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            flat = [
                place for target in targets for place in (target.elts if isinstance(target, ast.Tuple | ast.List) else [target])
            ]
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            flat = [target]
        case ast.Call(func=ast.Attribute(value=ast.Attribute() as held, attr=called)) if called in CHANGES:
            flat = [held]
        case _:
            flat = []
    return [place.value if isinstance(place, ast.Subscript) else place for place in flat]


def outside_writes(source: str, attributes: dict[str, set[str]]) -> list[str]:
    """What a module outside of the state changes in an object that is not its own."""
    return [
        f"{place.lineno}: {ast.unparse(node)} ({', '.join(sorted(attributes[place.attr]))})"
        for node in ast.walk(ast.parse(source))
        for place in changed_by(node)
        if isinstance(place, ast.Attribute) and not is_self(place.value) and place.attr in attributes
    ]


def machines() -> list[Path]:
    """The modules that can hold an object of the state: those of the engine, and those that import it."""
    core = ROOT / "core"
    return [
        path
        for path in sorted(ROOT.rglob("*.py"))
        if not path.is_relative_to(STATE) and (path.is_relative_to(core) or "from coldframe.core" in path.read_text())
    ]


def test_only_the_state_changes_the_state() -> None:
    found = {path: outside_writes(path.read_text(), state_attributes()) for path in machines()}
    assert {path.name: writes for path, writes in found.items() if writes} == {}


@pytest.mark.parametrize(
    "write",
    [
        "order.state = after",
        "order.filled += quantity",
        "purpose.order.reason, rest = 'x', 1",
        "orders.trade_cursors['BTCUSDT'] = 7",
        "del state.external.orders[key]",
        "self._state.instruments = listed",
        "state.prices.rates.update(more)",
        "order.fill_keys.append(key)",
        "state.trading._symbols.clear()",
    ],
)
def test_a_write_from_outside_is_found(write: str) -> None:
    assert len(outside_writes(write, state_attributes())) == 1


@pytest.mark.parametrize(
    "read", ["quantity = order.filled", "order.found()", "self.state = after", "mine = list(orders.trade_cursors)"]
)
def test_what_is_read_or_ones_own_is_no_write(read: str) -> None:
    assert outside_writes(read, state_attributes()) == []


# -- what is wired ------------------------------------------------------------------------------------------------------


def patched(source: str) -> list[str]:
    """Where a module stores into an object of another module's class: what it is made of is given when it is made."""
    tree = ast.parse(source)
    own = set[str]().union(*(attributes_of(node) for node in tree.body if isinstance(node, ast.ClassDef)))
    stores = (node for node in ast.walk(tree) if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete))
    return [
        f"{place.lineno}: {ast.unparse(node)}"
        for node in stores
        for place in changed_by(node)
        if isinstance(place, ast.Attribute) and not is_self(place.value) and place.attr not in own
    ]


def engine_modules() -> list[Path]:
    """The modules of the engine but for those of the state, whose classes may change each other."""
    return [path for path in sorted((ROOT / "core").rglob("*.py")) if not path.is_relative_to(STATE)]


def test_no_machine_is_patched_by_another() -> None:
    """No attribute set from outside after construction, and no list swapped out of another machine."""
    found = {path: patched(path.read_text()) for path in engine_modules()}
    assert {path.name: writes for path, writes in found.items() if writes} == {}


@pytest.mark.parametrize(
    "patch", ["self.executor.reports_come = up", "touched, self.orders.touched = self.orders.touched, {}", "risk.caps = caps"]
)
def test_a_patch_is_found(patch: str) -> None:
    assert len(patched(patch)) == 1


# -- the shape of the engine ----------------------------------------------------------------------------------------------


def calls(source: str, name: str) -> int:
    """How often a module calls something by this name."""
    nodes = ast.walk(ast.parse(source))
    return sum(isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name for node in nodes)


def test_one_module_makes_the_set_up_of_an_engine() -> None:
    made = {path for path in ROOT.rglob("*.py") if "EngineSetup" in path.read_text() and calls(path.read_text(), "EngineSetup")}
    assert made == {ROOT / "runtime" / "engine_setup.py"}


def arrows(core: Path) -> set[tuple[str, str]]:
    """Which folder or file at the top of the engine imports which, imports inside functions and for types counted."""
    found: set[tuple[str, str]] = set()
    for path in core.rglob("*.py"):
        source = path.relative_to(core).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            found |= {(source, target) for target in tops(node) if target != source}
    return found


def tops(node: ast.AST) -> set[str]:
    """What at the top of the engine a statement imports."""
    match node:
        case ast.ImportFrom(module=str(module), names=names) if module == "coldframe.core":
            modules = [f"{module}.{alias.name}" for alias in names]
        case ast.ImportFrom(module=str(module)):
            modules = [module]
        case ast.Import(names=names):
            modules = [alias.name for alias in names]
        case _:
            modules = []
    return {module.split(".")[2] for module in modules if module.startswith("coldframe.core.")}


def longest_chain(found: set[tuple[str, str]], start: str) -> int:
    """How many folders and files a chain of imports passes at most. A circle would not end: `RecursionError`."""
    return 1 + max((longest_chain(found, target) for source, target in found if source == start), default=0)


def test_the_engine_is_few_parts_that_look_down() -> None:
    core = ROOT / "core"
    parts = {path.name.removesuffix(".py") for path in core.iterdir() if path.name not in ("__init__.py", "__pycache__")}
    found = arrows(core)
    assert len(parts) <= 12
    assert len(found) <= 28
    assert max(longest_chain(found, part) for part in parts) <= 8
    assert {source for source, _ in found} | {target for _, target in found} == parts


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("from coldframe.core.risk.pre_trade import check", {"risk"}),
        ("from coldframe.core import engine", {"engine"}),
        ("import coldframe.core.state.orders", {"state"}),
        ("def late():\n    from coldframe.core.risk import suspended", {"risk"}),
        ("from coldframe.model.events import Woken", set()),
    ],
)
def test_an_import_is_counted_wherever_it_stands(line: str, target: set[str]) -> None:
    assert set[str]().union(*(tops(node) for node in ast.walk(ast.parse(line)))) == target


# -- what is told and asked ---------------------------------------------------------------------------------------------


def test_every_event_of_a_step_has_its_turn() -> None:
    assert set(TURNS) == set(get_args(EngineEvent))
