"""The form of intents: whatever a strategy puts into one, it is judged or named, and nothing raises."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.strategies.intent_validation import fault_of
from coldframe.core.strategies.runtime import is_intent
from coldframe.enums import OrderType, PositionSide, SelfTradePrevention, Side, TimeInForce, WorkingType
from coldframe.model.intents import Amend, Cancel, CancelAll, Intent, Place, Quote, Quotes, SaveState, Target, WakeMe
from tests.core.told import D, place

GOOD: list[Intent] = [
    place(),
    place(Side.SELL, price=None),
    attrs.evolve(
        place(),
        time_in_force=TimeInForce.GTD,
        good_till_ms=1_700_000_000_000,
        position_side=PositionSide.LONG,
        self_trade_prevention=SelfTradePrevention.EXPIRE_BOTH,
    ),
    attrs.evolve(
        place(price=None),
        type=OrderType.TRAILING_STOP_MARKET,
        callback_rate=D("0.5"),
        activate_price=D(90),
        working_type=WorkingType.MARK_PRICE,
        price_protect=True,
    ),
    Amend("cf.mm.0.1", D("1.5"), None),
    Amend("cf.mm.0.1"),
    Cancel("cf.mm.0.1"),
    CancelAll(),
    CancelAll("BTCUSDT"),
    WakeMe(0),
    WakeMe(1_000, "tick"),
    SaveState(None),
    SaveState({"a": [D("1.5"), True]}),
    Quotes("BTCUSDT"),
    Quotes("BTCUSDT", [Quote(D(1), D(2))], [Quote(D(3), D(0))]),
    Target("BTCUSDT", D("-0.5")),
    Target("BTCUSDT", D(0), D(0)),
    Target("BTCUSDT", D(0), tag="x" * 64),
    Quotes("BTCUSDT", tag=" edge=0.5 [a, b]"),
    place(tag="~"),
]


class Nasty:
    """Raises whatever is asked of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


class Sly(type):
    """A class that raises when it is compared, or looked up."""

    def __eq__(cls, other: object) -> bool:
        raise RuntimeError("no")

    def __hash__(cls) -> int:
        raise RuntimeError("no")


class Slyest(metaclass=Sly):
    pass


GARBAGE: list[object] = [
    Slyest(),
    Slyest,
    None,
    1.5,
    float("nan"),
    -1,
    True,
    "BUY",
    "NaN",
    b"x",
    [],
    {},
    (),
    (None,),
    (Quote(1.5, 2.5),),  # type: ignore[arg-type]
    (Quote(D("NaN"), D(1)),),
    D("NaN"),
    D("sNaN"),
    D("-Infinity"),
    D("1e18"),
    D("1e999999"),
    D("1e-999999"),
    10**400,
    Side("SIDEWAYS"),
    OrderType("FOO"),
    object(),
    Nasty(),
    Nasty,
    lambda: None,
]


@pytest.mark.parametrize("intent", GOOD, ids=lambda intent: type(intent).__name__)
def test_a_proper_intent_has_no_fault(intent: Intent) -> None:
    assert fault_of(intent) is None


#: What is legal although it is on the list of garbage: texts where one is wanted, and so on.
FINE: dict[str, tuple[type, ...]] = {
    "symbol": (str, type(None)),
    "client_order_id": (str,),
    "key": (str,),
    "tag": (str,),
    "price": (type(None),),
    "quantity": (type(None),),
    "post_only": (bool,),
    "reduce_only": (bool,),
    "bids": (tuple,),
    "asks": (tuple,),
    "good_till_ms": (type(None),),
    "self_trade_prevention": (type(None),),
    "trigger_price": (type(None),),
    "activate_price": (type(None),),
    "callback_rate": (type(None),),
    "price_protect": (bool,),
    "close_position": (bool,),
}


# What may be saved is of many types: tests/model/test_saved_state.py has what may not.
@pytest.mark.parametrize("kind", [kind for kind in get_args(Intent) if kind is not SaveState], ids=lambda kind: kind.__name__)
def test_s3_garbage_in_any_field_is_named_and_nothing_raises(kind: type[Any]) -> None:
    good = next(intent for intent in GOOD if type(intent) is kind)
    named = 0
    for field in attrs.fields(kind):
        for garbage in GARBAGE:
            made = attrs.evolve(good)
            object.__setattr__(made, field.name, garbage)
            fault = fault_of(made)
            if fault is None:
                # A negative number is a number: whether it makes sense is judged later.
                assert isinstance(garbage, (*FINE.get(field.name, ()), Decimal)), (field.name, type(garbage))
            else:
                named += 1
                assert re.match(rf"{kind.__name__}\.{field.name}(\[\d\]\.?\w*)? must be ", fault)
                assert "\n" not in fault
                assert len(fault) < 200
    assert named >= 20 * len(attrs.fields(kind))


def test_a_subclass_of_an_intent_is_none() -> None:
    class Sly(Cancel):
        pass

    assert fault_of(Sly("x")) == "Sly is not an intent"
    assert not is_intent(Sly("x"))


class Disguised:
    """Says that it is an intent."""

    @property
    def __class__(self) -> Any:
        return Place


class Everything(str):
    """A text that equals every other one."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("BTCUSDT")


class Zero(Decimal):
    """A number that is less than every other one."""

    def __gt__(self, other: object) -> bool:
        return False

    __ge__ = __gt__


def double(word: Any) -> Any:
    """A value of the class of an enum that compares like a member, and is not a member."""
    return str.__new__(type(word), str(word))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"symbol": Everything("ETHUSDT")}, "Place.symbol must be a printable text of a sane length, not a Everything"),
        ({"symbol": "X" * 201}, "Place.symbol must be a printable text"),
        ({"symbol": "BTC\ud800"}, "Place.symbol must be a printable text"),
        ({"symbol": "BTC\nUSDT"}, "Place.symbol must be a printable text"),
        ({"quantity": Zero(5)}, "Place.quantity must be a finite Decimal, not a Zero"),
        ({"quantity": D("1." + "3" * 60)}, "Place.quantity must be a Decimal of a sane size"),
        ({"price": D("1." + "3" * 10**6)}, "Place.price must be a Decimal of a sane size"),
        ({"side": double(Side.SELL)}, "Place.side must be one of BUY, SELL"),
        ({"type": double(OrderType.MARKET)}, "Place.type must be one of LIMIT"),
        ({"reduce_only": 1}, "Place.reduce_only must be True or False"),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_s3_what_only_looks_like_a_value_is_none(change: dict[str, Any], fault: str) -> None:
    said = fault_of(attrs.evolve(place(), **change))
    assert said is not None
    assert said.startswith(fault)
    assert len(said) < 200


def test_s3_what_only_says_that_it_is_an_intent_is_none() -> None:
    assert isinstance(Disguised(), Place)
    assert not is_intent(Disguised())


def test_s3_more_levels_than_are_sane_are_refused() -> None:
    level = Quote(D(1), D(1))
    assert fault_of(Quotes("BTCUSDT", [level] * 100, [level] * 100)) is None
    assert fault_of(Quotes("BTCUSDT", [], [level] * 101)) == "Quotes.asks must be at most 100 quotes, not a tuple"


@given(st.decimals(allow_nan=True, allow_infinity=True))
def test_a_number_that_passes_can_be_calculated_with(number: Decimal) -> None:
    wanted: Place = attrs.evolve(place(), quantity=number)
    if fault_of(wanted) is None:
        assert number * D("123456789.12345678") * D(10) ** 18 + number is not None
        assert len(format(number, "f")) < 4_000


@pytest.mark.parametrize(("length", "good"), [(200, True), (201, False)])
def test_a_text_has_a_longest_length(length: int, good: bool) -> None:
    assert (fault_of(CancelAll("X" * length)) is None) is good
    assert (fault_of(Cancel("X" * length)) is None) is good


@pytest.mark.parametrize("tag", ["x" * 65, "x" * 1_000_000, "a\nb", "\t", "\x7f", "Öl", "\u202e", "😀", b"x", None, 1, ["x"]])
@pytest.mark.parametrize("intent", [place(), Quotes("BTCUSDT"), Target("BTCUSDT", D(1))], ids=lambda intent: type(intent).__name__)
def test_a_tag_is_a_short_line_of_ascii(intent: Place | Quotes | Target, tag: Any) -> None:
    fault = fault_of(attrs.evolve(intent, tag=tag))
    assert fault is not None
    assert fault.startswith(f"{type(intent).__name__}.tag must be a text of at most 64 printable ASCII characters, not ")
    assert len(fault) < 150
    assert fault.isprintable()


@pytest.mark.parametrize("value", [1.5, {"a": [float("nan")]}, Slyest(), {1: 1}, Nasty(), "x" * 10_000])
def test_what_cannot_be_saved_is_malformed_and_named(value: Any) -> None:
    fault = fault_of(SaveState(value))
    assert fault is not None
    assert re.match(r"SaveState\.value(\['a'\]\[0\])? must (be|have) ", fault)
    assert len(fault) < 200
    assert fault.isprintable()


def test_no_code_of_a_class_tells_whether_it_is_an_intent() -> None:
    assert not is_intent(Slyest())
    assert not is_intent(Slyest)
    assert [is_intent(intent) for intent in GOOD] == [True] * len(GOOD)
