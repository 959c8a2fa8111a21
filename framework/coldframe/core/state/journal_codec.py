"""The journal's rows made from the engine's state, and the state folded back together from rows.

While it runs, the engine records every order as it stands after each change, and every fill; now and then a checkpoint holds all
of it, so that a restart need not read further back. `fold` applies the rows in order to the same classes and the same arithmetic
that made them: what comes out is what the engine held when the last row was written. Bodies are plain JSON, numbers exact as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from coldframe.core.state.funding_split import PAYMENTS_KEPT, Payment
from coldframe.core.state.loss_limits import Counted
from coldframe.core.state.orders import Fill, Order, Orders
from coldframe.core.state.positions import Position, PositionKey, StrategyPositions
from coldframe.core.state.saved_states import plain_of
from coldframe.core.state.shares import Executions, SharedExecution, execution_of
from coldframe.enums import PositionSide
from coldframe.errors import JournalDamaged
from coldframe.ids import KILL_SWITCH_COUNT, parse_own
from coldframe.model.halting import LastingSuspensions
from coldframe.model.intents import Intent, Verdict, VerdictCode
from coldframe.model.journal import Row, RowKind
from coldframe.text import class_name
from coldframe.units import ZERO

#: After so many rows a checkpoint is due.
CHECKPOINT_ROWS: Final = 20_000
#: So many of the orders that ended last are kept in a checkpoint, so that late reports still find them.
_ENDED_KEPT: Final = 200

#: Fields of an order that no row holds: fills have rows of their own, what queries did not find has to be asked for again, and
#: whether an order can be amended every run finds out itself.
_ASIDE: Final = (
    "fill_keys", "before", "not_found", "not_found_ns", "not_found_dead", "unreported", "doubted_ns", "cancel_sent_ns", "amended",
    "failed_amendments", "unamendable", "amend_sent_ms",
)  # fmt: skip

#: Verdicts that are given before anything of an intent is read.
UNJUDGED: Final = (VerdictCode.MALFORMED, VerdictCode.MUTED)

Body = dict[str, Any]


@attrs.define
class RestoredState:
    """What a journal knows at its end. `account` names the account its orders and positions are in."""

    account: str = ""
    #: Start of the last run, epoch milliseconds; no later run may begin at the same or an earlier one.
    epoch_ms: int = 0
    runs: int = 0
    #: Start of the first run on this account: what was traded earlier is not news.
    since_ms: int = 0
    #: Whether the last run came to its end.
    ended: bool = True
    orders: dict[str, Order] = attrs.field(factory=dict)
    #: The fills of these orders, by client order id.
    fills: dict[str, list[Fill]] = attrs.field(factory=dict)
    #: By strategy; `EXTERNAL` for fills of others.
    accounts: dict[str, StrategyPositions] = attrs.field(factory=dict)
    #: By symbol: everything up to this trade id is known.
    trade_cursors: dict[str, int] = attrs.field(factory=dict)
    #: The last executions of each position, so that one that becomes known late is booked in its place.
    executions: Executions = attrs.field(factory=Executions)
    #: What was shut until a person opens it.
    suspensions: LastingSuspensions = attrs.field(factory=LastingSuspensions)
    #: What assets were worth when that was last written down.
    prices: dict[str, Decimal] = attrs.field(factory=dict)
    #: From where losses are counted, by strategy; `EXTERNAL` for the whole account.
    losses: dict[str, Counted] = attrs.field(factory=dict)
    #: The last funding payments that were booked, oldest first.
    payments: list[Payment] = attrs.field(factory=list)
    #: What strategies have saved, as it stands in rows.
    states: dict[str, Any] = attrs.field(factory=dict)
    #: When the last row was written (our time).
    until_ns: int = 0
    #: Whether rows that held state have been lost since the last checkpoint.
    gap: bool = False

    @property
    def live(self) -> list[Order]:
        """The orders that were or may have been alive."""
        return [order for order in self.orders.values() if order.live]

    def begin_account(self, account: str) -> None:
        """Another account from here on: what was in the one before is over."""
        self.orders, self.fills, self.accounts, self.trade_cursors, self.suspensions, self.losses = (
            {},
            {},
            {},
            {},
            LastingSuspensions(),
            {},
        )
        self.payments, self.since_ms, self.account = [], 0, account
        self.executions, self.states = Executions(), {}

    def held(self) -> dict[tuple[str, str], Decimal]:
        """The positions that are not zero, by strategy and symbol; in hedge mode the symbol is followed by the side."""
        return {
            (owner, symbol if side is PositionSide.BOTH else f"{symbol} {side}"): position.quantity
            for owner, positions in self.accounts.items()
            for (symbol, side), position in positions.positions.items()
            if position.quantity
        }


# -- rows out of state --------------------------------------------------------------------------------------------------


def order_body(order: Order) -> Body:
    """An order as it stands now; its fills have rows of their own."""
    body: Body = _CONVERTER.unstructure(order)
    return body


def order_defaults() -> Body:
    """Every field of an order that a row may hold, with what stands for it where the row leaves it out; None: it never is."""
    kept = (field for field in attrs.fields(Order) if field.name not in _ASIDE)
    return {field.name: None if field.default is attrs.NOTHING else _CONVERTER.unstructure(field.default) for field in kept}


def fill_body(strategy: str, client_order_id: str, fill: Fill, position: Decimal, tag: str = "") -> Body:
    """A fill, whose it is, the position after it, and the tag of its order if it has one."""
    tagged = {"tag": tag} if tag else {}
    fields = _CONVERTER.unstructure(fill)
    return {"strategy": strategy, "order": client_order_id, "fill": fields, "position": str(position), **tagged}


def booking_body(
    owner: str, cause: str, *, key: PositionKey | None = None, quantity: Decimal = ZERO, price: Decimal = ZERO
) -> Body:
    """What changes a sub-account without a fill of its orders, and why: a signed quantity at a price, or fees, or funding."""
    where = {} if key is None else {"symbol": key[0], "side": str(key[1]), "quantity": str(quantity), "price": str(price)}
    return {"strategy": owner, "cause": cause, **where}


def intent_body(strategy: str, wanted: Intent | object, verdict: Verdict) -> Body:
    """An intent with its verdict; of one that was not judged, only the kind is kept: what it holds may be anything."""
    numbers = {name: str(value) for name in ("value", "limit") if (value := getattr(verdict, name)) is not None}
    fields = {"terms": _CONVERTER.unstructure(wanted)} if verdict.code not in UNJUDGED else {}
    said = {"text": verdict.text} if verdict.text else {}
    return {"strategy": strategy, "intent": class_name(wanted), **fields, "verdict": str(verdict.code), **said, **numbers}


def suspensions_body(suspensions: LastingSuspensions) -> Body:
    """What is suspended now until a person resumes."""
    body: Body = _CONVERTER.unstructure(suspensions)
    return body


def counted_body(counted: Counted | None) -> Body:
    """From where losses are counted; empty when that begins anew."""
    body: Body = {} if counted is None else _CONVERTER.unstructure(counted)
    return body


def payment_body(payment: Payment) -> Body:
    """A funding payment as it was booked, whatever has been shared out of it."""
    body: Body = _CONVERTER.unstructure(payment)
    return body


def state_body(value: Any) -> Body:
    """What a strategy has saved."""
    return {"value": value}


def checkpoint_body(
    orders: Orders,
    accounts: Mapping[str, StrategyPositions],
    executions: Executions,
    trade_cursors: Mapping[str, int],
    suspensions: LastingSuspensions,
    prices: Mapping[str, Decimal],
    losses: Mapping[str, Counted],
    payments: Iterable[Payment],
    states: Mapping[str, Any],
    epoch_ms: int,
    since_ms: int,
    runs: int,
) -> Body:
    """The whole state, and which run on this journal it is of: a reader that begins here does not see where the run began."""
    kept = orders.worth_keeping(_ENDED_KEPT)
    return {
        "epoch_ms": epoch_ms,
        "since_ms": since_ms,
        "runs": runs,
        "orders": [_CONVERTER.unstructure(order) for order in kept],
        "fills": {order.client_order_id: _CONVERTER.unstructure(orders.fills_of(order)) for order in kept if order.fill_keys},
        "accounts": {name: _CONVERTER.unstructure(account) for name, account in accounts.items()},
        "executions": [_CONVERTER.unstructure(execution) for execution in executions],
        "settled": _settled_out(executions),
        "marks": dict(trade_cursors),
        "latched": suspensions_body(suspensions),
        "prices": {asset: str(price) for asset, price in prices.items()},
        "losses": {owner: counted_body(counted) for owner, counted in losses.items()},
        "payments": [payment_body(payment) for payment in payments],
        **({"states": dict(states)} if states else {}),
    }


def restored_body(past: RestoredState) -> Body:
    """What a run begins with, for its input log; `restored_of` reads it back."""
    body: Body = _CONVERTER.unstructure(past)
    return body


def restored_of(body: Mapping[str, Any]) -> RestoredState:
    """What `restored_body` was made of. Raises what `fold` takes for damage for anything else."""
    return _CONVERTER.structure(body, RestoredState)


def _settled_out(executions: Executions) -> list[list[str | int]]:
    return [[symbol, str(side), at_ms] for (symbol, side), at_ms in sorted(executions.settled.items())]


def _settled_in(rows: Any) -> dict[PositionKey, int]:
    """Rows of earlier builds do not say up to when."""
    return {(str(symbol), PositionSide(side)): int(at_ms[0]) if at_ms else 0 for symbol, side, *at_ms in rows}


# -- state out of rows --------------------------------------------------------------------------------------------------


def fold(rows: Iterable[Row], past: RestoredState | None = None) -> RestoredState:
    """Applies rows to `past` (a new one if none is given) and returns it. Raises `JournalDamaged` for a row that makes no sense."""
    past = past or RestoredState()
    for row in rows:
        try:
            _apply(past, row)
            past.until_ns = row.at_ns
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError, RecursionError, ExceptionGroup) as error:
            raise JournalDamaged(f"row {row.seq} ({row.kind}) cannot be read: {type(error).__name__}: {error}") from None
    return past


def _apply(past: RestoredState, row: Row) -> None:
    body: Any = row.body
    match row.kind:
        case RowKind.RUN:
            _begin(past, body)
        case RowKind.ORDER:
            past.orders[row.ref] = _CONVERTER.structure(body, Order)
        case RowKind.FILL:
            _take_fill(past, body)
        case RowKind.FEE:
            _learn_fee(past, body)
        case RowKind.BOOKING:
            _take_booking(past, body)
        case RowKind.TRADE_CURSOR:
            past.trade_cursors[row.ref] = int(body["trade_id"])
        case RowKind.PRICE:
            past.prices[row.ref] = _number(body["price"], None)
        case RowKind.CHECKPOINT:
            _take_checkpoint(past, row.ref, body)
        case RowKind.SUSPENSIONS:
            past.suspensions = _CONVERTER.structure(body, LastingSuspensions)
        case RowKind.LOSSES if body:
            past.losses[row.ref] = _CONVERTER.structure(body, Counted)
        case RowKind.LOSSES:
            past.losses.pop(row.ref, None)
        case RowKind.STATE:
            past.states[row.ref] = plain_of(body["value"])
        case RowKind.GAP:
            past.gap |= int(body.get("state", 0)) > 0
        case RowKind.END:
            past.ended = True
        case _:
            pass  # intents, requests, answers, reports and halts explain the state; they do not change it


def _take_checkpoint(past: RestoredState, account: str, body: Any) -> None:
    """The whole state of an account. Where all rows before it have been read as well, they must come to the same."""
    orders = {order.client_order_id: order for order in _CONVERTER.structure(body["orders"], list[Order])}
    accounts = _CONVERTER.structure(body["accounts"], dict[str, StrategyPositions])
    trade_cursors = _CONVERTER.structure(body["marks"], dict[str, int])
    # Builds that know no saved values leave them out: what the rows before say of them holds then.
    states = {str(name): plain_of(value) for name, value in body.get("states", past.states).items()}
    # The kill switch writes past the engine, which may not have heard of its orders yet.
    emergency = {name: order for name, order in past.orders.items() if order.live and name not in orders and _of_kill_switch(name)}
    if past.runs and not past.gap:
        known = {name: order for name, order in past.orders.items() if name not in emergency}
        before = (past.account, past.epoch_ms, past.runs, _live_terms(known), _holdings(past.accounts), past.trade_cursors)
        now = (account, int(body["epoch_ms"]), int(body["runs"]), _live_terms(orders), _holdings(accounts), trade_cursors)
        if before != now or past.states != states:
            raise ValueError("it is not what the rows before it come to")
    past.account, past.epoch_ms, past.runs, past.ended = account, int(body["epoch_ms"]), int(body["runs"]), False
    past.since_ms = int(body.get("since_ms") or past.since_ms or past.epoch_ms)
    past.orders, past.accounts, past.trade_cursors, past.gap = orders | emergency, accounts, trade_cursors, False
    past.fills = _CONVERTER.structure(body["fills"], dict[str, list[Fill]])
    past.suspensions = _CONVERTER.structure(body.get("latched", {}), LastingSuspensions)
    past.prices = _CONVERTER.structure(body.get("prices", {}), dict[str, Decimal])
    past.losses = _CONVERTER.structure(body.get("losses", {}), dict[str, Counted])
    past.payments = _CONVERTER.structure(body.get("payments", []), list[Payment])
    past.states = states
    past.executions = Executions(_CONVERTER.structure(body.get("executions", []), list[SharedExecution]), _settled(body, accounts))


def _settled(body: Any, accounts: Mapping[str, StrategyPositions]) -> dict[PositionKey, int]:
    """Of which positions executions have been forgotten; where a row does not say so, of any."""
    if "settled" not in body:
        return {key: 0 for account in accounts.values() for key in account.positions}
    return _settled_in(body["settled"])


def _of_kill_switch(client_order_id: str) -> bool:
    own = parse_own(client_order_id)
    return own is not None and own.count >= KILL_SWITCH_COUNT


def _live_terms(orders: Mapping[str, Order]) -> dict[str, Body]:
    return {name: order_body(order) for name, order in orders.items() if order.live}


def _holdings(accounts: Mapping[str, StrategyPositions]) -> Body:
    """What accounts hold, without positions and accounts in which nothing has ever been."""
    held = {
        name: {key: position for key, position in account.positions.items() if position != Position()}
        for name, account in accounts.items()
    }
    return {
        name: (positions, accounts[name].fees, accounts[name].fills)
        for name, positions in held.items()
        if positions or accounts[name].fees
    }


def _begin(past: RestoredState, body: Any) -> None:
    """A run begins. What was in another account is over: nothing of it can be asked for or traded any more."""
    account = str(body["account"])
    if account != past.account:
        past.begin_account(account)
    past.since_ms = past.since_ms or int(body["epoch_ms"])
    past.account, past.epoch_ms, past.ended = account, int(body["epoch_ms"]), False
    past.runs += 1


def _take_fill(past: RestoredState, body: Any) -> None:
    fill = _CONVERTER.structure(body["fill"], Fill)
    account = past.accounts.setdefault(body["strategy"], StrategyPositions())
    account.position(fill.symbol, fill.position_side).fill(fill.side, fill.quantity, fill.price)
    account.fills += 1
    if fill.fee is not None:
        account.pay(fill.fee, fill.fee_asset, fill.notional)
    if body["order"]:
        past.fills.setdefault(body["order"], []).append(fill)
    past.executions.add(execution_of(body["strategy"], fill, body.get("cause", "")))


def _take_booking(past: RestoredState, body: Any) -> None:
    account = past.accounts.setdefault(body["strategy"], StrategyPositions())
    notional = ZERO
    if "symbol" in body:
        key, quantity = (body["symbol"], PositionSide(body["side"])), _number(body["quantity"], None)
        price = _number(body["price"], None)
        account.position(*key).change(quantity, price)
        notional = -abs(quantity) * price  # of a fill that is taken back
        _take_part(past.executions, key, quantity, body)
    account.fills += int(body.get("fills", 0))
    if body.get("fee") and body["asset"]:
        notional = _number(body["notional"], None) if "notional" in body else notional
        account.pay(_number(body["fee"], None), body["asset"], notional)
    if "funding" in body:
        account.fund(_number(body["funding"], None), body["asset"])
    if "payment" in body:
        payment = _CONVERTER.structure(body["payment"], Payment)
        past.payments = [*past.payments[1 - PAYMENTS_KEPT :], payment]


def _take_part(executions: Executions, key: PositionKey, quantity: Decimal, body: Any) -> None:
    """A booking is a part of an execution of others, or the end of one that is ours after all; else what came before is settled."""
    if "trade" not in body:
        executions.forget(key, int(body.get("settled_ms", 0)))
        return
    trade = (int(body["trade"][0]), int(body["trade"][1]))
    execution = executions.get(key, trade)
    if "taken_back" not in body:
        executions.shift(key, trade, body["strategy"], quantity)
    elif execution is not None:
        executions.remove(execution)


def _learn_fee(past: RestoredState, body: Any) -> None:
    """The fee of a fill that had come without one."""
    known = _CONVERTER.structure(body["fill"], Fill)
    fills = past.fills.get(body["order"], [])
    for place, fill in enumerate(fills):
        if fill.key == known.key:
            fills[place] = attrs.evolve(fill, fee=known.fee, fee_asset=known.fee_asset)
    if known.fee is not None:
        past.accounts.setdefault(body["strategy"], StrategyPositions()).pay(known.fee, known.fee_asset, known.notional)


# -- plain JSON and back ------------------------------------------------------------------------------------------------


def _positions_out(positions: Mapping[tuple[str, PositionSide], Position]) -> list[Body]:
    return [
        {"symbol": symbol, "side": str(side), "position": _CONVERTER.unstructure(position)}
        for (symbol, side), position in positions.items()
    ]


def _positions_in(rows: Any, _: object) -> dict[tuple[str, PositionSide], Position]:
    return {(row["symbol"], PositionSide(row["side"])): _CONVERTER.structure(row["position"], Position) for row in rows}


def _executions_out(executions: Executions) -> Body:
    return {"known": _CONVERTER.unstructure(list(executions)), "settled": _settled_out(executions)}


def _executions_in(body: Any, _: object) -> Executions:
    return Executions(_CONVERTER.structure(body["known"], list[SharedExecution]), _settled_in(body["settled"]))


def _number(value: Any, _: object) -> Decimal:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not an exact number")
    return Decimal(value)


def _made_converter() -> Converter:
    converter = Converter(omit_if_default=True, forbid_extra_keys=False)
    converter.register_unstructure_hook(Decimal, str)
    converter.register_structure_hook(Decimal, _number)
    converter.register_unstructure_hook(Executions, _executions_out)
    converter.register_structure_hook(Executions, _executions_in)
    aside = override(omit=True)
    left_out: dict[str, Any] = dict.fromkeys(_ASIDE, aside)
    converter.register_unstructure_hook(Order, make_dict_unstructure_fn(Order, converter, True, **left_out))
    converter.register_structure_hook(Order, make_dict_structure_fn(Order, converter, **left_out))
    positions = override(unstruct_hook=_positions_out, struct_hook=_positions_in)
    converter.register_unstructure_hook(
        StrategyPositions, make_dict_unstructure_fn(StrategyPositions, converter, True, positions=positions)
    )
    converter.register_structure_hook(StrategyPositions, make_dict_structure_fn(StrategyPositions, converter, positions=positions))
    return converter


_CONVERTER: Final = _made_converter()
