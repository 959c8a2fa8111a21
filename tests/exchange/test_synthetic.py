"""The synthetic market: the same seed gives the same market, and it is one that can be traded on."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.enums import Side
from coldframe.errors import ConfigError
from coldframe.exchange.market.public_market_data import DepthChange, PublicMarketData
from coldframe.exchange.market.public_trades import MarketTrade
from coldframe.exchange.market.streams import Streams
from coldframe.exchange.market.symbol_market import TradeExecution
from coldframe.exchange.matching import Taker
from coldframe.exchange.synthetic import SyntheticMarket
from coldframe.units import scaled
from tests.exchange.queues import left_of

T0 = 1_700_000_000_000


class Notary:
    """A watcher that counts, and writes everything down if it is to."""

    def __init__(self, writes: bool) -> None:
        self._writes = writes
        self.digest = hashlib.sha256()
        self.depths = self.trades = self.best_changes = self.liquidations = self.contracts = 0
        self.crossed = 0
        self._best: object = None

    def on_depth(self, public_data: PublicMarketData, change: DepthChange) -> None:
        self.depths += 1
        if self._writes:
            self.digest.update(repr((public_data.symbol, change)).encode())
        bid, ask = best = public_data.book.best()
        self.best_changes += best != self._best
        self._best = best
        if bid and ask and scaled(bid[0]) >= scaled(ask[0]):
            self.crossed += 1

    def on_trade(self, public_data: PublicMarketData, trade: MarketTrade) -> None:
        self.trades += 1
        if self._writes:
            self.digest.update(repr(trade).encode())

    def on_aggregate(self, public_data: PublicMarketData, aggregate: object) -> None: ...

    def on_liquidation(self, public_data: PublicMarketData, order: object) -> None:
        self.liquidations += 1

    def on_contract(self, public_data: PublicMarketData, brackets: object) -> None:
        self.contracts += 1


def market(
    seed: int = 7, pace: str = "1", symbols: tuple[str, ...] = (), *, writes: bool = False
) -> tuple[SyntheticMarket, dict[str, Notary]]:
    made = SyntheticMarket(Settings(seed=seed, pace=Decimal(pace), symbols=list(symbols)), T0, {}, Random)
    notaries = {symbol: Notary(writes) for symbol in made.markets}
    for symbol, symbol_market in made.markets.items():
        symbol_market.public_data.watchers.append(notaries[symbol])
    return made, notaries


def fingerprint(seed: int, step_ms: int, seconds: int = 20) -> str:
    """Everything that happened, hashed; `step_ms` is how often the market is advanced."""
    made, notaries = market(seed, symbols=("BTCUSDT", "SOLUSDT"), writes=True)
    for at_ms in range(T0, T0 + seconds * 1000 + 1, step_ms):
        made.advance(at_ms)
    return "".join(notary.digest.hexdigest() for notary in notaries.values())


def test_same_seed_gives_the_same_market_at_any_polling_interval() -> None:
    assert fingerprint(7, 50) == fingerprint(7, 50)
    assert fingerprint(7, 50) == fingerprint(7, 1000)
    assert fingerprint(7, 50) != fingerprint(8, 50)


@pytest.mark.scene
def test_two_processes_with_different_hash_seeds_agree() -> None:
    code = "from tests.exchange.test_synthetic import fingerprint; print(fingerprint(3, 100, 5))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.scene
@pytest.mark.parametrize(
    ("symbols", "busiest"), [((), "BTCUSDT"), (("SOLUSDT", "ETHUSDT"), "ETHUSDT"), (("DEFIUSDT",), "DEFIUSDT")]
)
def test_the_busiest_is_liquidated_every_two_minutes(symbols: tuple[str, ...], busiest: str) -> None:
    made, notaries = market(symbols=symbols)
    heard: list[int] = []
    for second in range(1, 301):
        made.advance(T0 + second * 1000)
        if notaries[busiest].liquidations > len(heard):
            heard.append(second)
    assert heard[0] <= 60
    assert max(later - earlier for earlier, later in pairwise([*heard, 300])) <= 120


def test_the_order_flow_is_believable() -> None:
    made, notaries = market()
    for second in range(1, 41):
        made.advance(T0 + second * 1000)
    busy = notaries["BTCUSDT"]
    assert 5 <= busy.trades / 40 <= 20
    assert 40 <= busy.depths / 40 <= 200
    assert busy.best_changes / 40 >= 10
    assert sum(notary.crossed for notary in notaries.values()) == 0
    assert sum(notary.liquidations for notary in notaries.values()) >= 1
    assert sum(notary.contracts for notary in notaries.values()) >= 1
    for symbol, symbol_market in made.markets.items():
        bid, ask = symbol_market.public_data.book.best()
        assert bid is not None, symbol
        assert ask is not None, symbol
        ticks = (scaled(ask[0]) - scaled(bid[0])) // scaled(format(symbol_market.contract.filters.tick, "f"))
        assert 1 <= ticks <= 30, symbol
        assert len(symbol_market.public_data.book.bids) >= 50


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_prices_move_gently(symbol: str) -> None:
    made, _ = market(symbols=(symbol,))
    public_data = made.markets[symbol].public_data
    start, worst = public_data.book.middle(), Decimal(0)
    assert start is not None
    for second in range(1, 61):
        made.advance(T0 + second * 1000)
        here = public_data.book.middle()
        assert here is not None
        worst = max(worst, abs(Decimal(here) / start - 1))
    assert Decimal("0.00001") < worst < Decimal("0.003")


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_a_quote_at_the_best_price_is_met_within_seconds(symbol: str, side: Side) -> None:
    made, _ = market(symbols=(symbol,))
    met: list[TradeExecution] = []
    symbol_market = made.markets[symbol]
    made.bind(Streams([symbol_market.public_data]), lambda _, executions: met.extend(executions))
    made.advance(T0 + 1000)
    best = symbol_market.matching.best(side)
    assert best is not None
    symbol_market.rest(side, best, scaled(format(symbol_market.contract.filters.lot.step, "f")), T0 + 1000, 77, "me")
    waited = next(second for second in range(2, 40) if not made.advance(T0 + second * 1000) and met)
    assert waited <= 15
    assert met[0].fill.maker_id == 77


def test_quotes_two_basis_points_away_are_met_by_sweeps() -> None:
    made, _ = market(symbols=("BTCUSDT",))
    met: list[TradeExecution] = []
    symbol_market = made.markets["BTCUSDT"]
    made.bind(Streams([symbol_market.public_data]), lambda _, executions: met.extend(executions))
    order_id = 0
    for second in range(1, 61):
        made.advance(T0 + second * 1000)
        middle = symbol_market.public_data.book.middle()
        assert middle is not None
        for old in (order_id, order_id - 1):
            symbol_market.matching.withdraw(old)
        for side in (Side.BUY, Side.SELL):
            order_id += 1
            price = middle - side.sign * middle // 5000
            symbol_market.rest(side, price // 10**11 * 10**11, 2 * 10**9, T0 + second * 1000, order_id, "me")
    assert len(met) >= 3


def test_background_liquidity_over_an_own_order_takes_it() -> None:
    made, notaries = market(symbols=("BTCUSDT",))
    met: list[TradeExecution] = []
    symbol_market = made.markets["BTCUSDT"]
    made.bind(Streams([symbol_market.public_data]), lambda _, executions: met.extend(executions))
    made.advance(T0 + 1000)
    above = symbol_market.public_data.book.middle()
    assert above is not None
    high = above // 10**11 * 10**11 + 30 * 10**12
    symbol_market.trade_order(Taker(side=Side.BUY, quantity=10**30, limit=high), T0 + 1000)
    symbol_market.rest(Side.BUY, high, 10**12, T0 + 1000, 5, "me")
    made.advance(T0 + 5000)
    assert met
    assert left_of(symbol_market.matching, 5) == 0
    assert notaries["BTCUSDT"].crossed == 0


def test_a_restarted_market_goes_on_from_where_it_stood() -> None:
    made = SyntheticMarket(Settings(symbols=["BTCUSDT"]), T0, {"BTCUSDT": 70_000 * 10**12}, Random)
    middle = made.markets["BTCUSDT"].public_data.book.middle()
    assert middle is not None
    assert abs(middle - 70_000 * 10**12) < 10**12


def test_a_long_sleep_is_not_made_up_for() -> None:
    made, notaries = market(symbols=("BTCUSDT",))
    made.advance(T0 + 86_400_000)
    assert notaries["BTCUSDT"].trades < 100


def test_pace_multiplies_what_happens() -> None:
    slow, quick = market(pace="1"), market(pace="4")
    for second in range(1, 11):
        slow[0].advance(T0 + second * 1000)
        quick[0].advance(T0 + second * 1000)
    assert quick[1]["BTCUSDT"].trades > 2.5 * slow[1]["BTCUSDT"].trades


def test_an_unknown_symbol_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"lists no DOGEUSDT; it has BTCUSDT, ETHUSDT"):
        market(symbols=("DOGEUSDT",))
