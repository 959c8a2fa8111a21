"""A strategy plugin calls hooks exactly as pluggy would, only faster, and refuses what would never be called or could not be."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import pluggy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe import CancelAll, WakeMe, hookimpl
from coldframe.core.strategies.runtime import INTENTS_PER_CALL, OnError
from coldframe.errors import PluginError, StrategyFault
from coldframe.model.events import Started
from coldframe.model.intents import Intent
from coldframe.plug.hookspecs import EVENT_HOOKS, PROJECT, StrategyHooks
from coldframe.plug.strategy_plugin import StrategyPlugin
from tests.core.told import D, place

#: A strategy plugin passes event and view on and never looks at them.
EVENT: Any = Started(5)
VIEW: Any = object()
INTENT = place()


def plugin(strategy: object, *overlays: object, **more: Any) -> StrategyPlugin:
    return StrategyPlugin("mm", ("BTCUSDT",), OnError.QUARANTINE, strategy, overlays, **more)


def refusal(*plugins: object) -> str:
    with pytest.raises(PluginError) as refused:
        plugin(*plugins)
    said = str(refused.value)
    assert len(said.splitlines()) == 1
    assert " at 0x" not in said
    return said


def made(**methods: Any) -> object:
    """An instance of a class called Mine with these methods."""
    return type("Mine", (), methods)()


@hookimpl
def nothing(self: object) -> None: ...


# -- what is refused --------------------------------------------------------------------------------------------------


@hookimpl
async def late(self: object, event: object) -> None: ...


@hookimpl
async def endless(self: object, event: object) -> Any:
    yield 1


@hookimpl
def curious(self: object, event: object, account: object) -> None: ...


@hookimpl
def misnamed(self: object, evt: object) -> None: ...


@hookimpl
def selfless(event: object, view: object) -> None: ...


@hookimpl
def by_keyword(self: object, event: object, *, view: object) -> None: ...


@hookimpl
def defaulted(self: object, event: object, view: object = None) -> None: ...


@hookimpl
def all_defaulted(self: object, event: object = None, view: object = None, depth: int = 5) -> None: ...


@hookimpl
def reviewing(self: object, intent: object, view: object = None) -> None: ...


@hookimpl(wrapper=True)
def defaulted_around(self: object, event: object = None) -> Any:
    return (yield)


@hookimpl(wrapper=True)
def around(self: object, event: object, view: object) -> Any:
    return (yield)


@hookimpl
def default_keyword(self: object, event: object, *, view: object = None) -> None: ...


@hookimpl
def anything(self: object, *args: object) -> None: ...


@hookimpl
def by_name(self: object, event: object, **more: object) -> None: ...


@hookimpl(wrapper=True)
def straight(self: object, event: object) -> None: ...


@hookimpl(specname="on_bok")
def elsewhere(self: object, event: object) -> None: ...


def unmarked(self: object, event: object, view: object) -> None: ...


NEVER_FILLED = "which nothing is ever put into: name event and view, or intent and view"


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        ({"on_book": late}, "late is asynchronous; hooks are plain functions"),
        ({"on_book": endless}, "endless is asynchronous; hooks are plain functions"),
        ({"on_book": curious}, "on_book takes account, but a hook gets event and view"),
        ({"on_book": misnamed}, "on_book takes evt, but a hook gets event and view"),
        ({"review_intent": misnamed}, "review_intent takes evt, but a hook gets intent and view"),
        ({"on_book": selfless}, "selfless lacks self as its first argument"),
        (
            {"on_book": by_keyword},
            "by_keyword takes an argument by keyword only;"
            " hooks are called with event and view, or intent and view, in their places",
        ),
        ({"on_book": anything}, f"anything takes *args, {NEVER_FILLED}"),
        ({"on_book": by_name}, f"by_name takes **more, {NEVER_FILLED}"),
        ({"on_book": straight}, "on_book: Declared as wrapper=True or hookwrapper=True but function is not a generator function"),
        ({"on_book": unmarked}, "on_book lacks its @hookimpl and would never be called"),
        ({"on_book": classmethod(unmarked)}, "on_book lacks its @hookimpl and would never be called"),
        ({"review_intent": unmarked}, "review_intent lacks its @hookimpl and would never be called"),
        ({"on_bok": nothing}, "there is no hook on_bok (did you mean on_book?)"),
        ({"on_bok": unmarked}, "there is no hook on_bok (did you mean on_book?)"),
        ({"on_trades": unmarked}, "there is no hook on_trades (did you mean on_trade?)"),
        ({"on_zzzzzz": unmarked}, "there is no hook on_zzzzzz"),
        ({"bok": nothing}, "there is no hook bok (did you mean on_book?)"),
        ({"anything": elsewhere}, "there is no hook on_bok (did you mean on_book?)"),
        ({"reveiw_intent": nothing}, "there is no hook reveiw_intent (did you mean review_intent?)"),
        ({"review_intents": unmarked}, "there is no hook review_intents (did you mean review_intent?)"),
        ({"provide_strategies": nothing}, "there is no hook provide_strategies"),
        ({"__str__": nothing}, "there is no hook __str__"),
    ],
)
def test_s8_an_implementation_that_does_not_fit(methods: dict[str, Any], sentence: str) -> None:
    assert refusal(made(**methods)) == f"plugin Mine: {sentence}"
    # An overlay is looked at like a strategy.
    assert refusal(made(on_trade=nothing), made(**methods)) == f"plugin Mine: {sentence}"


@pytest.mark.parametrize(
    ("methods", "named"),
    [
        ({"on_book": defaulted}, "defaulted gives view"),
        ({"on_book": all_defaulted}, "all_defaulted gives event and view"),
        ({"on_book": defaulted_around}, "defaulted_around gives event"),
        ({"review_intent": reviewing}, "reviewing gives view"),
        ({"on_book": default_keyword}, "default_keyword gives view"),
    ],
)
def test_s14_an_argument_with_a_default_value_is_refused(methods: dict[str, Any], named: str) -> None:
    """Which of the two values arrives depends on pluggy's version, and on whether an overlay wraps the hook."""
    sentence = f"plugin Mine: {named} a default value; it may ask for an argument or leave it out"
    for plugins in ([made(**methods)], [made(on_book=nothing), made(**methods)], [made(on_book=around), made(**methods)]):
        assert refusal(*plugins) == sentence


@pytest.mark.parametrize("hook", sorted(EVENT_HOOKS | {"review_intent"}))
def test_every_hook_with_a_letter_missing_is_recognised(hook: str) -> None:
    for at in range(3, len(hook)):
        wrong = hook[:at] + hook[at + 1 :]
        for method in (nothing, unmarked):
            if wrong.startswith(("on_", "review")) and wrong not in EVENT_HOOKS:
                assert f"there is no hook {wrong} (did you mean" in refusal(made(**{wrong: method}))


def test_what_is_no_hook_is_left_alone() -> None:
    fine = made(
        on_book=nothing, online=unmarked, _on_trade=unmarked, review=unmarked, on_trade=None, on_air=True, book=unmarked, once=5
    )
    assert plugin(fine).hooks == {"on_book"}


def test_properties_are_not_asked_for_their_value() -> None:
    """A strategy's may work only once it runs."""

    class Mine:
        on_book = nothing

        @property
        def mid(self) -> None:
            raise AttributeError("no book yet")

        @property
        def on_trade(self) -> None:
            raise AttributeError("nor a trade")

        @functools.cached_property
        def first(self) -> None:
            raise AttributeError("nor a first one")

    assert plugin(Mine()).hooks == {"on_book"}


def test_one_overlay_twice() -> None:
    strategy = made(on_book=nothing)
    sentence = "plugin Mine: the same overlay with the same parameters stands here twice"
    assert refusal(made(on_book=nothing), strategy, strategy) == sentence


# -- what is called ---------------------------------------------------------------------------------------------------


def test_the_hooks_are_those_of_strategy_and_overlays() -> None:
    wrapper = plugin(made(on_book=nothing, on_start=nothing), made(on_fill=nothing), made(review_intent=nothing))
    assert wrapper.hooks == {"on_book", "on_start", "on_fill"}
    assert (wrapper.id, wrapper.symbols, wrapper.on_error) == ("mm", ("BTCUSDT",), OnError.QUARANTINE)
    assert plugin(made()).hooks == frozenset()


def test_arguments_in_any_order_and_any_number() -> None:
    def both(self: object, event: object, view: object) -> object:
        return [("both", event, view)]

    def turned(self: object, view: object, event: object) -> object:
        return [("turned", view, event)]

    def event_only(self: object, event: object) -> object:
        return [("event", event)]

    def view_only(self: object, view: object) -> object:
        return [("view", view)]

    def none(self: object) -> object:
        return [("none",)]

    def wider(self: object, event: object, view: object, depth: int = 5) -> object:
        return [("wider", event, view, depth)]

    def by_keyword(self: object, event: object, *, depth: int = 5) -> object:
        return [("by_keyword", event, depth)]

    def static(event: object) -> object:
        return [("static", event)]

    functions: list[tuple[Any, tuple[object, ...]]] = [
        (both, ("both", EVENT, VIEW)),
        (turned, ("turned", VIEW, EVENT)),
        (event_only, ("event", EVENT)),
        (view_only, ("view", VIEW)),
        (none, ("none",)),
        (wider, ("wider", EVENT, VIEW, 5)),
        (by_keyword, ("by_keyword", EVENT, 5)),
        (staticmethod(static), ("static", EVENT)),
    ]
    for function, said in functions:
        assert plugin(made(on_book=hookimpl(function))).call("on_book", EVENT, VIEW) == [said]
        wrapped = plugin(made(on_book=hookimpl(function)), made(on_book=around))
        assert wrapped.call("on_book", EVENT, VIEW) == [said]


@pytest.mark.parametrize(
    ("returned", "wanted"),
    [
        (None, []),
        (INTENT, [INTENT]),
        ([INTENT, None], [INTENT, None]),
        ((), []),
        ((INTENT, CancelAll()), [INTENT, CancelAll()]),
        (5, [5]),
        (D("NaN"), [D("NaN")]),
        (iter([INTENT]), [INTENT]),
    ],
)
def test_nothing_one_thing_or_several(returned: object, wanted: list[object]) -> None:
    def on_book(self: object) -> object:
        return returned

    assert list(map(str, plugin(made(on_book=hookimpl(on_book))).call("on_book", EVENT, VIEW))) == list(map(str, wanted))


def test_s3_generator_is_read_as_a_list_an_endless_list_is_cut() -> None:
    def few(self: object) -> Iterator[Intent]:
        yield INTENT
        yield CancelAll()

    def many(self: object) -> Iterator[Intent]:
        return itertools.repeat(INTENT)

    def failing(self: object) -> Iterator[Intent]:
        yield INTENT
        raise ValueError("half way")

    assert plugin(made(on_book=hookimpl(few))).call("on_book", EVENT, VIEW) == [INTENT, CancelAll()]
    # One too many is enough for the engine to see that something has run wild.
    assert plugin(made(on_book=hookimpl(many))).call("on_book", EVENT, VIEW) == [INTENT] * (INTENTS_PER_CALL + 1)
    with pytest.raises(StrategyFault, match=r"^on_book: ValueError: half way \(test_strategy_plugin\.py:\d+\)$"):
        plugin(made(on_book=hookimpl(failing))).call("on_book", EVENT, VIEW)


def test_a_list_is_taken_whole_however_long() -> None:
    """Each of its intents gets its verdict."""

    def on_book(self: object) -> object:
        return [INTENT] * 500

    assert len(plugin(made(on_book=hookimpl(on_book))).call("on_book", EVENT, VIEW)) == 500


ARGUMENTS = [("event", "view"), ("view", "event"), ("event",), ("view",), ()]
RETURNS = st.sampled_from([None, INTENT, [], [INTENT], (CancelAll(), INTENT), [None], WakeMe(5), "text", 0])
PLUGINS = st.lists(
    st.tuples(st.sampled_from(ARGUMENTS), RETURNS, st.sampled_from(["", "tryfirst", "trylast", "wrapper", "absent"])),
    min_size=1,
    max_size=6,
)


def implementation(number: int, names: tuple[str, ...], returned: object, mode: str, log: list[object]) -> object:
    """A plugin whose on_book notes that it was called, and with what."""
    body = f"    log.append(({number}, {', '.join(names)}{',' if names else ''}))\n"
    if mode == "wrapper":
        body += f"    came = yield\n    log.append(({number}, 'after'))\n    return [*came, {number}]\n"
    else:
        body += "    return returned\n"
    space: dict[str, Any] = {"log": log, "returned": returned}
    exec(f"def on_book(self, {', '.join(names)}):\n{body}", space)
    mark = hookimpl(tryfirst=mode == "tryfirst", trylast=mode == "trylast", wrapper=mode == "wrapper")
    return made(on_book=mark(space["on_book"])) if mode != "absent" else made()


def flat(results: list[object]) -> list[object]:
    """What pluggy returns, as one list."""
    wanted: list[object] = []
    for result in results:
        wanted += result if isinstance(result, list | tuple) else [result] if result is not None else []
    return wanted


@given(PLUGINS)
def test_a_call_is_what_pluggy_would_have_called(plugins: list[tuple[tuple[str, ...], object, str]]) -> None:
    """The same implementations, in the same order, with the same arguments, and the same results."""
    ours: list[object] = []
    theirs: list[object] = []
    mine = plugin(*(implementation(number, *parts, ours) for number, parts in enumerate(plugins)))
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(StrategyHooks)
    for number, parts in enumerate(plugins):
        manager.register(implementation(number, *parts, theirs))
    expected = manager.hook.on_book(event=EVENT, view=VIEW)
    if all(mode == "absent" for _, _, mode in plugins):
        assert "on_book" not in mine.hooks
        return
    assert mine.call("on_book", EVENT, VIEW) == flat(expected)
    assert ours == theirs


def test_a_wrapper_sees_what_came_and_may_change_it() -> None:
    class Strategy:
        @hookimpl
        def on_book(self) -> object:
            return [INTENT, CancelAll()]

    class Overlay:
        @hookimpl(wrapper=True)
        def on_book(self, event: object) -> Any:
            came = yield
            return [[quote for quote in wanted if isinstance(quote, CancelAll)] for wanted in came]

    class Old:
        @hookimpl(hookwrapper=True)
        def on_book(self) -> Any:
            outcome = yield
            outcome.force_result([*outcome.get_result(), WakeMe(7)])

    assert plugin(Strategy(), Overlay()).call("on_book", EVENT, VIEW) == [CancelAll()]
    assert plugin(Strategy(), Overlay(), Old()).call("on_book", EVENT, VIEW) == [CancelAll(), WakeMe(7)]


def test_a_wrapper_sees_what_was_raised_and_may_put_up_with_it() -> None:
    class Strategy:
        @hookimpl
        def on_book(self) -> object:
            raise ValueError("too late")

    class Overlay:
        @hookimpl(wrapper=True)
        def on_book(self) -> Any:
            try:
                return (yield)
            except ValueError:
                return [CancelAll()]

    assert plugin(Strategy(), Overlay()).call("on_book", EVENT, VIEW) == [CancelAll()]


# -- reviews ----------------------------------------------------------------------------------------------------------


def reviewer(answer: object, asked: list[object]) -> object:
    def review_intent(self: object, intent: Intent, view: object) -> object:
        assert view is VIEW
        asked.append((answer, intent))
        return answer

    return made(review_intent=hookimpl(review_intent))


def test_the_first_overlay_that_objects_is_the_last_one_asked() -> None:
    asked: list[object] = []
    wrapper = plugin(made(on_book=nothing), *(reviewer(answer, asked) for answer in ("first", None, "third", None)))
    assert wrapper.review(INTENT, VIEW) == "third"
    assert asked == [(None, INTENT), ("third", INTENT)]


def test_an_intent_without_objection_passes() -> None:
    asked: list[object] = []
    assert plugin(made(), reviewer(None, asked), reviewer(None, asked)).review(INTENT, VIEW) is None
    assert len(asked) == 2
    assert plugin(made(on_book=nothing)).review(INTENT, VIEW) is None


def test_a_strategy_may_review_itself() -> None:
    assert plugin(reviewer("not me", [])).review(INTENT, VIEW) == "not me"


def test_objection_is_shown_as_text_and_without_text_is_a_fault() -> None:
    class Wordless:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    assert plugin(made(), reviewer(D("1.50"), [])).review(INTENT, VIEW) == "1.50"
    with pytest.raises(StrategyFault, match=r"^review_intent: RuntimeError: no words"):
        plugin(made(), reviewer(Wordless(), [])).review(INTENT, VIEW)
