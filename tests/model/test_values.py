"""Events, intents, inputs and effects: frozen values that can be compared, hashed, and printed without a secret."""

from __future__ import annotations

import inspect
from decimal import Decimal
from types import ModuleType
from typing import Any, get_args

import attrs
import pytest

from coldframe.model import effects, events, inputs, intents
from coldframe.model.effects import LinkKind, OpenLink
from coldframe.model.intents import ACCEPTED, NO_CHANGE, Quote, Quotes, Verdict, VerdictCode
from coldframe.plug.hookspecs import EVENT_HOOKS, StrategyHooks

UNIONS: list[tuple[ModuleType, Any]] = [
    (effects, effects.Effect),
    (events, events.StrategyEvent),
    (inputs, inputs.Input),
    (intents, intents.Intent),
]
VALUES = [kind for _, union in UNIONS for kind in get_args(union)]


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_s4_a_value_is_frozen_compared_and_documented(kind: type) -> None:
    assert attrs.has(kind)
    assert kind.__doc__ or kind.__name__ in ("LinkOpened",)
    names = [field.name for field in attrs.fields(kind)]
    made = kind(**dict.fromkeys(names, ())) if names else kind()
    assert made == kind(**dict.fromkeys(names, ()))
    assert hash(made) == hash(kind(**dict.fromkeys(names, ())))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(made, names[0], "other")


@pytest.mark.parametrize("kind", get_args(events.StrategyEvent), ids=lambda kind: kind.__name__)
def test_every_event_has_its_receive_time_and_no_float(kind: type) -> None:
    kinds = {field.name: field.type for field in attrs.fields(attrs.resolve_types(kind))}
    assert kinds["at_ns"] is int
    assert float not in kinds.values()
    assert kinds.get("event_ms", int) is int


def test_every_class_of_a_module_stands_in_its_union() -> None:
    beside = {"Stamped", "Quote", "Verdict", "LeverageBracket", "IndexWeight"}
    for module, union in UNIONS:
        classes = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__]
        made = {kind for kind in classes if attrs.has(kind)}
        assert {kind.__name__ for kind in made - set(get_args(union))} <= beside


def test_every_event_has_a_hook_and_every_hook_an_event() -> None:
    heard: set[type] = set()
    for name in EVENT_HOOKS:
        wanted = inspect.get_annotations(getattr(StrategyHooks, name), eval_str=True)["event"]
        heard |= set(get_args(wanted)) or {wanted}
    assert heard == set(get_args(events.StrategyEvent))


def test_the_path_of_a_link_is_not_printed() -> None:
    link = OpenLink("private.1", LinkKind.PRIVATE, "/private/ws/pqia91ma19a5s61cv6a81va65sdf19v8a65a1")
    assert "pqia91" not in repr(link)


def test_quotes_take_any_iterable_and_stay_comparable() -> None:
    level = Quote(Decimal("1.5"), Decimal(2))
    assert Quotes("BTCUSDT", [level], iter([level])) == Quotes("BTCUSDT", (level,), (level,))
    assert Quotes("BTCUSDT") == Quotes("BTCUSDT", (), ())


def test_only_two_verdicts_are_good_news() -> None:
    good = {code for code in VerdictCode if Verdict(code).accepted}
    assert good == {VerdictCode.ACCEPTED, VerdictCode.NO_CHANGE}
    assert ACCEPTED.accepted
    assert NO_CHANGE.accepted


def test_the_lanes_go_in_their_order() -> None:
    assert sorted(inputs.Lane) == [inputs.Lane.CONTROL, inputs.Lane.PRIVATE, inputs.Lane.MARKET]
