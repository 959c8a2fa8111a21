"""What the parts of the private side share: the account store, the markets, the ids, and the events that are to be sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from coldframe.enums import AlgoStatus, ExecutionType, OrderStatus, Side
from coldframe.exchange.contracts import Contract
from coldframe.exchange.market.symbol_market import SymbolMarket
from coldframe.exchange.trading.account_store import AccountBooks, AccountStore
from coldframe.exchange.trading.entities import Account, Algo, Moved, Order, Position
from coldframe.exchange.trading.ids import OrderIds
from coldframe.exchange.trading.margin import MarginAccount, margin_account
from coldframe.exchange.trading.order_events import ASSET, OwnFill, algo_event, order_event
from coldframe.units import ZERO, plain
from coldframe.wire.account import UserEvent
from coldframe.wire.replies import MarginChange


class ExchangeState:
    """Shared state of the private side. Events leave in the order in which they are emitted."""

    def __init__(
        self,
        store: AccountStore,
        markets: Mapping[str, SymbolMarket],
        start_ms: int,
        long_ids: Iterable[str] = (),
        rates: Mapping[str, Decimal] | None = None,
    ) -> None:
        self.store = store
        self.markets = markets
        #: Prices of assets that have no contract here, in US dollars.
        self.rates = rates or {}
        self.events: list[tuple[str, UserEvent]] = []
        self._order_ids = OrderIds(long_ids, store.orders_known(), start_ms)
        self._next_small_id = start_ms * 1000

    def order_id(self, symbol: str) -> int:
        """The id of a new order of a symbol."""
        return self._order_ids.next(symbol)

    def small_id(self) -> int:
        """An id for anything but orders: algo orders, amendments, transfers."""
        self._next_small_id += 1
        return self._next_small_id

    def market(self, symbol: str) -> SymbolMarket:
        return self.markets[symbol]

    def contract(self, symbol: str) -> Contract:
        return self.markets[symbol].contract

    def mark(self, symbol: str) -> Decimal:
        return self.markets[symbol].public_data.prices.mark

    def asset_price(self, asset: str) -> Decimal | None:
        """What an asset is worth in US dollars: the index price of its contract, else its fixed rate."""
        market = self.markets.get(f"{asset}USDT")
        return market.public_data.prices.index if market is not None and market.public_data.prices.known else self.rates.get(asset)

    def books(self, account: str) -> AccountBooks:
        return self.store.books[account]

    def margin_account(self, account: str) -> MarginAccount:
        """The account at the present mark prices, as far as its contracts are listed here."""
        books = self.books(account)
        return margin_account(books.account, books.open.values(), self.markets.keys(), self.contract, self.mark)

    def unlisted(self) -> list[str]:
        """The contracts of which the account store remembers positions or open orders, and which are not listed here."""
        held = [
            symbol
            for books in self.store.books.values()
            for symbol in (
                *(position.symbol for position in books.account.positions.values() if position.quantity),
                *(order.symbol for order in books.open.values()),
                *(algo.symbol for algo in books.open_algos.values()),
            )
        ]
        return sorted(set(held) - self.markets.keys())

    def emit(self, account: str, event: UserEvent) -> None:
        """Sends an event to an account."""
        self.events.append((account, event))

    def take_events(self) -> list[tuple[str, UserEvent]]:
        """The events since the last call, in order."""
        taken, self.events = self.events, []
        return taken

    def report(
        self, order: Order, execution: ExecutionType, now_ms: int, *, fill: OwnFill | None = None, expiry_reason: str = "0"
    ) -> None:
        """Writes an order down and tells its account what has happened to it."""
        order.updated_ms = now_ms
        self.store.note(order)
        notionals = self.notionals(order)
        event = order_event(
            order, self.contract(order.symbol), execution, now_ms, notionals, fill=fill, expiry_reason=expiry_reason
        )
        self.emit(order.account, event)

    def notionals(self, order: Order) -> tuple[Decimal, Decimal]:
        """Value of the open bids and asks of the account in that order's symbol."""
        bids = asks = ZERO
        for other in self.books(order.account).of_symbol(order.symbol):
            if other.side is Side.BUY:
                bids += other.price * other.left
            else:
                asks += other.price * other.left
        return bids, asks

    def note_margin(self, account: Account, position: Position, amount: Decimal, cause: str, now_ms: int) -> None:
        """Writes down that the margin of an isolated position has changed, by a fill (TRADE) or by hand (USER_ADJUST)."""
        if not amount:
            return
        change = MarginChange(
            symbol=position.symbol,
            type=1 if amount > 0 else 2,
            delta_type=cause,
            amount=plain(abs(amount)),
            asset=ASSET,
            time=now_ms,
            position_side=position.side,
        )
        self.store.note(Moved(account=account.name, change=change))

    def end_algo(self, algo: Algo, status: AlgoStatus, now_ms: int, *, reason: str = "") -> None:
        """Ends a conditional order."""
        algo.status, algo.reason = status, reason
        self.report_algo(algo, now_ms)

    def report_algo(self, algo: Algo, now_ms: int) -> None:
        """Writes a conditional order down and tells its account how it stands."""
        algo.updated_ms = now_ms
        self.store.note(algo)
        became = self.books(algo.account).orders.get(algo.order_id or 0)
        self.emit(algo.account, algo_event(algo, self.contract(algo.symbol), now_ms, became))

    def end(self, order: Order, status: OrderStatus, now_ms: int, *, expiry_reason: str = "0") -> None:
        """Ends an order that the book does not hold any more."""
        order.status = status
        execution = ExecutionType.CANCELED if status is OrderStatus.CANCELED else ExecutionType.EXPIRED
        self.report(order, execution, now_ms, expiry_reason=expiry_reason)

    def pull(self, order: Order, status: OrderStatus, now_ms: int, *, expiry_reason: str = "0") -> None:
        """Takes a resting order out of the book and ends it."""
        market = self.market(order.symbol)
        market.withdraw(order.order_id, order.side, scaled_price(order), now_ms)
        self.end(order, status, now_ms, expiry_reason=expiry_reason)


def scaled_price(order: Order) -> int:
    """The price of an order in units of 10**-12."""
    return int(order.price.scaleb(12))
