"""Changes in any order, among orders of an account: nothing raises, what is done is so, and the books still add up."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.config.venue import VenueAccount, VenueChange
from coldframe.enums import ContractStatus
from coldframe.exchange.endpoints.requester import Requester
from coldframe.exchange.endpoints.rest import _CALLS
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.synthetic import SyntheticMarket
from coldframe.exchange.trading.account_store import MemoryAccountStore
from coldframe.exchange_server.key_files import keys_for
from coldframe.wire.requests import Fault, read
from coldframe.wire.rest import ENDPOINTS
from tests.examples import examples
from tests.randomness import randomness

T0 = 1_700_000_000_000
SYMBOLS = ("BTCUSDT", "SOLUSDT", "TSLAUSDT")
KEYS = keys_for(["a"], None)
VALUES = {
    "listing": ("listed", "pending", "delisted"),
    "tick": ("0.01", "0.5", "1", "100000"),
    "step": ("0.001", "0.1", "2"),
    "min_notional": ("1", "500"),
    "status": tuple(status.value for status in ContractStatus),
    "brackets": ("0.00000001", "0.5", "3"),
    "funding_interval_h": ("1", "4"),
    "leverage": ("1", "20", "125", "999"),
    "margin": ("cross", "isolated"),
    "position_mode": ("one_way", "hedge"),
    "asset_mode": ("single", "multi"),
    "fee_burn": ("on", "off"),
    "agreement": ("signed", "unsigned"),
}
LISTS = (
    "v1/exchangeInfo",
    "v3/account",
    "v3/positionRisk",
    "v1/openOrders",
    "v1/openAlgoOrders",
    "v1/premiumIndex",
    "v1/fundingInfo",
)

changes = st.sampled_from(sorted(VALUES)).flatmap(
    lambda what: st.builds(
        VenueChange,
        at_s=st.just(Decimal(0)),
        what=st.just(what),
        value=st.sampled_from(VALUES[what]),
        symbol=st.sampled_from(SYMBOLS),
        account=st.just("a"),
    )
)
trades = st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(("BUY", "SELL")), st.sampled_from(("MARKET", "LIMIT", "STOP_MARKET")))
steps = st.lists(st.one_of(changes, trades, st.sampled_from((50, 1000, 61_000, 3_600_000))), max_size=25)


class World:
    """A synthetic market of two contracts, where a third can be listed, and an account that trades."""

    def __init__(self) -> None:
        account = VenueAccount(name="a", tradfi_agreement=True, bnb_balance=Decimal(1))
        wanted = Settings(symbols=["BTCUSDT", "TSLAUSDT"], accounts=[account])
        self.market = SyntheticMarket(wanted, T0, {}, Random)
        self.now_ms = T0
        self.exchange = Exchange(
            wanted, self.market.markets, KEYS, MemoryAccountStore(), T0, randomness(), introduce=self.market.introduce
        )
        self.market.bind(
            self.exchange.streams, lambda symbol, met: self.exchange.clearing.clear_executions(symbol, met, self.now_ms)
        )

    def call(self, name: str, **params: object) -> object:
        given_ = read(ENDPOINTS[tuple(name.split(" "))].request, params)  # type: ignore[index]
        return given_ if isinstance(given_, Fault) else _CALLS[name](self.exchange, Requester("a"), given_, self.now_ms)

    def take(self, step: Any) -> None:
        match step:
            case VenueChange():
                refusal = self.exchange.change(step, self.now_ms)
                assert refusal is None or refusal
                if refusal is None:
                    self.check_done(step)
            case int():
                self.now_ms += step
                self.market.advance(self.now_ms)
                self.exchange.advance(self.now_ms)
                self.exchange.streams.tick(self.now_ms)
            case (symbol, side, kind):
                self.trade(symbol, side, kind)

    def trade(self, symbol: str, side: str, kind: str) -> None:
        symbol_market = self.exchange.markets.get(symbol)
        mark = symbol_market.public_data.prices.mark if symbol_market else Decimal(100)
        tick = symbol_market.contract.filters.tick if symbol_market else Decimal(1)
        below = (side == "BUY") is (kind != "STOP_MARKET")
        price = format(mark * (Decimal("0.99") if below else Decimal("1.01")) // tick * tick, "f")
        params: dict[str, object] = {"symbol": symbol, "side": side, "type": kind, "quantity": "2"}
        if self.exchange.state.books("a").account.hedge:
            params["positionSide"] = "LONG"
        if kind == "STOP_MARKET":
            self.call("POST /fapi/v1/algoOrder", algoType="CONDITIONAL", triggerPrice=price, **params)
        else:
            more = {"price": price, "timeInForce": "GTC"} if kind == "LIMIT" else {}
            self.call("POST /fapi/v1/order", **params, **more)

    def check_done(self, change: VenueChange) -> None:
        symbol_market = self.exchange.markets.get(change.symbol)
        if change.what == "listing":
            states = {"listed": "TRADING", "pending": "PENDING_TRADING", "delisted": "SETTLING"}
            assert symbol_market is not None
            assert symbol_market.contract.info.status == states[change.value]
        elif change.what == "status":
            assert symbol_market is not None
            assert symbol_market.contract.info.status == change.value
        elif change.what == "tick":
            assert symbol_market is not None
            assert symbol_market.contract.filters.tick == Decimal(change.value)

    def check(self) -> None:
        books = self.exchange.state.books("a")
        for symbol, symbol_market in self.exchange.markets.items():
            if symbol_market.contract.ended:
                assert books.of_symbol(symbol) == []
                assert not any(algo.symbol == symbol for algo in books.open_algos.values())
                assert not any(position.quantity for position in books.account.positions.values() if position.symbol == symbol)
        moved: dict[tuple[str, str], Decimal] = {}
        for traded in books.trades:
            key = (traded.trade.symbol, str(traded.trade.position_side))
            signed = Decimal(str(traded.trade.qty)) * (1 if traded.trade.buyer else -1)
            moved[key] = moved.get(key, Decimal(0)) + signed
        held = {(position.symbol, str(position.side)): position.quantity for position in books.account.positions.values()}
        assert all(moved.get(key, 0) == held.get(key, 0) for key in moved | held)
        incomes = sum((Decimal(str(income.income.income)) for income in books.incomes if income.income.asset == "USDT"), Decimal(0))
        assert books.account.wallet == 10_000 + incomes
        for name in LISTS:
            assert not isinstance(self.call(f"GET /fapi/{name}"), Fault)
        self.exchange.take_private()


@settings(max_examples=examples(60))
@given(steps)
def test_changes_in_any_order_leave_the_books_right(taken: list[Any]) -> None:
    world = World()
    end: list[Any] = [("BTCUSDT", "BUY", kind) for kind in ("MARKET", "LIMIT", "STOP_MARKET")]
    end += [VenueChange(at_s=Decimal(0), what="listing", value="delisted", symbol=symbol) for symbol in SYMBOLS]
    for step in (*taken, *end, 61_000):
        world.take(step)
        world.check()
