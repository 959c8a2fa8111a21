"""What the pictures of `architecture.md` show, read off the code: import contracts, imports, and the runner of a live run."""

from __future__ import annotations

import ast
import importlib
import inspect
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

from coldframe.model.effects import Effect
from coldframe.model.inputs import Input
from coldframe.trio_io import effects as runner

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = ROOT / "framework" / "coldframe"
#: Where a live run begins, and the folders whose modules may put something into its inbox.
_RUN: Final = "coldframe.runtime.run"
_TASKS: Final = ("coldframe.trio_io", "coldframe.runtime")


# -- contracts ----------------------------------------------------------------------------------------------------------


@cache
def contracts() -> list[dict[str, Any]]:
    """The import contracts that `lint-imports` holds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = project["tool"]["importlinter"]["contracts"]
    return found


def _layers(container: str | None) -> list[str]:
    (found,) = (
        contract["layers"]
        for contract in contracts()
        if contract["type"] == "layers" and contract.get("containers", [None])[0] == container
    )
    return found


def floors() -> list[tuple[list[str], bool]]:
    """The floors from the top down: names without the package, and whether those of one floor may not import each other."""
    return [_floor(line) for line in _layers(None)]


def core_layers() -> list[tuple[list[str], bool]]:
    """The layers of the engine from the top down, as `floors`."""
    return [_floor(line) for line in _layers("coldframe.core")]


def _floor(line: str) -> tuple[list[str], bool]:
    names = line.replace("|", ":").split(":")
    return [name.strip().removeprefix("coldframe.") for name in names], "|" in line


def forbidden(word: str) -> tuple[list[str], list[str]]:
    """Sources and targets of the one contract whose name holds a word."""
    (found,) = (contract for contract in contracts() if contract["type"] == "forbidden" and word in contract["name"])
    return found["source_modules"], found["forbidden_modules"]


def about(name: str) -> str:
    """The first sentence of a module, without what it is about in detail."""
    text = (inspect.getdoc(importlib.import_module(f"coldframe.{name}")) or "").split("\n\n")[0].replace("\n", " ")
    return text.split(". ")[0].rstrip(".")


# -- imports ------------------------------------------------------------------------------------------------------------


@cache
def modules() -> dict[str, Path]:
    """Every module of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """The modules of the package that a module imports, also within functions and for types only."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("coldframe"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in modules() else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("coldframe"))


def core_arrows() -> dict[str, set[str]]:
    """Which part of the engine imports which."""
    found: dict[str, set[str]] = {}
    for name, path in modules().items():
        if name.startswith("coldframe.core."):
            part = name.split(".")[2]
            targets = {module.split(".")[2] for module in imported(path) if module.startswith("coldframe.core.")}
            found.setdefault(part, set()).update(targets - {part})
    return found


def _of_a_run() -> list[str]:
    """The modules that a live run is made of: what its module imports, and what those import."""
    known, seen, left = modules(), set[str](), [_RUN]
    while left:
        name = left.pop()
        if name in known and name not in seen:
            seen.add(name)
            left += imported(known[name])
    return sorted(seen)


# -- the runner ---------------------------------------------------------------------------------------------------------


def inputs() -> dict[str, list[str]]:
    """By module of a run, the inputs of the engine that it makes."""
    kinds = {kind.__name__ for kind in get_args(Input)}
    found = {}
    for name in _of_a_run():
        made = _calls(_tree(modules()[name])) if name.startswith(_TASKS) else set()
        if made & kinds:
            found[name.removeprefix("coldframe.")] = sorted(made & kinds)
    return found


def _calls(tree: ast.AST) -> set[str]:
    return {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


def performers() -> dict[str, list[str]]:
    """By attribute of the runner, the effects that it performs; what ends the run stands under `finished`."""
    (made,) = (
        node
        for node in _tree(Path(inspect.getfile(runner))).body
        if isinstance(node, ast.ClassDef) and node.name == "TrioEffectRunner"
    )
    methods = {node.name: node for node in made.body if isinstance(node, ast.FunctionDef)}
    (match,) = (node for node in ast.walk(methods["perform"]) if isinstance(node, ast.Match))
    found: dict[str, list[str]] = {}
    for case in match.cases:
        if isinstance(case.pattern, ast.MatchClass):
            kind = ast.unparse(case.pattern.cls)
            found.setdefault(_performer(case.body, methods, kind), []).append(kind)
    assert {kind for kinds in found.values() for kind in kinds} == {kind.__name__ for kind in get_args(Effect)}
    return found


def _performer(body: list[ast.stmt], methods: Mapping[str, ast.FunctionDef], kind: str) -> str:
    """The first part of the runner that is called for an effect, also through a method of its own."""
    if isinstance(body[0], ast.Pass):
        body = [statement for statement in methods["perform_all"].body if kind in ast.unparse(statement)]
    for node in (node for statement in body for node in ast.walk(statement)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=method)) if method in methods:
                return _performer(methods[method].body, methods, kind)
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr=part)):
                return part.lstrip("_")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=part)):
                return part.lstrip("_")
    return "finished"
