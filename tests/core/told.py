"""What the venue says about one order of ours: answers, reports, early fills, rows of queries."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from coldframe.core.risk.pre_trade import RiskInputs
from coldframe.core.state.orders import Order, Orders, Origin
from coldframe.enums import (
    AlgoStatus,
    ExecutionType,
    OrderStatus,
    OrderType,
    PositionSide,
    PriceMatch,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)
from coldframe.model.events import BookState
from coldframe.model.intents import Place
from coldframe.wire.account import AlgoReport, OrderReport, TradeLite
from coldframe.wire.replies import AlgoReply, OrderReply, UserTrade
from tests.core.made import START_MS, START_NS, SYMBOL

D: Final = Decimal
#: What pre-trade risk sees on a calm day: a book that is fresh and ready, links that are up.
CALM: Final = RiskInputs(
    now_ms=START_MS,
    mark=D(100),
    best_bid=D("99.9"),
    best_ask=D("100.1"),
    book_state=BookState.SYNCED,
    book_age_ms=0,
    order_link_up=True,
    user_stream_up=True,
)


def place(side: Side = Side.BUY, quantity: str = "1", price: str | None = "100", symbol: str = SYMBOL, **more: object) -> Place:
    kind = OrderType.LIMIT if price is not None else OrderType.MARKET
    at = D(price) if price is not None else None
    return Place(symbol=symbol, side=side, quantity=D(quantity), price=at, type=kind, **more)  # type: ignore[arg-type]


def prepared(orders: Orders, wanted: Place | None = None, strategy: str = "mm", origin: Origin = Origin.PLACE) -> Order:
    return orders.prepare(strategy, wanted or place(), origin, START_NS)


@attrs.frozen
class Trade:
    """One fill at the venue."""

    id: int
    quantity: str
    price: str = "100"
    fee: str = "0.02"
    fee_asset: str = "USDT"
    maker: bool = True


@attrs.define
class AtVenue:
    """One order as the venue has it; its methods say what the venue says about it, at the moment they are called."""

    client_order_id: str
    order_id: int
    side: Side = Side.BUY
    symbol: str = SYMBOL
    quantity: Decimal = D(1)
    price: str = "100"
    status: OrderStatus = OrderStatus.NEW
    at_ms: int = START_MS
    trades: list[Trade] = attrs.field(factory=list)
    position_side: PositionSide = PositionSide.BOTH

    @classmethod
    def of(cls, order: Order, order_id: int = 8_389_765_500_000_000_001, **more: object) -> AtVenue:
        return cls(
            order.client_order_id,
            order_id,
            order.side,
            order.symbol,
            order.quantity,
            str(order.price or 0),
            **more,  # type: ignore[arg-type]
        )

    @property
    def filled(self) -> Decimal:
        return sum((D(trade.quantity) for trade in self.trades), D(0))

    # -- what happens -------------------------------------------------------------------------------------------------

    def trade(self, trade: Trade) -> None:
        self.trades.append(trade)
        self.at_ms += 1
        self.status = OrderStatus.FILLED if self.filled >= self.quantity else OrderStatus.PARTIALLY_FILLED

    def end(self, status: OrderStatus) -> None:
        self.at_ms += 1
        self.status = status

    def amend(self, price: str, quantity: str) -> None:
        self.at_ms += 1
        self.price, self.quantity = price, D(quantity)

    # -- what is said -------------------------------------------------------------------------------------------------

    def reply(self) -> OrderReply:
        """The answer to a request that names it, or to a query."""
        return OrderReply(
            order_id=self.order_id,
            symbol=self.symbol,
            status=self.status,
            client_order_id=self.client_order_id,
            price=self.price,
            orig_qty=str(self.quantity),
            executed_qty=str(self.filled),
            side=self.side,
            type=OrderType.LIMIT,
            update_time=self.at_ms,
        )

    def report(self, execution: ExecutionType, trade: Trade | None = None, **more: object) -> OrderReport:
        """ORDER_TRADE_UPDATE."""
        return OrderReport(
            symbol=self.symbol,
            client_order_id=self.client_order_id,
            side=self.side,
            type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            quantity=str(self.quantity),
            price=self.price,
            average_price="0",
            stop_price="0",
            execution=execution,
            status=self.status,
            order_id=self.order_id,
            last_quantity=trade.quantity if trade else "0",
            filled_quantity=str(self.filled),
            last_price=trade.price if trade else "0",
            commission=trade.fee if trade else None,
            commission_asset=trade.fee_asset if trade else None,
            trade_ms=self.at_ms,
            trade_id=trade.id if trade else 0,
            bid_notional="0",
            ask_notional="0",
            maker=trade.maker if trade else False,
            reduce_only=False,
            working_type=WorkingType.CONTRACT_PRICE,
            original_type=OrderType.LIMIT,
            position_side=self.position_side,
            close_position=False,
            realized_pnl="0",
            **more,  # type: ignore[arg-type]
        )

    def lite(self, trade: Trade) -> TradeLite:
        """TRADE_LITE: the same fill, early and with less in it."""
        return TradeLite(
            event="TRADE_LITE",
            event_ms=self.at_ms,
            transaction_ms=self.at_ms,
            symbol=self.symbol,
            quantity=str(self.quantity),
            price=self.price,
            maker=trade.maker,
            client_order_id=self.client_order_id,
            side=self.side,
            last_price=trade.price,
            last_quantity=trade.quantity,
            trade_id=trade.id,
            order_id=self.order_id,
        )

    def row(self, trade: Trade) -> UserTrade:
        """One row of GET userTrades."""
        return UserTrade(
            id=trade.id,
            order_id=self.order_id,
            symbol=self.symbol,
            side=self.side,
            price=trade.price,
            qty=trade.quantity,
            realized_pnl="0",
            commission=trade.fee,
            commission_asset=trade.fee_asset,
            maker=trade.maker,
            time=self.at_ms,
            position_side=self.position_side,
        )


@attrs.define
class AtAlgo:
    """One conditional order as the venue has it."""

    client_id: str
    algo_id: int
    symbol: str
    side: Side
    type: OrderType
    quantity: str
    price: str
    trigger_price: str
    position_side: PositionSide = PositionSide.BOTH
    status: AlgoStatus = AlgoStatus.NEW
    #: Of the ordinary order that it has become.
    order_id: int | None = None
    reason: str = ""
    close_position: bool = False

    def reply(self) -> AlgoReply:
        """The answer to a request, a query, a row of a list."""
        return AlgoReply(
            algo_id=self.algo_id,
            client_algo_id=self.client_id,
            symbol=self.symbol,
            side=self.side,
            order_type=self.type,
            algo_status=self.status,
            quantity=self.quantity,
            actual_order_id=str(self.order_id or ""),
            trigger_price=self.trigger_price,
            price=self.price,
        )

    def report(self) -> AlgoReport:
        """ALGO_UPDATE."""
        return AlgoReport(
            client_algo_id=self.client_id,
            algo_id=self.algo_id,
            algo_type="CONDITIONAL",
            type=self.type,
            symbol=self.symbol,
            side=self.side,
            position_side=self.position_side,
            time_in_force=TimeInForce.GTC,
            quantity=self.quantity,
            status=self.status,
            actual_order_id=str(self.order_id or ""),
            trigger_price=self.trigger_price,
            price=self.price,
            self_trade_prevention=SelfTradePrevention.NONE,
            working_type=WorkingType.CONTRACT_PRICE,
            price_match=PriceMatch.NONE,
            close_position=self.close_position,
            price_protect=False,
            reduce_only=False,
            trigger_ms=0,
            good_till_ms=0,
            reject_reason=self.reason,
        )
