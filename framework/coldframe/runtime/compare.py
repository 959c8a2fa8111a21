"""Two runs side by side: what they are made of, where they first differ, and what the difference is in money.

Money is exact and adds up. What an order has come to is its cash and what it left in the position, valued at the last price at
which the run has traded that symbol; the sum over all orders is the profit before fees and funding. The difference of two runs is
therefore the sum of the differences of their orders: the same fills at other prices, the same fills with other fees, or fills that
only one of them has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import zip_longest
from typing import Any, Final

import attrs

from coldframe.enums import Side
from coldframe.errors import ConfigError
from coldframe.ids import parse_own
from coldframe.model.journal import Row, RowKind
from coldframe.model.orders import OrderState
from coldframe.runtime.made_of import MADE_OF
from coldframe.units import ZERO, plain

#: What a run's beginning says of it that another run may say differently, beside what it is made of.
_FACTS: Final = ("version", "environment", "orders_mode")
#: How the exchange ends an order that it does not take.
_REFUSED: Final = (OrderState.REJECTED.value, OrderState.EXPIRED.value)
#: A place in a run: which strategy's order, and its number.
OrderKey = tuple[str, int]


@attrs.frozen
class RunEvent:
    """Something that a strategy wanted or got: what, and when (our time, ns)."""

    at_ns: int
    strategy: str
    kind: str
    text: str


@attrs.define
class OrderWorth:
    """What an order has come to: cash and position of its fills, and their fees, by asset."""

    symbol: str
    cash: Decimal = ZERO
    quantity: Decimal = ZERO
    fees: Decimal = ZERO


@attrs.define
class ReadRun:
    """What a journal tells of its last run."""

    name: str
    about: Mapping[str, Any] = attrs.field(factory=dict)
    events: list[RunEvent] = attrs.field(factory=list)
    orders: dict[OrderKey, OrderWorth] = attrs.field(factory=dict)
    funding: Decimal = ZERO
    #: By symbol, the price of the last fill.
    last_prices: dict[str, Decimal] = attrs.field(factory=dict)
    #: Fees and funding in another asset than a dollar: they are not part of the money here.
    other_assets: set[str] = attrs.field(factory=set)

    def worth(self, key: OrderKey) -> Decimal:
        """What an order has come to before its fees; nothing for one that has no fill."""
        order = self.orders.get(key)
        return ZERO if order is None else order.cash + order.quantity * self.last_prices[order.symbol]

    def fees(self, key: OrderKey) -> Decimal:
        return ZERO if (order := self.orders.get(key)) is None else order.fees

    @property
    def profit(self) -> Decimal:
        """After fees, with funding; positions that are left count at the last price."""
        return sum((self.worth(key) - order.fees for key, order in self.orders.items()), self.funding)


def told_by(name: str, rows: Iterable[Row]) -> ReadRun:
    """Reads the last run of a journal. Raises `ConfigError` when there is none."""
    told: ReadRun | None = None
    for row in rows:
        if row.kind == RowKind.RUN:
            told = ReadRun(name, row.body)
        elif told is not None:
            _take_row(told, row)
    if told is None:
        raise ConfigError(f"{name}: holds no run")
    return told


def _take_row(told: ReadRun, row: Row) -> None:
    body: Mapping[str, Any] = row.body
    match row.kind:
        case RowKind.INTENT:
            text = f"{body['intent']} {_terms(body['terms'])}: {body['verdict']}"
            told.events.append(RunEvent(row.at_ns, body["strategy"], "decision", text))
        case RowKind.REFUSED:
            text = f"{body['intent']} {_terms(body['terms'])}: {body['verdict']}"
            told.events.append(RunEvent(row.at_ns, body["strategy"], "refusal", text))
        case RowKind.ORDER if body["state"] in _REFUSED:
            text = f"order {_nth(row.ref)} is {body['state']}: {body.get('reason', '')}"
            told.events.append(RunEvent(row.at_ns, body["strategy"], "refusal", text))
        case RowKind.FILL:
            quantity, price = (plain(Decimal(body["fill"][name])) for name in ("quantity", "price"))
            text = f"order {_nth(row.ref)} is filled: {body['fill']['side']} {quantity} @ {price}"
            told.events.append(RunEvent(row.at_ns, body["strategy"], "fill", text))
            _take_fill(told, body)
        case RowKind.FEE:
            _take_fee(told, body["order"], body["fill"])
        case RowKind.BOOKING if "funding" in body:
            told.funding += _dollars(told, body["funding"], body["asset"])
        case _:
            pass  # the other rows say nothing of what a strategy wanted or got


def _take_fill(told: ReadRun, body: Mapping[str, Any]) -> None:
    fill = body["fill"]
    quantity, price = Decimal(fill["quantity"]), Decimal(fill["price"])
    signed = quantity if fill["side"] == Side.BUY else -quantity
    order = told.orders.setdefault(_key(body["order"]), OrderWorth(fill["symbol"]))
    order.cash -= signed * price
    order.quantity += signed
    told.last_prices[fill["symbol"]] = price
    if "fee" in fill:
        _take_fee(told, body["order"], fill)


def _take_fee(told: ReadRun, order: str, fill: Mapping[str, Any]) -> None:
    told.orders.setdefault(_key(order), OrderWorth(fill["symbol"])).fees += _dollars(told, fill["fee"], fill["fee_asset"])


def _dollars(told: ReadRun, amount: str, asset: str) -> Decimal:
    if "USD" in asset:
        return Decimal(amount)
    told.other_assets.add(asset)
    return ZERO


def _key(client_order_id: str) -> OrderKey:
    """Which order of which strategy, whenever the run began; an id that is not the bot's own stands for itself."""
    own = parse_own(client_order_id)
    return (client_order_id, 0) if own is None else (own.strategy, own.count)


def _nth(client_order_id: str) -> str:
    strategy, count = _key(client_order_id)
    return f"{count}" if count else strategy


def _terms(terms: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_value(value)}" for name, value in terms.items() if value not in (None, False))


def _value(value: object) -> str:
    match value:
        case Mapping():
            return " @ ".join(str(value[name]) for name in ("quantity", "price") if name in value)
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case str() if (own := parse_own(value)) is not None:
            return f"order {own.count}"
        case _:
            return str(value)  # text, number or word, as the row has it


# -- the differences ------------------------------------------------------------------------------------------------------


@attrs.frozen
class MadeOf:
    """One thing of which the two runs are made differently."""

    what: str
    first: str
    second: str


@attrs.frozen
class Money:
    """The difference second minus first, in US dollars, by cause; the parts add up to it."""

    first: Decimal
    second: Decimal
    prices: Decimal
    fees: Decimal
    fills: Decimal
    funding: Decimal

    @property
    def difference(self) -> Decimal:
        return self.second - self.first


@attrs.frozen
class RunComparison:
    """What came of comparing two runs. `happened` is where they first differ: what each did then, None for what it never did."""

    made_of: list[MadeOf]
    happened: tuple[RunEvent | None, RunEvent | None] | None
    money: Money
    cause: str


def compare(first: ReadRun, second: ReadRun) -> RunComparison:
    """Compares two runs."""
    made_of, happened = list(_made_of(first.about, second.about)), first_difference(first, second)
    return RunComparison(made_of, happened, money(first, second), _cause(made_of, happened))


def _made_of(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[MadeOf]:
    ours, theirs = first.get(MADE_OF, {}), second.get(MADE_OF, {})
    for fact in _FACTS:
        if first.get(fact) != second.get(fact):
            yield MadeOf(fact, str(first.get(fact)), str(second.get(fact)))
    for what in (*ours, *(name for name in theirs if name not in ours)):
        if ours.get(what) != theirs.get(what):
            yield MadeOf(what, *(_said(made.get(what)) for made in (ours, theirs)))


def _said(value: object) -> str:
    if value is None:
        return "not known"
    return ", ".join(f"{name} {each}" for name, each in value.items()) if isinstance(value, Mapping) else str(value)


def first_difference(first: ReadRun, second: ReadRun) -> tuple[RunEvent | None, RunEvent | None] | None:
    """Where what happened is not the same any more, whenever it happened: of all strategies the earliest place."""
    found = []
    for strategy in sorted({event.strategy for told in (first, second) for event in told.events}):
        ours, theirs = ([each for each in told.events if each.strategy == strategy] for told in (first, second))
        for pair in zip_longest(ours, theirs):
            one_kind = {(each.kind, each.text) for each in pair if each is not None}
            if None in pair or len(one_kind) > 1:
                found.append(pair)
                break
    return min(found, key=lambda pair: min(each.at_ns for each in pair if each is not None), default=None)


def money(first: ReadRun, second: ReadRun) -> Money:
    """The difference in money, order by order."""
    prices = fees = fills = ZERO
    for key in {**first.orders, **second.orders}:
        ours, theirs = first.orders.get(key), second.orders.get(key)
        worth, cost = second.worth(key) - first.worth(key), second.fees(key) - first.fees(key)
        if ours is not None and theirs is not None and (ours.symbol, ours.quantity) == (theirs.symbol, theirs.quantity):
            prices, fees = prices + worth, fees - cost
        else:
            fills += worth - cost
    return Money(first.profit, second.profit, prices, fees, fills, second.funding - first.funding)


def _cause(made_of: list[MadeOf], happened: tuple[RunEvent | None, RunEvent | None] | None) -> str:
    """What most likely explains the difference, in a sentence."""
    if len(made_of) == 1:
        return f"{made_of[0].what}: it is all in which the two runs are made differently"
    if made_of:
        return f"one of {', '.join(each.what for each in made_of)}: change one thing at a time to know which"
    if happened is None:
        return "none: the two runs are the same"
    kinds = {each.kind for each in happened if each is not None}
    if kinds == {"decision"}:
        return "plugin: on what was the same so far it wants something else; `coldframe determinism` says what it asked"
    return "the exchange: what was asked of it so far is the same, and it did something else"
