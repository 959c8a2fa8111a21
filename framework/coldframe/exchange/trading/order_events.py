"""Orders and accounts as the exchange prints them: in answers, and in the events of the user-data stream."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import attrs
from msgspec import UNSET

from coldframe.enums import AccountReason, ExecutionType, MarginType, PositionSide
from coldframe.exchange.contracts import Contract, money
from coldframe.exchange.trading.entities import Account, Algo, Order, Position
from coldframe.exchange.trading.margin import Mark
from coldframe.units import ZERO, plain
from coldframe.wire.account import (
    AccountChange,
    AccountUpdate,
    AlgoReport,
    AlgoUpdate,
    BalanceChange,
    OrderReport,
    OrderTradeUpdate,
    PositionChange,
    TradeLite,
)
from coldframe.wire.replies import AlgoReply, OrderReply

ASSET = "USDT"


@attrs.frozen(kw_only=True)
class OwnFill:
    """What one trade meant for one order."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    maker: bool
    commission: Decimal
    commission_asset: str = ASSET
    realized: Decimal
    at_ms: int


def acknowledged(order: Order, contract: Contract, *, accepted_only: bool) -> OrderReply:
    """The answer to a call that placed, changed or cancelled an order.

    With `accepted_only` it says NEW and nothing filled, whatever has happened since (newOrderRespType ACK).
    """
    filled = ZERO if accepted_only else order.filled
    return OrderReply(
        order_id=order.order_id,
        symbol=order.symbol,
        status=type(order.status)("NEW") if accepted_only else order.status,
        client_order_id=order.client_id,
        price=contract.price_text(order.price),
        orig_qty=contract.quantity_text(order.quantity),
        executed_qty=contract.quantity_text(filled),
        cum_qty=contract.quantity_text(filled),
        time_in_force=order.time_in_force,
        type=order.type,
        reduce_only=order.reduce_only,
        close_position=order.close_position,
        side=order.side,
        position_side=order.position_side,
        stop_price=contract.price_text(order.stop_price),
        working_type=order.working_type,
        price_protect=order.price_protect,
        orig_type=order.original_type,
        price_match=order.price_match,
        self_trade_prevention_mode=order.prevention,
        good_till_date=order.good_till_ms,
        update_time=order.updated_ms,
    )


def modified(order: Order, contract: Contract, *, accepted_only: bool) -> OrderReply:
    """The answer to a modification."""
    reply = acknowledged(order, contract, accepted_only=accepted_only)
    if order.modify_id is None:
        return reply
    return _with(reply, modify_id=order.modify_id)


def queried(order: Order, contract: Contract) -> OrderReply:
    """An order as queries and lists print it: with its average price, without `cumQty`."""
    reply = acknowledged(order, contract, accepted_only=False)
    return _with(
        reply,
        cum_qty=UNSET,
        avg_price=contract.price_text(_rounded(order.average, contract)),
        cum_quote=plain(order.quote),
        time=order.created_ms,
    )


def listed(order: Order, contract: Contract) -> OrderReply:
    """An order as allOrders and forceOrders list it: both amounts and the pair with it (protocol.md 6.4)."""
    return _with(queried(order, contract), cum_base="0", pair=contract.info.pair)


def _with(reply: OrderReply, **changes: object) -> OrderReply:
    fields = {name: getattr(reply, name) for name in reply.__struct_fields__}
    return OrderReply(**(fields | changes))


def _rounded(price: Decimal, contract: Contract) -> Decimal:
    """An average price with a few digits more than the contract's."""
    return price.quantize(Decimal(1).scaleb(-contract.price_digits - 3)).normalize() if price else ZERO


def order_event(
    order: Order,
    contract: Contract,
    execution: ExecutionType,
    now_ms: int,
    notionals: tuple[Decimal, Decimal],
    *,
    fill: OwnFill | None = None,
    expiry_reason: str = "0",
) -> OrderTradeUpdate:
    """ORDER_TRADE_UPDATE. `notionals` are those of the symbol's open bids and asks."""
    report = OrderReport(
        symbol=order.symbol,
        client_order_id=order.client_id,
        side=order.side,
        type=order.type,
        time_in_force=order.time_in_force,
        quantity=contract.quantity_text(order.quantity),
        price=contract.price_text(order.price),
        average_price=contract.price_text(_rounded(order.average, contract)) if order.filled else "0",
        stop_price=contract.price_text(order.stop_price) if order.stop_price else "0",
        execution=execution,
        status=order.status,
        order_id=order.order_id,
        modify_id=UNSET if order.modify_id is None or execution is not ExecutionType.AMENDMENT else str(order.modify_id),
        last_quantity=contract.quantity_text(fill.quantity) if fill else "0",
        filled_quantity=contract.quantity_text(order.filled) if order.filled else "0",
        last_price=contract.price_text(fill.price) if fill else "0",
        commission_asset=fill.commission_asset if fill else UNSET,
        commission=money(fill.commission) if fill else UNSET,
        trade_ms=order.updated_ms,
        trade_id=fill.trade_id if fill else 0,
        bid_notional=plain(notionals[0]),
        ask_notional=plain(notionals[1]),
        maker=fill.maker if fill else False,
        reduce_only=order.reduce_only,
        working_type=order.working_type,
        original_type=order.original_type,
        position_side=order.position_side,
        close_position=order.close_position,
        realized_pnl=money(fill.realized) if fill else "0",
        price_protect=order.price_protect,
        ignored_si=0,
        ignored_ss=0,
        self_trade_prevention=order.prevention,
        price_match=order.price_match,
        good_till_ms=order.good_till_ms,
        expiry_reason=expiry_reason,
        product=1,
    )
    return OrderTradeUpdate(event="ORDER_TRADE_UPDATE", event_ms=now_ms, transaction_ms=order.updated_ms, order=report)


def lite_event(order: Order, contract: Contract, fill: OwnFill, now_ms: int) -> TradeLite:
    """TRADE_LITE: the quick word of a fill."""
    return TradeLite(
        event="TRADE_LITE",
        event_ms=now_ms,
        transaction_ms=fill.at_ms,
        symbol=order.symbol,
        quantity=contract.quantity_text(order.quantity),
        price=contract.price_text(order.price),
        maker=fill.maker,
        client_order_id=order.client_id,
        side=order.side,
        last_price=contract.price_text(fill.price),
        last_quantity=contract.quantity_text(fill.quantity),
        trade_id=fill.trade_id,
        order_id=order.order_id,
        product=1,
    )


def account_event(
    account: Account,
    reason: AccountReason,
    now_ms: int,
    at_ms: int,
    mark: Mark,
    *,
    positions: Iterable[Position] = (),
    change: Decimal = ZERO,
    symbol: str | None = None,
    balances: bool = True,
    assets: Iterable[str] = (ASSET,),
) -> AccountUpdate:
    """ACCOUNT_UPDATE: absolute balances of the changed `assets` and the touched positions.

    `change` is what is neither trade nor fee.
    """
    rows = [_position_change(account, position, mark(position.symbol)) for position in positions]
    body = AccountChange(
        reason=reason,
        balances=[_balance_change(account, asset, change) for asset in assets] if balances else [],
        positions=rows if rows else UNSET,
        symbol=symbol if symbol is not None else UNSET,
    )
    return AccountUpdate(event="ACCOUNT_UPDATE", event_ms=now_ms, transaction_ms=at_ms, change=body)


def _balance_change(account: Account, asset: str, change: Decimal) -> BalanceChange:
    usdt = asset == ASSET
    return BalanceChange(
        asset=asset,
        wallet_balance=money(account.wallet if usdt else account.bnb),
        cross_wallet_balance=money(account.cross_wallet if usdt else account.bnb),
        change=money(change) if change and usdt else "0",
    )


def _position_change(account: Account, position: Position, mark: Decimal) -> PositionChange:
    isolated = account.of_symbol(position.symbol).isolated
    return PositionChange(
        symbol=position.symbol,
        quantity=plain(position.quantity),
        entry_price=plain(position.entry.normalize() + ZERO) if position.quantity else "0",
        break_even_price=plain(position.break_even().normalize() + ZERO),
        accumulated_realized=money(position.realized) if position.realized else "0",
        unrealized_pnl=money(position.unrealized(mark)) if position.quantity else "0",
        margin_type="isolated" if isolated else "cross",
        isolated_wallet=money(position.isolated_wallet) if position.isolated_wallet else "0",
        position_side=position.side,
        margin_asset=ASSET,
    )


def algo_reply(algo: Algo, contract: Contract, *, query: bool, average: Decimal | None = None) -> AlgoReply:
    """A conditional order in an answer; queries also print the order it became."""
    became = str(algo.order_id) if algo.order_id is not None else ""
    return AlgoReply(
        algo_id=algo.algo_id,
        client_algo_id=algo.client_id,
        algo_type="CONDITIONAL",
        order_type=algo.type,
        symbol=algo.symbol,
        side=algo.side,
        position_side=algo.position_side,
        time_in_force=algo.time_in_force,
        quantity=contract.quantity_text(algo.quantity),
        algo_status=algo.status,
        actual_order_id=became if query else UNSET,
        actual_price=contract.price_text(average or ZERO) if query else UNSET,
        actual_type=("MARKET" if algo.price == 0 else "LIMIT") if query and became else "" if query else UNSET,
        actual_qty=contract.quantity_text(algo.quantity) if query and became else "" if query else UNSET,
        tp_order_type="" if query else UNSET,
        trigger_price=contract.price_text(algo.trigger_price),
        price=contract.price_text(algo.price),
        iceberg_quantity=None,
        self_trade_prevention_mode=algo.prevention,
        working_type=algo.working_type,
        price_match=algo.price_match,
        close_position=algo.close_position,
        price_protect=algo.price_protect,
        reduce_only=algo.reduce_only,
        activate_price=contract.price_text(algo.activate_price) if algo.activate_price is not None else UNSET,
        callback_rate=plain(algo.callback_rate) if algo.callback_rate is not None else UNSET,
        create_time=algo.created_ms,
        update_time=algo.updated_ms,
        trigger_time=algo.trigger_ms,
        good_till_date=algo.good_till_ms,
    )


def algo_event(algo: Algo, contract: Contract, now_ms: int, became: Order | None = None) -> AlgoUpdate:
    """ALGO_UPDATE."""
    report = AlgoReport(
        client_algo_id=algo.client_id,
        algo_id=algo.algo_id,
        algo_type="CONDITIONAL",
        type=algo.type,
        symbol=algo.symbol,
        side=algo.side,
        position_side=algo.position_side,
        time_in_force=algo.time_in_force,
        quantity=contract.quantity_text(algo.quantity),
        status=algo.status,
        actual_order_id=str(algo.order_id) if algo.order_id is not None else "",
        actual_price=plain(_rounded(became.average, contract)) if became else UNSET,
        actual_quantity=plain(became.filled) if became else UNSET,
        actual_type=str(became.type) if became else UNSET,
        trigger_price=contract.price_text(algo.trigger_price),
        price=contract.price_text(algo.price),
        self_trade_prevention=algo.prevention,
        working_type=algo.working_type,
        price_match=algo.price_match,
        close_position=algo.close_position,
        price_protect=algo.price_protect,
        reduce_only=algo.reduce_only,
        trigger_ms=algo.trigger_ms,
        good_till_ms=algo.good_till_ms,
        reject_reason=algo.reason,
        activated=algo.active if algo.trailing else UNSET,
    )
    return AlgoUpdate(event="ALGO_UPDATE", event_ms=now_ms, transaction_ms=algo.updated_ms, order=report)


def margin_word(*, isolated: bool) -> MarginType:
    """The margin mode in words."""
    return MarginType.ISOLATED if isolated else MarginType.CROSSED


def touched_sides(account: Account, symbol: str) -> list[Position]:
    """The positions of a symbol that an event has to name: one in one-way mode, both in hedge mode."""
    sides = account.sides() if account.hedge else (PositionSide.BOTH,)
    return [account.position(symbol, side) for side in sides]
