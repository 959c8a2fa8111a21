"""Conditional orders: accepted by the algo methods, watched, and at their trigger turned into ordinary orders (protocol.md 7.5).

No margin is checked before the trigger, and an untriggered order cannot be modified. Its states go NEW, TRIGGERING, TRIGGERED and
FINISHED, or end in CANCELED, REJECTED (at the trigger, with a reason) or EXPIRED.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import UNSET

from coldframe.enums import AlgoStatus, OrderType, PositionSide, PriceMatch, Side, TimeInForce, WorkingType
from coldframe.exchange.market.public_market_data import DepthChange, PublicMarketData
from coldframe.exchange.market.public_trades import Aggregate, MarketTrade
from coldframe.exchange.market.symbol_market import SymbolMarket
from coldframe.exchange.refusals import refuse
from coldframe.exchange.trading.account_store import AccountBooks
from coldframe.exchange.trading.clearing import closes
from coldframe.exchange.trading.conditional_parameters import LIMIT_TYPES, check_parameters
from coldframe.exchange.trading.entities import Algo
from coldframe.exchange.trading.exchange_state import ExchangeState
from coldframe.exchange.trading.order_checks import DEFAULT_PREVENTION, OrderRequest, check_mode, check_symbol, given, is_closing
from coldframe.exchange.trading.order_entry import OrderEntry
from coldframe.ids import base36
from coldframe.units import ZERO, unscaled
from coldframe.wire.requests import Fault, PlaceAlgo
from coldframe.wire.streams import Bracket, LiquidationOrder

#: Conditional orders an account may have open over all symbols (protocol.md 2).
_MOST_OPEN: Final = 200
_HUNDRED: Final = Decimal(100)
_STOPS: Final = frozenset({OrderType.STOP, OrderType.STOP_MARKET})


class Conditionals:
    """Accepts and watches conditional orders. As a watcher of the public data it sees every trade, so that no spike is missed."""

    def __init__(self, state: ExchangeState, order_entry: OrderEntry, lag_ms: int = 0) -> None:
        self._state = state
        self._order_entry = order_entry
        #: How far the checks of closePosition orders lag behind (protocol.md 7.5).
        self._lag_ms = lag_ms
        #: Lowest and highest trade of each symbol since the last check.
        self._extremes: dict[str, tuple[Decimal, Decimal]] = {}
        for market in state.markets.values():
            self.follow(market)

    def follow(self, market: SymbolMarket) -> None:
        """Watches another contract."""
        market.public_data.watchers.append(self)

    # -- calls --------------------------------------------------------------------------------------------------------

    def place(self, account: str, request: PlaceAlgo, now_ms: int) -> Algo | Fault:
        """Accepts a conditional order, or says why not."""
        fault = self._check(account, request, now_ms)
        if fault:
            return fault
        algo = self._algo(account, request, now_ms)
        low, high = self._range(algo)
        if low and not algo.trailing and self._reached(algo, low, high):
            return refuse(-2021)
        self._state.report_algo(algo, now_ms)
        return algo

    def cancel(self, account: str, algo_id: int | None, client_id: str | None, now_ms: int) -> Algo | Fault:
        """Cancels an untriggered conditional order."""
        if algo_id is None and not client_id:
            return refuse(-1102, "algoId", "clientAlgoId")
        algo = self._state.books(account).algo_of(algo_id, client_id)
        if algo is None or not algo.open or algo.symbol not in self._state.markets:
            return refuse(-2011)
        self._state.end_algo(algo, AlgoStatus.CANCELED, now_ms)
        return algo

    def cancel_all(self, account: str, symbol: str, now_ms: int) -> None:
        """Cancels every untriggered conditional order of a symbol."""
        for algo in list(self._state.books(account).open_algos.values()):
            if algo.symbol == symbol:
                self._state.end_algo(algo, AlgoStatus.CANCELED, now_ms)

    # -- watching -----------------------------------------------------------------------------------------------------

    def check(self, now_ms: int) -> None:
        """Looks at every open conditional order, and at the orders that triggered ones became.

        What a triggered one trades may end others that live only as long as its position.
        """
        for books in self._state.store.books.values():
            for algo in list(books.open_algos.values()):
                if algo.open and algo.symbol in self._state.markets:
                    self._watch(algo, now_ms)
            for algo in list(books.triggered.values()):
                if algo.symbol in self._state.markets:
                    self._follow(algo, now_ms)
        self._extremes.clear()

    def on_trade(self, public_data: PublicMarketData, trade: MarketTrade) -> None:
        price = unscaled(trade.price)
        low, high = self._extremes.get(public_data.symbol, (price, price))
        self._extremes[public_data.symbol] = (min(low, price), max(high, price))

    def on_depth(self, public_data: PublicMarketData, change: DepthChange) -> None: ...

    def on_aggregate(self, public_data: PublicMarketData, aggregate: Aggregate) -> None: ...

    def on_liquidation(self, public_data: PublicMarketData, order: LiquidationOrder) -> None: ...

    def on_contract(self, public_data: PublicMarketData, brackets: list[Bracket] | None) -> None: ...

    def _watch(self, algo: Algo, now_ms: int) -> None:
        if algo.good_till_ms and algo.good_till_ms <= now_ms:
            self._state.end_algo(algo, AlgoStatus.EXPIRED, now_ms)
            return
        low, high = self._range(algo)
        if not self._state.contract(algo.symbol).trading:
            return
        if not low or (algo.price_protect and self._diverged(algo)):
            return
        reached = self._trail(algo, low, high, now_ms) if algo.trailing else self._reached(algo, low, high)
        if reached:
            self._trigger(algo, now_ms)

    def _range(self, algo: Algo) -> tuple[Decimal, Decimal]:
        """Lowest and highest working price since the last check."""
        public_data = self._state.market(algo.symbol).public_data
        if algo.working_type is WorkingType.MARK_PRICE:
            return public_data.prices.mark, public_data.prices.mark
        last = unscaled(public_data.last_price)
        return self._extremes.get(algo.symbol, (last, last))

    def _reached(self, algo: Algo, low: Decimal, high: Decimal) -> bool:
        """STOP: a buy at or above its trigger, a sell at or below; TAKE_PROFIT the other way round."""
        upwards = (algo.type in _STOPS) == (algo.side is Side.BUY)
        return high >= algo.trigger_price if upwards else low <= algo.trigger_price

    def _trail(self, algo: Algo, low: Decimal, high: Decimal, now_ms: int) -> bool:
        """Wakes a trailing order at its activation price, then follows the best price until it turns by the callback rate."""
        buying = algo.side is Side.BUY
        best = low if buying else high
        if not algo.active:
            wakes_at = algo.activate_price
            if wakes_at is not None and (best > wakes_at if buying else best < wakes_at):
                return False
            algo.active, algo.extreme = True, best
            self._state.report_algo(algo, now_ms)
        extreme = min(algo.extreme or best, best) if buying else max(algo.extreme or best, best)
        algo.extreme = extreme
        turn = extreme * (algo.callback_rate or ZERO) / _HUNDRED
        last = (
            unscaled(self._state.market(algo.symbol).public_data.last_price)
            if algo.working_type is WorkingType.CONTRACT_PRICE
            else low
        )
        return last >= extreme + turn if buying else last <= extreme - turn

    def _diverged(self, algo: Algo) -> bool:
        public_data = self._state.market(algo.symbol).public_data
        mark, last = public_data.prices.mark, unscaled(public_data.last_price)
        return bool(mark) and abs(last - mark) > mark * public_data.contract.trigger_protect

    # -- triggering ---------------------------------------------------------------------------------------------------

    def _trigger(self, algo: Algo, now_ms: int) -> None:
        algo.status, algo.trigger_ms = AlgoStatus.TRIGGERING, now_ms
        self._state.report_algo(algo, now_ms)
        books = self._state.books(algo.account)
        order_request = self._order_request(algo)
        if not order_request.quantity:
            self._state.end_algo(algo, AlgoStatus.EXPIRED, now_ms, reason="position is 0")
            return
        checked = self._order_entry.check_order_request(books, order_request)
        if isinstance(checked, Fault):
            self._state.end_algo(algo, AlgoStatus.REJECTED, now_ms, reason=checked.msg)
            return
        order = self._order_entry.accept(algo.account, checked, now_ms)
        algo.status, algo.order_id = AlgoStatus.TRIGGERED, order.order_id
        self._state.report_algo(algo, now_ms)
        self._order_entry.execute(order, now_ms)
        self._follow(algo, now_ms)

    def _order_request(self, algo: Algo) -> OrderRequest:
        held = self._state.books(algo.account).account.position(algo.symbol, algo.position_side)
        limit = algo.type in LIMIT_TYPES
        return OrderRequest(
            symbol=algo.symbol,
            side=algo.side,
            type=OrderType.LIMIT if limit else OrderType.MARKET,
            time_in_force=algo.time_in_force if limit else TimeInForce.GTC,
            position_side=algo.position_side,
            quantity=abs(held.quantity) if algo.close_position else algo.quantity,
            price=algo.price,
            reduce_only=algo.reduce_only,
            client_id=algo.client_id,
            price_match=algo.price_match,
            prevention=algo.prevention,
            good_till_ms=algo.good_till_ms,
            original_type=algo.type,
            stop_price=algo.trigger_price,
            close_position=algo.close_position,
        )

    def _follow(self, algo: Algo, now_ms: int) -> None:
        """Finishes a triggered order when the order it became has ended."""
        order = self._state.books(algo.account).orders.get(algo.order_id or 0)
        if order is None or not order.open:
            self._state.end_algo(algo, AlgoStatus.FINISHED, now_ms)

    # -- accepting ----------------------------------------------------------------------------------------------------

    def _check(self, account: str, request: PlaceAlgo, now_ms: int) -> Fault | None:
        books = self._state.books(account)
        if request.algo_type != "CONDITIONAL":
            return refuse(-1130, "algoType")
        fault = check_symbol(self._state, books, request.symbol) or check_parameters(request, now_ms)
        if fault:
            return fault
        client_id = given(request.client_algo_id, "")
        if client_id and books.open_algo_with_client_id(client_id):
            return refuse(-4116)
        if len(books.open_algos) >= _MOST_OPEN:
            return refuse(-4045)
        side = given(request.position_side, PositionSide.BOTH)
        fault = check_mode(books, side, reduce_only_sent=request.reduce_only is not UNSET)
        return fault or self._check_rules(request) or self._check_closing(books, request, now_ms)

    def _check_closing(self, books: AccountBooks, request: PlaceAlgo, now_ms: int) -> Fault | None:
        """An order that lives with a position needs one that it would close; only one in a direction may close all of it."""
        closing = given(request.close_position, False)
        if not closing and request.time_in_force is not TimeInForce.GTE_GTC:
            return None
        side = given(request.position_side, PositionSide.BOTH)
        position = books.account.position(request.symbol, side)
        if not closes(position, request.side) or now_ms - position.opened_ms < self._lag_ms:
            return refuse(-4509)
        for algo in reversed(books.algos.values()) if closing else ():
            same = (algo.symbol, algo.side, algo.position_side) == (request.symbol, request.side, side)
            if same and algo.close_position and (algo.open or self._just_ended(algo, now_ms)):
                return refuse(-4130)
        return None

    def _just_ended(self, algo: Algo, now_ms: int) -> bool:
        return algo.status is AlgoStatus.CANCELED and now_ms - algo.updated_ms < self._lag_ms

    def _check_rules(self, request: PlaceAlgo) -> Fault | None:
        filters = self._state.contract(request.symbol).filters
        is_market = request.type not in LIMIT_TYPES
        broken = None
        if request.quantity is not UNSET:
            broken = filters.check_quantity(Decimal(request.quantity), market=is_market)
        for price in (request.price, request.trigger_price, request.activate_price):
            if price is not UNSET and broken is None:
                broken = filters.check_price(Decimal(price))
        return Fault(broken.code, broken.msg) if broken else None

    def _algo(self, account: str, request: PlaceAlgo, now_ms: int) -> Algo:
        algo_id = self._state.small_id()
        closing, side = given(request.close_position, False), given(request.position_side, PositionSide.BOTH)
        time_in_force = TimeInForce.GTE_GTC if closing else given(request.time_in_force, TimeInForce.GTC)
        books, asked = self._state.books(account), given(request.reduce_only, False)
        rate = given(request.callback_rate, "")
        activate = given(request.activate_price, "")
        return Algo(
            algo_id=algo_id,
            account=account,
            symbol=request.symbol,
            client_id=given(request.client_algo_id, "") or f"venue{base36(algo_id)}",
            side=request.side,
            type=request.type,
            time_in_force=time_in_force,
            position_side=side,
            quantity=Decimal(given(request.quantity, "0")),
            price=Decimal(given(request.price, "0")),
            trigger_price=Decimal(given(request.trigger_price, "0")),
            working_type=given(request.working_type, WorkingType.CONTRACT_PRICE),
            price_match=given(request.price_match, PriceMatch.NONE),
            prevention=given(request.self_trade_prevention_mode, DEFAULT_PREVENTION),
            close_position=closing,
            price_protect=given(request.price_protect, False),
            reduce_only=closing or is_closing(books, request.side, side, reduce_only=asked),
            good_till_ms=given(request.good_till_date, 0) // 1000 * 1000,
            activate_price=Decimal(activate) if activate else None,
            callback_rate=Decimal(rate) if rate else None,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
