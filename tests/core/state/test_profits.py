"""Profits as running sums: whatever happens, they are what adding everything up anew gives, to the last digit that is printed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.state.asset_values import AssetValues
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.limits import Budget
from coldframe.core.state.orders import Orders
from coldframe.core.state.positions import StrategyPositions
from coldframe.core.state.profits import ExactSum, Profits
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.core.strategies.loss_check import limits_just_hit
from coldframe.core.strategies.runtime import StrategyRuntimes
from coldframe.enums import PositionSide, Side
from coldframe.units import ZERO, arithmetic
from tests.core.addingup import profit_of
from tests.core.made import START_MS, START_NS
from tests.core.risk.test_flat import lines_of

D = Decimal
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
ASSETS = ("USDT", "BNB", "ETH")
STRATEGIES = ("b", "a")
RETIRED = "gone"


class Books:
    """Accounts, prices, and the running sums over both."""

    def __init__(self) -> None:
        self.prices = AssetValues()
        self.accounts = {name: StrategyPositions() for name in (*STRATEGIES, RETIRED)}
        # One has something from before.
        self.accounts["a"].filled("ETHUSDT", PositionSide.BOTH, Side.BUY, D("0.5"), D("2000.10"))
        strategies = {name: self.accounts[name] for name in STRATEGIES}
        self.profits = Profits(strategies, {RETIRED: self.accounts[RETIRED]}, self.prices)
        self.before: dict[str, Decimal] = {}

    def look(self, day: int = 1) -> list[str]:
        """Takes in what has happened, and compares with adding up anew."""
        changed = self.profits.changed(day)
        anew = {name: profit_of(account, self.prices) for name, account in self.accounts.items()}
        assert {name: str(self.profits.of(name)) for name in self.accounts} == {name: str(profit) for name, profit in anew.items()}
        assert str(self.profits.total) == str(sum(anew.values(), ZERO))
        unknown = {name for name in STRATEGIES if not known(self.accounts[name], self.prices)}
        assert {name for name in STRATEGIES if not self.profits.known(name)} == unknown
        assert self.profits.all_known == (not unknown)
        now = {name: anew[name] for name in STRATEGIES}
        assert {name for name in STRATEGIES if now[name] != self.before.get(name)} <= set(changed)
        assert changed == [name for name in STRATEGIES if name in changed]
        self.before = now
        return changed


def known(account: StrategyPositions, prices: AssetValues) -> bool:
    return all(symbol in prices.mark_prices for (symbol, _), position in account.positions.items() if position.quantity)


Act = Callable[[Books], object]
numbers = st.sampled_from(["0.001", "1", "2.50", "3", "0.333", "7.0", "1000"]).map(D)
amounts = st.sampled_from(["-0.10", "0.00000001", "5", "-3.2500", "0"]).map(D)
owners = st.sampled_from([*STRATEGIES, RETIRED])


def fill(owner: str, symbol: str, position_side: PositionSide, side: Side, quantity: Decimal, price: Decimal) -> Act:
    return lambda books: books.accounts[owner].filled(symbol, position_side, side, quantity, price)


def pay(owner: str, fee: Decimal, asset: str, notional: Decimal) -> Act:
    return lambda books: books.accounts[owner].pay(fee, asset, notional)


def fund(owner: str, amount: Decimal, asset: str) -> Act:
    return lambda books: books.accounts[owner].fund(amount, asset)


def mark(symbol: str, price: Decimal, told: bool) -> Act:
    return lambda books: (books.prices.mark_price_told if told else books.prices.mark_price_found)(symbol, price)


def rate(asset: str, price: Decimal) -> Act:
    return lambda books: books.prices.rate_told(asset, price)


def rates(asset: str, price: Decimal) -> Act:
    return lambda books: books.prices.rates_restored({asset: price})


def fee_rate(price: Decimal) -> Act:
    return lambda books: books.prices.fee_rate_told(price / 10_000)


symbols, assets = st.sampled_from(SYMBOLS), st.sampled_from(ASSETS)
ACTS = st.one_of(
    st.builds(fill, owners, symbols, st.sampled_from(PositionSide), st.sampled_from(Side), numbers, numbers),
    st.builds(pay, owners, amounts, assets, numbers),
    st.builds(fund, owners, amounts, assets),
    st.builds(mark, symbols, numbers, st.booleans()),
    st.builds(rate, assets, numbers),
    st.builds(rates, assets, numbers),
    st.builds(fee_rate, numbers),
    st.just(Books.look),
)


@given(st.lists(ACTS, max_size=40))
def test_running_sums_are_what_adding_up_anew_gives(acts: list[Act]) -> None:
    with localcontext(arithmetic()):
        books = Books()
        for act in acts:
            act(books)
        books.look()
        assert books.look() == []
        assert books.look(day=2) == list(STRATEGIES)


@given(st.lists(st.sampled_from(["1", "1.0", "-0.25", "1E+2", "0.000"]).map(D), min_size=1), st.data())
def test_a_sum_has_the_places_of_its_terms(terms: list[Decimal], data: st.DataObject) -> None:
    made = ExactSum()
    for term in terms:
        made.replace(None, term)
    gone = data.draw(st.integers(0, len(terms)))
    for term in terms[:gone]:
        made.replace(term, None)
    assert str(made.value) == str(sum(terms[gone:], ZERO))


# -- flat --------------------------------------------------------------------------------------------------------------


class Many:
    """So many strategies with a position in each of so many symbols; the price of one symbol moves, held by one strategy."""

    def __init__(self, strategies: int, positions: int) -> None:
        self.ctx = StepContext(lambda: 0.5, now_ns=START_NS)
        names = [f"s{number}" for number in range(strategies)]
        held = [f"X{number}USDT" for number in range(positions)]
        budget = Budget(max_loss=D(10) ** 9, max_drawdown=D(10) ** 9)
        accounts = {name: StrategyAccount(name, frozenset(held), budget) for name in names}
        self.state = EngineState(self.ctx, Orders(START_MS), accounts)
        for name in names:
            for symbol in held:
                accounts[name].holdings.filled(symbol, PositionSide.BOTH, Side.BUY, D(1), D(100))
        accounts["s0"].holdings.filled("BTCUSDT", PositionSide.BOTH, Side.BUY, D(1), D(100))
        for symbol in (*held, "BTCUSDT"):
            self.state.prices.mark_price_told(symbol, D(101))
        self.price = D(101)

    def tick(self) -> None:
        self.price += 1
        self.state.prices.mark_price_told("BTCUSDT", self.price)
        assert list(limits_just_hit(self.ctx, StrategyRuntimes(()), self.state)) == []


@pytest.mark.parametrize(("strategies", "positions"), [(1, 300), (60, 1), (60, 20)])
def test_a_look_at_losses_is_flat_in_what_has_not_changed(strategies: int, positions: int) -> None:
    few, many = (lines_of(partial(Many.tick, world)) for world in (Many(1, 1), Many(strategies, positions)))
    assert many == few > 0
