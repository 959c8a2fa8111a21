"""The run rules that a machine can check: sizes, the one clock, the two fences, nothing left lying about."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import attrs
import pytest

from tests.sources import nodes_of, text_of, tree_of

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*(ROOT / "framework").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
EVERYTHING = sorted([*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py"), *(ROOT / "docs").rglob("*.py")])
TEXTS = [
    *EVERYTHING,
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "configs").glob("*.toml"),
    ROOT / "pyproject.toml",
]

#: What knows no I/O, no clock and no chance; an import contract says the same of what it imports.
PURE = [
    path
    for folder in ("wire", "model", "core", "exchange")
    for path in sorted((ROOT / "framework/coldframe" / folder).rglob("*.py"))
]
#: Only this module may read a clock, and only these may print or catch everything.
CLOCK = ROOT / "framework/coldframe/trio_io/clock.py"
FENCES = {f"framework/coldframe/{file}": 1 for file in ("plug/fence.py", "cli.py", "exchange_server/links/http_server.py")}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def catches_everything(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")) for kind in kinds)


def reraises(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None


def over_one(target: ast.expr) -> list[int]:
    return [target.lineno] if isinstance(target, ast.Name) and target.id == "one" else []


def binds_one(node: ast.AST) -> bool:
    """Whether a node gives the name `one` to a value: a target of any kind, an argument, a capture, an alias."""
    match node:
        case ast.Name(id="one", ctx=ast.Store()) | ast.arg(arg="one") | ast.alias(asname="one"):
            return True
        case ast.MatchAs(name="one") | ast.MatchStar(name="one") | ast.MatchMapping(rest="one") | ast.ExceptHandler(name="one"):
            return True
        case _:
            return False


def by_kind(pattern: ast.pattern) -> bool:
    """Whether a pattern asks for a class or for a member of an enum: of those a closed set may be meant."""
    match pattern:
        case ast.MatchClass() | ast.MatchValue(value=ast.Attribute()):
            return True
        case ast.MatchOr(patterns=patterns):
            return all(map(by_kind, patterns))
        case ast.MatchAs(pattern=ast.pattern() as inner):
            return by_kind(inner)
        case _:
            return False


def lets_fall(found: ast.Match, lines: list[str]) -> bool:
    """Whether a `match` may let a value fall through that was forgotten.

    It has to end in a case for everything else. Where the others are classes or enum members, that case is `assert_never`, or a
    comment in it says what everything else is; and so it must where nothing is done.
    """
    *others, last = found.cases
    match last:
        case ast.match_case(pattern=ast.MatchAs(pattern=None, name=name), guard=None, body=body):
            said = any("# " in line for line in lines[last.pattern.lineno - 1 : body[-1].end_lineno])
            never = ast.unparse(body[0]) == f"assert_never({name})"
            silent = all(isinstance(statement, ast.Pass) for statement in body)
            return not never and not said and (silent or all(by_kind(case.pattern) for case in others))
        case _:
            return True


@attrs.frozen
class Facts:
    """What the rules ask about a module. Each is read once: the trees of all of them together would fill the memory."""

    documented: bool
    functions: list[tuple[str, int]]
    imports: set[str]
    attributes: set[str]
    calls: set[str]
    waits: list[int]
    fences: int
    loops_over_one: list[int]
    named_one: list[int]
    open_matches: list[int]


@cache
def facts(path: Path) -> Facts:
    tree, lines = tree_of(path), text_of(path).splitlines()
    found = Facts(bool(ast.get_docstring(tree)), [], set(), set(), set(), [], 0, [], [], [])
    fences = 0
    for node in ast.walk(tree):
        found.named_one.extend([getattr(node, "lineno", 0)] * binds_one(node))
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found.functions.append((node.name, (node.end_lineno or 0) - node.lineno + 1))
                found.waits.extend([node.lineno] * isinstance(node, ast.AsyncFunctionDef))
            case ast.Import(names=names):
                found.imports.update(alias.name for alias in names)
            case ast.ImportFrom(module=str(module)):
                found.imports.add(module)
            case ast.Attribute(attr=attribute):
                found.attributes.add(attribute)
            case ast.Call(func=ast.Name(id=called)):
                found.calls.add(called)
            case ast.Await() | ast.AsyncWith():
                found.waits.append(node.lineno)
            case ast.ExceptHandler():
                fences += catches_everything(node) and not reraises(node)
            case ast.For(target=target) | ast.AsyncFor(target=target):
                found.loops_over_one.extend(over_one(target))
                found.waits.extend([node.lineno] * isinstance(node, ast.AsyncFor))
            case ast.comprehension(target=target):
                found.loops_over_one.extend(over_one(target))
            case ast.Match():
                found.open_matches.extend([node.lineno] * lets_fall(node, lines))
            case _:
                pass  # no rule asks about the other nodes
    return attrs.evolve(found, fences=fences, named_one=sorted(found.named_one))


def breaking(paths: Iterable[Path], found: Callable[[Path], object]) -> dict[str, object]:
    """The files in which something is found that a rule forbids, each with what it is."""
    return {name(path): offence for path in paths if (offence := found(path))}


def test_files_stay_under_500_lines() -> None:
    assert breaking(EVERYTHING, lambda path: len(text_of(path).splitlines()) > 500) == {}


def test_functions_stay_under_60_lines() -> None:
    assert breaking(EVERYTHING, lambda path: [function for function, lines in facts(path).functions if lines > 60]) == {}


def test_most_functions_are_short() -> None:
    sizes = [lines for path in SOURCES for _, lines in facts(path).functions]
    assert sum(size <= 25 for size in sizes) / len(sizes) > 0.9


def test_modules_say_what_they_are() -> None:
    assert breaking(SOURCES, lambda path: not facts(path).documented) == {}


def clocks_read(path: Path) -> set[str]:
    return (facts(path).imports & {"time"}) | (facts(path).attributes & {"utcnow", "today", "perf_counter"})


def test_one_module_reads_clocks() -> None:
    assert set(breaking(SOURCES, clocks_read)) <= {name(CLOCK)}


def test_only_the_command_line_prints() -> None:
    assert breaking((path for path in SOURCES if path.name != "cli.py"), lambda path: facts(path).calls & {"print"}) == {}


def test_what_is_pure_waits_for_nothing_and_opens_nothing() -> None:
    """The import contract cannot see these: coroutines, and what the language opens without an import."""
    assert breaking(PURE, lambda path: facts(path).waits) == {}
    assert breaking(PURE, lambda path: facts(path).calls & {"open", "input", "__import__", "exec", "eval"}) == {}


def test_every_folder_of_modules_is_a_package() -> None:
    """Import contracts do not see what lies in a folder without `__init__.py`; a folder with nothing else is a leftover."""
    inside: dict[Path, set[str]] = {}
    for path in SOURCES:
        inside.setdefault(path.parent, set()).add(path.name)
    roots = {ROOT / "framework", ROOT / "plugins"}
    assert not [name(folder) for folder, files in inside.items() if folder not in roots and "__init__.py" not in files]
    assert not [name(folder) for folder, files in inside.items() if files == {"__init__.py"} and not any(folder.glob("*/*.py"))]


def test_there_are_three_fences() -> None:
    assert breaking(SOURCES, lambda path: facts(path).fences) == FENCES


#: What may not stand in any text, and what it is.
LYING_ABOUT = {
    "an open end": r"\b(TODO|FIXME|XXX|HACK)\b",
    "a path of a machine": r"(/home/|/root/|/tmp/|/work/|C:\\\\)",
    "an address of a registry": r"https?://[\w.-]*(pypi|pythonhosted|npmjs|simple/)",
}


def test_nothing_is_left_lying_about() -> None:
    def found(path: Path) -> list[str]:
        return [what for what, pattern in LYING_ABOUT.items() if re.search(pattern, text_of(path))]

    assert breaking((text for text in TEXTS if text != Path(__file__)), found) == {}


#: Prose that names no subject, and what it should have named; a sentence may go over lines, and over the marks of a comment.
VAGUE = {
    "who": r"(?<![A-Za-z])([Nn]obody|[Ss]omebody|[Ww]hoever|[Aa]nybody|[Ee]verybody|human being|(one|two) hands?)(?![a-rt-z])",
    "one of what": r"([.;:]|^|\"\"\")[\s#]*[Oo]ne[\s#]+(that|who|which|whose|can|may|must|has|is|does)\b",
    "not a valid what": r"(?<!here)(?<![\s#])[\s#]+(is|are)[\s#]+(none\b|no[\s#]+(?!longer|more|less|smaller|wider|other)\w)",
}
#: Every text but the decisions, which tell how it was, and the sentences that are planted here.
PROSE = [text for text in TEXTS if text != Path(__file__) and "decisions" not in text.parts]


def vague(text: str) -> list[str]:
    found = (re.search(pattern, text) for pattern in VAGUE.values())
    return [" ".join(match.group().split()) for match in found if match]


def test_sentences_name_their_subject() -> None:
    """The bot, the exchange, the order; and what is not valid is called so."""
    assert breaking(PROSE, lambda path: vague(text_of(path))) == {}


def said(path: Path) -> list[str]:
    """What users read of a file: the texts in code that are not docstrings, and documents as a whole."""
    if path.suffix != ".py":
        return [text_of(path)]
    texts = [node for node in nodes_of(path) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    lines = text_of(path).splitlines()
    # A docstring is the only text that begins a line; a text in a call or an assignment follows something, or is indented deeper.
    return [str(text.value) for text in texts if not lines[text.lineno - 1].lstrip().startswith('"""')]


AS_WE = re.compile(r"\b([Ww]e|us|[Oo]urs?)\b")


def speaks_as_we(path: Path) -> list[str]:
    if not AS_WE.search(text_of(path)):
        return []
    return [" ".join(text.split())[:80] for text in said(path) if AS_WE.search(text)]


def test_user_texts_speak_of_the_bot_and_the_exchange() -> None:
    """A reader cannot know who "we" is. The exchange's own texts and a story of changes stand as they are."""
    quoted = {"framework/coldframe/wire/codes.py", "docs/faults.md", "CHANGELOG.md"}
    microseconds = ("bench/", "tests/docs/test_bench.py")  # there, us is a unit
    read = [path for path in PROSE if name(path) not in quoted and not name(path).startswith(microseconds)]
    assert breaking(read, speaks_as_we) == {}


def test_we_is_seen_in_texts_and_not_in_docstrings(tmp_path: Path) -> None:
    (tmp_path / "said.py").write_text('"""We are here."""\nlog(f"{a}: we are banned")\nlog("where the power is")\n')
    assert speaks_as_we(tmp_path / "said.py") == [": we are banned"]
    (tmp_path / "said.md").write_text("It cancels our orders.")
    assert speaks_as_we(tmp_path / "said.md") == ["It cancels our orders."]


def test_vague_sentences_are_seen() -> None:
    assert vague("# A stream that nobody asked for.") == ["nobody"]
    assert vague("def test_somebody_listens(): ...") == ["somebody"]
    assert vague("Every position. One\n    # that is left") == [". One # that"]
    assert vague("what is no number, or a number that\n    # is none") == ["is no n"]
    assert vague('f"{path} is no file"') == ["is no f"]
    assert vague("There is no answer, and it is no longer wanted. One of them is the last one that came.") == []


def test_no_banned_module_names() -> None:
    banned = {"client", "manager", "handler", "utils", "helpers", "data", "common", "base"}
    assert not [name(path) for path in SOURCES if path.stem in banned]


def test_loop_variables_name_what_they_run_through() -> None:
    assert breaking(EVERYTHING, lambda path: facts(path).loops_over_one) == {}


def test_no_value_is_called_one() -> None:
    """The name of a value says what it is: an order, a row. That there is one of it says nothing."""
    assert breaking(EVERYTHING, lambda path: facts(path).named_one) == {}


def long_test_names(path: Path) -> list[str]:
    return [function for function, _ in facts(path).functions if function.startswith("test_") and len(function) > 60]


def test_test_names_have_at_most_60_characters() -> None:
    """A condition and an outcome: what needs more words belongs into the docstring."""
    assert breaking((path for path in EVERYTHING if path not in SOURCES), long_test_names) == {}


def test_no_match_lets_a_value_fall() -> None:
    """A member that a union gains is found by mypy, or by the first value: never by an order that nothing happens to."""
    assert breaking(SOURCES, lambda path: facts(path).open_matches) == {}


#: What lets real time pass, or measures it; and what says that a function runs on virtual time.
_PASSES = re.compile(r"(?<![\w.])((time|trio)\.)?(sleep|sleep_until|monotonic|perf_counter|move_on_after|move_on_at)\(")
_VIRTUAL = re.compile(r"MockClock|run_virtually|in_virtual_time|on virtual time")
#: Where real seconds pass on purpose, and why. The folders hold whole processes.
REAL = {
    "tests/scenes/": "processes have clocks of their own",
    "tests/campaigns/": "programs that run for as long as they are told",
    "tests/interop/": "clients of others have clocks of their own",
    "tests/waiting.py": "the one place that looks again and again until a condition holds",
    "tests/trio_io/test_kill_switch_orders.py": "the kill switch's thread has sockets of its own, whose patience is real",
}


def real_waits(path: Path) -> list[str]:
    """The functions of a test module in which real time passes, also within the text of a plugin."""
    if name(path).startswith(tuple(REAL)):
        return []
    if not _PASSES.search(text_of(path).replace("\\n", "\n")):
        return []
    blocks = tree_of(path).body
    texts = [(getattr(block, "name", f"line {block.lineno}"), ast.unparse(block).replace("\\n", "\n")) for block in blocks]
    return [block for block, text in texts if _PASSES.search(text) and not _VIRTUAL.search(text)]


def test_tests_wait_for_conditions_and_not_for_a_time() -> None:
    tests = (path for path in EVERYTHING if name(path).startswith("tests/") and path != Path(__file__))
    assert breaking(tests, real_waits) == {}


def test_a_wait_for_a_time_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    found = tmp_path / "test_found.py"
    lines = [
        "async def test_real() -> None:\n    await trio.sleep(1)",
        "def test_nothing_comes() -> None:\n    with trio.move_on_after(1):\n        pass",
        "PLUGIN = 'import time\\ntime.sleep(1)'",
        "def test_by_its_name() -> None:\n    sleep(1)",
        "async def test_virtual(autojump_clock: MockClock) -> None:\n    await trio.sleep(1)",
        "def play() -> None:\n    async def main() -> None:\n        await trio.sleep(1)\n    run_virtually(main)",
        "async def test_bounded() -> None:\n    with trio.fail_after(1):\n        await event.wait()",
    ]
    found.write_text("\n".join(lines))
    assert real_waits(found) == ["test_real", "test_nothing_comes", "line 6", "test_by_its_name"]


#: Names of tests, of 60 and of 61 characters.
LONG, TOO_LONG = (f"test_{'x' * length}" for length in (55, 56))
#: A module that breaks each rule that asks for facts.
UNTIDY = """
import time
from time import sleep
def long():
    try:
        print(time.perf_counter())
    except:
        pass
    try:
        open([one for one in ()])
    except Exception:
        raise
    for one in ():
        pass
async def waits():
    async with a:
        await b
    async for c in d:
        pass
def names(one, *, two: int) -> None:
    for key, one in a:
        one = key
    with open(key) as one:
        [lambda one: one, (one := two)]
    match two:
        case [one, *_]:
            pass
        case {"key": 1, **one}:
            pass
def falls(what):
    match what:
        case Place():
            return 1
        case Cancel() | Side.BUY if what:
            return 2
        case _:
            return 3
    match what:
        case "text":
            return 4
        case _:
            pass
def falls_not(what):
    match what:
        case Place() as place:
            return 5
        case _:  # nothing else costs anything
            return 6
    match what:
        case Place():
            return 7
        case unknown:
            assert_never(unknown)
    match what:
        case "text":
            return 8
        case _:
            return 9
"""


def test_the_rules_see_what_they_forbid(tmp_path: Path) -> None:
    (tmp_path / "untidy.py").write_text(UNTIDY + f"def {TOO_LONG}():\n    pass\nasync def {LONG}():\n    pass\n")
    assert facts(tmp_path / "untidy.py") == Facts(
        documented=False,
        functions=[("long", 11), ("waits", 5), ("names", 10), ("falls", 13), ("falls_not", 16), (TOO_LONG, 2), (LONG, 2)],
        imports={"time"},
        attributes={"perf_counter", "BUY"},
        calls={"print", "open", "assert_never"},
        waits=[15, 61, 16, 18, 17],
        fences=1,
        loops_over_one=[13, 10],
        named_one=[10, 13, 20, 21, 22, 23, 24, 24, 26, 28],
        open_matches=[25, 31, 38],
    )
    assert long_test_names(tmp_path / "untidy.py") == [TOO_LONG]
