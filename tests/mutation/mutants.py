"""Every way in which one branch or comparison of a module can be wrong, and the code that comes of it.

A comparison becomes its neighbour (`<` and `<=`) or its opposite (`==` and `!=`), `and` becomes `or`, `not` is left out, and the
condition of a branch is turned round. Nothing is written to disk: a mutant is the code object of the function that holds it.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Final

import attrs

_INSTEAD: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
#: Conditions of a branch that are changed as what they are: a comparison, a negation.
_CHANGED_THEMSELVES: Final = (ast.Compare, ast.UnaryOp)
_FUNCTION: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


@attrs.frozen
class Mutant:
    """One change. `number` counts the changes of its module, `function` is the outermost function that holds it."""

    path: Path
    number: int
    line: int
    function: str
    before: str
    after: str

    @property
    def name(self) -> str:
        """What stays the same when lines move."""
        return f"{self.path.name}:{self.function}: {self.before} -> {self.after}"

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.function}: {self.before} -> {self.after}"


class _Changer(ast.NodeTransformer):
    """Visits every place that can be changed, in order; changes the one whose number is `chosen`."""

    def __init__(self, chosen: int | None = None) -> None:
        self._chosen = chosen
        self._functions: list[ast.AST] = []
        self._count = 0
        #: Line, function, text before and after of each place.
        self.places: list[tuple[int, str, str, str]] = []

    def visit(self, node: ast.AST) -> ast.AST:
        holds = isinstance(node, (*_FUNCTION, ast.ClassDef))
        if holds:
            self._functions.append(node)
        changed = self._changes(node) if self._inside else []
        result = node
        for new in changed:
            self.places.append((_line_of(node), self._outermost, ast.unparse(node), ast.unparse(new)))
            if self._count == self._chosen:
                result = new
            self._count += 1
        if result is node:
            self.generic_visit(node)
        if holds:
            self._functions.pop()
        return result

    @property
    def _inside(self) -> bool:
        return any(isinstance(holder, _FUNCTION) for holder in self._functions)

    @property
    def _outermost(self) -> str:
        """The qualified name of the outermost function: nested ones are part of its code."""
        names: list[str] = []
        for holder in self._functions:
            names.append(holder.name)  # type: ignore[attr-defined]
            if isinstance(holder, _FUNCTION):
                break
        return ".".join(names)

    def _changes(self, node: ast.AST) -> list[ast.AST]:
        match node:
            case ast.Compare(ops=[operator]) if type(operator) in _INSTEAD:
                new = copy.deepcopy(node)
                new.ops = [_INSTEAD[type(operator)]()]
                return [new]
            case ast.BoolOp():
                new = copy.deepcopy(node)
                new.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
                return [new]
            case ast.UnaryOp(op=ast.Not()):
                return [copy.deepcopy(node.operand)]
            case ast.If() | ast.IfExp() | ast.While() if not isinstance(node.test, _CHANGED_THEMSELVES):
                new = copy.deepcopy(node)
                new.test = _negated(node.test)
                return [new]
            case ast.comprehension(ifs=[condition]) if not isinstance(condition, _CHANGED_THEMSELVES):
                new = copy.deepcopy(node)
                new.ifs = [_negated(condition)]
                return [new]
            case ast.match_case(guard=ast.expr() as guard) if not isinstance(guard, _CHANGED_THEMSELVES):
                new = copy.deepcopy(node)
                new.guard = _negated(guard)
                return [new]
            case _:
                return []


def _negated(condition: ast.expr) -> ast.expr:
    return ast.copy_location(ast.UnaryOp(ast.Not(), copy.deepcopy(condition)), condition)


def _line_of(node: ast.AST) -> int:
    """The line of a change; filters of comprehensions and guards of cases have none of their own."""
    match node:
        case ast.comprehension(ifs=[condition, *_]):
            return condition.lineno
        case ast.match_case(guard=ast.expr() as guard):
            return guard.lineno
    return node.lineno  # type: ignore[attr-defined, no-any-return]


def mutants_of(path: Path) -> list[Mutant]:
    """All mutants of a module, in the order in which they stand there."""
    changer = _Changer()
    changer.visit(ast.parse(path.read_text()))
    return [
        Mutant(path, number, line, function, _short(before), _short(after))
        for number, (line, function, before, after) in enumerate(changer.places)
    ]


def code_of(mutant: Mutant) -> CodeType:
    """The changed code of the mutant's outermost function."""
    tree = _Changer(mutant.number).visit(ast.parse(mutant.path.read_text()))
    module = compile(ast.fix_missing_locations(tree), str(mutant.path), "exec")  # type: ignore[arg-type]
    return next(code for code in _codes(module) if code.co_qualname == mutant.function and _holds(code, mutant.line))


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _holds(code: CodeType, line: int) -> bool:
    lines = [number for each in (code, *_codes(code)) for _, _, number in each.co_lines() if number]
    return min(lines) <= line <= max(lines)


def _short(text: str) -> str:
    first = text.splitlines()[0]
    return first if len(first) <= 110 else first[:107] + "..."
