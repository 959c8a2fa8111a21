"""What comes back out of a strategy plugin, whatever a plugin raises, returns, sets or takes its time with."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from decimal import getcontext
from typing import Any

import pytest

from coldframe import CancelAll, hookimpl
from coldframe.core.strategies.runtime import INTENTS_PER_CALL
from coldframe.errors import InvariantBroken, PluginError, StrategyFault
from coldframe.plug.strategy_plugin import HOOK_BUDGET_NS, StrategyPlugin
from tests.core.told import D
from tests.plug.test_strategy_plugin import EVENT, INTENT, VIEW, made, nothing, plugin

# -- the fence --------------------------------------------------------------------------------------------------------


def raising(error: BaseException) -> Callable[..., None]:
    def raises(self: object) -> None:
        raise error

    return hookimpl(raises)


RAISED = [
    ValueError("no"), SystemExit(3), ZeroDivisionError(), MemoryError(), KeyboardInterrupt(), GeneratorExit(), StopIteration(),
    InvariantBroken("not the bot's"), PluginError("not the bot's"), StrategyFault("not the bot's"),
]  # fmt: skip


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_s1_what_a_hook_raises_is_a_fault_of_the_strategy(error: BaseException) -> None:
    for plugged in (plugin(made(on_book=raising(error))), plugin(made(), made(on_book=raising(error)), made(on_book=nothing))):
        with pytest.raises(StrategyFault, match=rf"^on_book: {type(error).__name__}: .*\(test_plugin_calls\.py:\d+\)$"):
            plugged.call("on_book", EVENT, VIEW)
    with pytest.raises(StrategyFault, match=rf"^review_intent: {type(error).__name__}: "):
        plugin(made(), made(review_intent=raising(error))).review(INTENT, VIEW)


def test_a_ctrl_c_is_no_fault_of_a_strategy() -> None:
    def interrupted(self: object) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        plugin(made(on_book=hookimpl(interrupted))).call("on_book", EVENT, VIEW)


def test_after_a_fault_the_plugin_can_be_called_again() -> None:
    fenced_plugin = plugin(made(on_book=raising(ValueError("no")), on_trade=nothing))
    with pytest.raises(StrategyFault):
        fenced_plugin.call("on_book", EVENT, VIEW)
    assert fenced_plugin.call("on_trade", EVENT, VIEW) == []


# -- several implementations ------------------------------------------------------------------------------------------


def digits(found: list[int]) -> object:
    """A plugin that notes how many digits it calculates with, and sets another number of them."""

    @hookimpl
    def on_book(self: object) -> None:
        found.append(getcontext().prec)
        getcontext().prec = 5

    @hookimpl
    def review_intent(self: object) -> None:
        found.append(getcontext().prec)
        getcontext().prec = 5

    return made(on_book=on_book, review_intent=review_intent)


def test_s12_no_plugin_changes_the_arithmetic_of_another_one() -> None:
    found: list[int] = []
    fenced_plugin = plugin(digits(found), digits(found), digits(found))
    for _ in range(2):
        fenced_plugin.call("on_book", EVENT, VIEW)
        fenced_plugin.review(INTENT, VIEW)
    assert found == [28] * 12
    assert getcontext().prec == 28


# -- the stopwatch ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("took", "named"), [(HOOK_BUDGET_NS, False), (HOOK_BUDGET_NS + 1, True)])
def test_s9_a_hook_over_its_budget_is_named(took: int, named: bool) -> None:
    times = iter([1_000, 1_000 + took])
    slow: list[object] = []
    fenced_plugin = plugin(made(on_book=nothing), stopwatch=lambda: next(times), on_slow=lambda *said: slow.append(said))
    fenced_plugin.call("on_book", EVENT, VIEW)
    assert slow == ([("mm", "on_book", took)] if named else [])


LIMIT_NS = 50_000_000


def timed(strategy: object, took_ns: int, slow: list[object]) -> StrategyPlugin:
    """A strategy plugin by whose stopwatch every call takes so long."""
    times = itertools.count(1_000, took_ns)
    return plugin(strategy, stopwatch=lambda: next(times), on_slow=lambda *said: slow.append(said), limit_ms=50)


@hookimpl
def objects(self: object) -> str:
    return "no"


@pytest.mark.parametrize("took", [0, LIMIT_NS, LIMIT_NS + 1, 90 * LIMIT_NS])
def test_s9_s13_a_hook_over_its_limit_is_a_fault(took: int) -> None:
    slow: list[object] = []
    fenced_plugin = timed(made(on_book=nothing, review_intent=objects), took, slow)
    if took <= LIMIT_NS:
        assert fenced_plugin.call("on_book", EVENT, VIEW) == []
        assert fenced_plugin.review(INTENT, VIEW) == "no"
        assert slow == ([("mm", "on_book", took), ("mm", "review_intent", took)] if took else [])
        return
    for hook, call in (
        ("on_book", lambda: fenced_plugin.call("on_book", EVENT, VIEW)),
        ("review_intent", lambda: fenced_plugin.review(INTENT, VIEW)),
    ):
        with pytest.raises(StrategyFault, match=f"^{hook}: it took {took // 10**6} ms, more than its hook_limit_ms of 50$"):
            call()
    assert slow == []


def test_s9_without_a_limit_a_hook_may_take_its_time() -> None:
    times = itertools.count(0, 10**12)
    assert plugin(made(on_book=nothing), stopwatch=lambda: next(times)).call("on_book", EVENT, VIEW) == []


# -- what is walked through -------------------------------------------------------------------------------------------


class Lying:
    """Says that it has so many, and never ends."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[object]:
        return itertools.repeat(INTENT)

    __length_hint__ = __len__


class Lengthless(Lying):
    def __len__(self) -> int:
        raise MemoryError


class Endless(list[object]):
    """A list that is walked through in its own way."""

    def __iter__(self) -> Iterator[object]:
        return itertools.repeat(INTENT)


class Shy:
    @property
    def __iter__(self) -> Any:
        raise AttributeError("not now")


def returning(value: object) -> object:
    def on_book(self: object) -> object:
        return value

    return made(on_book=hookimpl(on_book))


@pytest.mark.parametrize(
    "value",
    [Lying(3), Lying(0), Lying(10**15), Lying(-1), Lengthless(0), Endless(), Endless([INTENT])],
    ids=["3", "0", "huge", "negative", "raises", "list", "list of one"],
)
def test_s13_the_length_that_a_value_says_it_has_is_not_believed(value: object) -> None:
    wanted = plugin(returning(value)).call("on_book", EVENT, VIEW)
    assert wanted == [INTENT] * (INTENTS_PER_CALL + 1)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_s13_a_generator_that_raises_half_way_is_a_fault(error: type[BaseException]) -> None:
    def half() -> Iterator[object]:
        yield INTENT
        raise error

    with pytest.raises(StrategyFault, match=r"^on_book: \w+: "):
        plugin(returning(half())).call("on_book", EVENT, VIEW)


@pytest.mark.parametrize(("value", "count"), [([INTENT] * 100_000, 100_000), ((INTENT,) * 7, 7), ({INTENT}, 1), (range(3), 3)])
def test_lists_and_tuples_are_taken_whole(value: object, count: int) -> None:
    assert len(plugin(returning(value)).call("on_book", EVENT, VIEW)) == count


def test_what_is_taken_is_not_the_plugins_own_list() -> None:
    own = [INTENT]
    wanted = plugin(returning(own)).call("on_book", EVENT, VIEW)
    own.append(INTENT)
    assert wanted == [INTENT]


def test_what_cannot_be_walked_through_is_one_thing() -> None:
    shy = Shy()
    with pytest.raises(StrategyFault, match=r"^on_book: TypeError: "):
        plugin(returning(shy)).call("on_book", EVENT, VIEW)
    assert plugin(returning(D(5))).call("on_book", EVENT, VIEW) == [D(5)]


def wrapping(answer: Callable[[list[object]], object]) -> object:
    @hookimpl(wrapper=True)
    def on_book(self: object) -> Any:
        return answer((yield))

    return made(on_book=on_book)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (lambda came: came, [INTENT]),
        (lambda came: CancelAll(), [CancelAll()]),
        (lambda came: itertools.repeat(INTENT), [INTENT] * (INTENTS_PER_CALL + 1)),
        (lambda came: Lying(2), [INTENT] * (INTENTS_PER_CALL + 1)),
        (lambda came: [], []),
    ],
    ids=["passes", "one", "endless", "lies", "nothing"],
)
def test_s13_whatever_a_wrapper_makes_of_it(answer: Callable[[list[object]], object], wanted: list[object]) -> None:
    assert plugin(returning(INTENT), wrapping(answer)).call("on_book", EVENT, VIEW) == wanted


def test_s13_a_wrapper_that_returns_nothing_is_a_fault() -> None:
    with pytest.raises(StrategyFault, match=r"^on_book: TypeError: a wrapper returned nothing"):
        plugin(returning(INTENT), wrapping(lambda came: None)).call("on_book", EVENT, VIEW)


class Text(str):
    def __format__(self, spec: str) -> str:
        raise RuntimeError("no")

    def __str__(self) -> str:
        return self


@pytest.mark.parametrize(("answer", "said"), [(Text("no"), "no"), ("x" * 10**6, "x" * 300), (5, "5"), ("", "")])
def test_s13_an_objection_is_a_plain_text(answer: object, said: str) -> None:
    @hookimpl
    def review_intent(self: object) -> object:
        return answer

    against = plugin(made(review_intent=review_intent)).review(INTENT, VIEW)
    assert against == said
    assert type(against) is str
