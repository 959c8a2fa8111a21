"""An exchange without sockets, on a bare market or two, that a test can trade on line by line."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from random import Random

import msgspec

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.config.venue import VenueAccount
from coldframe.enums import Side
from coldframe.exchange.contracts import Listing, contract, to_scaled
from coldframe.exchange.endpoints.requester import Requester
from coldframe.exchange.endpoints.rest import _CALLS
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.keys import AccountKeys
from coldframe.exchange.market.public_market_data import PublicMarketData
from coldframe.exchange.market.symbol_market import SymbolMarket, UpdateIds
from coldframe.exchange.matching import Taker
from coldframe.exchange.trading.account_store import AccountStore, MemoryAccountStore
from coldframe.exchange_server.key_files import keys_for
from coldframe.wire.account import AccountUpdate, AlgoUpdate, OrderTradeUpdate, UserEvent
from coldframe.wire.codec import encode
from coldframe.wire.requests import Fault, read
from coldframe.wire.rest import ENDPOINTS
from tests.randomness import randomness

START_MS = 1_700_000_000_000
SYMBOL = "BTCUSDT"


def symbol_market(
    symbol: str = SYMBOL, mark: str = "1000.0", *, funding_ms: int = 28_800_000, shows_orders: bool = True
) -> SymbolMarket:
    """A market with an empty book: tick 0.1, step 0.001, and a mark price."""
    listing = Listing(
        symbol=symbol,
        base=symbol.removesuffix("USDT"),
        tick=Decimal("0.1"),
        step=Decimal("0.001"),
        price_digits=1,
        quantity_digits=3,
        min_price=Decimal("0.1"),
        max_price=Decimal(100_000),
        max_quantity=Decimal(1000),
        market_quantity=Decimal(500),
    )
    public_data = PublicMarketData(contract(listing), funding_ms, 1)
    public_data.book.known = True
    made = SymbolMarket(public_data, UpdateIds(1000, Random(1)), 100, shows_orders=shows_orders)
    public_data.prices.begin(to_scaled(Decimal(mark)))
    return made


@cache
def shared_keys(*names: str) -> tuple[AccountKeys, ...]:
    """Keys are slow to make and say nothing about an exchange: all rigs share them."""
    return keys_for(list(names), None)


class Rig:
    """One exchange; account `a` unless another is named. Quantities and prices are texts, as on the wire."""

    def __init__(
        self,
        *markets: SymbolMarket,
        accounts: tuple[VenueAccount, ...] = (),
        store: AccountStore | None = None,
        **settings: object,
    ) -> None:
        chosen = accounts or (VenueAccount(name="a"), VenueAccount(name="b"))
        self.settings = Settings(accounts=list(chosen), **settings)  # type: ignore[arg-type]
        self.markets = {market.contract.symbol: market for market in markets or (symbol_market(),)}
        self.keys = shared_keys(*(item.name for item in chosen))
        self.now_ms = START_MS
        self.exchange = Exchange(self.settings, self.markets, self.keys, store or MemoryAccountStore(), START_MS, randomness())

    @property
    def symbol_market(self) -> SymbolMarket:
        return next(iter(self.markets.values()))

    def call(self, name: str, account: str = "a", **params: object) -> object:
        """Carries out a call of REST by verb and path; gives the decoded body, or the code of the refusal."""
        verb, path = name.split(" ")
        given = read(ENDPOINTS[(verb, path)].request, params)
        result = given if isinstance(given, Fault) else _CALLS[name](self.exchange, Requester(account), given, self.now_ms)
        return result.code if isinstance(result, Fault) else msgspec.json.decode(encode(result))

    def place(self, side: str, quantity: str, price: str | None = None, account: str = "a", **more: object) -> dict | int:
        """Places a LIMIT order (GTC unless said otherwise), or a MARKET one without a price."""
        kind: dict[str, object] = {"type": "MARKET"} if price is None else {"type": "LIMIT", "price": price, "timeInForce": "GTC"}
        params = {"symbol": SYMBOL, "side": side, "quantity": quantity, **kind, **more}
        params = {name: value for name, value in params.items() if value is not None}
        return self.call("POST /fapi/v1/order", account, **params)  # type: ignore[return-value]

    def cancel(self, order_id: int, account: str = "a") -> dict | int:
        return self.call("DELETE /fapi/v1/order", account, symbol=SYMBOL, orderId=order_id)  # type: ignore[return-value]

    def modify(self, order_id: int, side: str, quantity: str, price: str | None, account: str = "a", **more: object) -> dict | int:
        params = {"symbol": SYMBOL, "orderId": order_id, "side": side, "quantity": quantity, "price": price, **more}
        return self.call("PUT /fapi/v1/order", account, **params)  # type: ignore[return-value]

    def query(self, order_id: int, account: str = "a") -> dict | int:
        return self.call("GET /fapi/v1/order", account, symbol=SYMBOL, orderId=order_id)  # type: ignore[return-value]

    # -- the rest of the market -----------------------------------------------------------------------------------------

    def add_liquidity(self, side: Side, price: str, quantity: str, symbol: str = SYMBOL) -> None:
        """Puts background liquidity into the book."""
        self.markets[symbol].rest(side, to_scaled(Decimal(price)), to_scaled(Decimal(quantity)), self.now_ms)

    def public_takes(self, side: Side, quantity: str, limit: str, symbol: str = SYMBOL) -> None:
        """The public trades against the book."""
        taker = Taker(side=side, quantity=to_scaled(Decimal(quantity)), limit=to_scaled(Decimal(limit)))
        _, met = self.markets[symbol].trade_order(taker, self.now_ms)
        self.exchange.clearing.clear_executions(symbol, met, self.now_ms)

    def book(self, *, bid: str = "999.9", ask: str = "1000.1", quantity: str = "100") -> None:
        """A level of background liquidity on each side."""
        self.add_liquidity(Side.BUY, bid, quantity)
        self.add_liquidity(Side.SELL, ask, quantity)

    def mark(self, price: str, symbol: str = SYMBOL) -> None:
        """Sets the mark price."""
        self.markets[symbol].public_data.prices.set_mark(Decimal(price))

    def pass_ms(self, milliseconds: int) -> None:
        """Lets time pass."""
        self.now_ms += milliseconds
        self.exchange.advance(self.now_ms)

    # -- what came of it --------------------------------------------------------------------------------------------------

    def events(self, account: str = "a") -> list[UserEvent]:
        """The private events of an account since the last look; those of others are dropped."""
        return [event for name, event in self.exchange.state.take_events() if name == account]

    def position(self, account: str = "a", symbol: str = SYMBOL, side: str = "BOTH") -> Decimal:
        positions = self.exchange.state.books(account).account.positions
        found = positions.get(f"{symbol}/{side}")
        return found.quantity if found else Decimal(0)

    def wallet(self, account: str = "a") -> Decimal:
        return self.exchange.state.books(account).account.wallet


def order_events(events: list[UserEvent]) -> list[tuple[str, str]]:
    """What happened to orders, and the status each time."""
    return [(str(event.order.execution), str(event.order.status)) for event in events if isinstance(event, OrderTradeUpdate)]


def last_order(events: list[UserEvent]) -> OrderTradeUpdate:
    return [event for event in events if isinstance(event, OrderTradeUpdate)][-1]


def account_updates(events: list[UserEvent]) -> list[AccountUpdate]:
    return [event for event in events if isinstance(event, AccountUpdate)]


def algo_states(events: list[UserEvent]) -> list[str]:
    return [str(event.order.status) for event in events if isinstance(event, AlgoUpdate)]
