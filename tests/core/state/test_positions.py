"""Positions at their average cost, beside an oracle that computes with fractions."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.state.positions import Position, StrategyPositions
from coldframe.enums import PositionSide, Side

BUY, SELL = Side.BUY, Side.SELL
D = Decimal

FILLS = st.lists(
    st.tuples(
        st.sampled_from([BUY, SELL]),
        st.decimals("0.001", 1000, places=3),
        st.decimals("0.00001", 100_000, places=5),
    ),
    max_size=30,
)


class Exactly:
    """Average cost as a bookkeeper would write it down."""

    def __init__(self) -> None:
        self.quantity = Fraction(0)
        self.average = Fraction(0)
        self.realized = Fraction(0)
        self.cash = Fraction(0)

    def fill(self, side: Side, quantity: Decimal, price: Decimal) -> None:
        signed, at = Fraction(quantity) * side.sign, Fraction(price)
        self.cash -= signed * at
        after = self.quantity + signed
        if self.quantity * signed >= 0:
            self.average = (self.average * self.quantity + at * signed) / after
        else:
            closed = min(abs(signed), abs(self.quantity)) * (1 if self.quantity > 0 else -1)
            self.realized += closed * (at - self.average)
            if after * self.quantity < 0:
                self.average = at
        self.quantity = after


@given(FILLS)
def test_any_fills_give_the_same_position_profit_and_entry_price(fills: list[tuple[Side, Decimal, Decimal]]) -> None:
    position, oracle, realized = Position(), Exactly(), D(0)
    for side, quantity, price in fills:
        realized += position.fill(side, quantity, price)
        oracle.fill(side, quantity, price)
        assert Fraction(position.quantity) == oracle.quantity
        assert abs(Fraction(position.realized) - oracle.realized) < Fraction(1, 10**15)
        if position.quantity:
            entry = position.entry_price
            assert entry is not None
            assert abs(Fraction(entry) - oracle.average) < Fraction(1, 10**10)
        else:
            assert position.entry_price is None
            assert position.cost == 0
    assert abs(realized - position.realized) < D("1e-12")


@given(FILLS, st.decimals("0.00001", 100_000, places=5))
def test_nothing_is_lost_between_realised_and_unrealised(fills: list[tuple[Side, Decimal, Decimal]], mark: Decimal) -> None:
    """Whatever was traded: all the money that flowed, and what is held at the mark, add up exactly."""
    position, oracle = Position(), Exactly()
    for side, quantity, price in fills:
        position.fill(side, quantity, price)
        oracle.fill(side, quantity, price)
    assert Fraction(position.realized) - Fraction(position.cost) == oracle.cash
    with localcontext() as context:
        context.prec = 60
        assert Fraction(position.realized + position.unrealized(mark)) == oracle.cash + oracle.quantity * Fraction(mark)


@given(FILLS)
def test_selling_is_the_mirror_of_buying(fills: list[tuple[Side, Decimal, Decimal]]) -> None:
    """Short positions are long ones of the other sign; what the one wins from a rise the other loses."""
    position, mirror = Position(), Position()
    for side, quantity, price in fills:
        assert position.fill(side, quantity, price) == -mirror.fill(side.opposite, quantity, price)
        assert (position.quantity, position.cost) == (-mirror.quantity, -mirror.cost)


@pytest.mark.parametrize(
    ("fills", "quantity", "entry", "realized"),
    [
        ([(BUY, "1", "100"), (BUY, "3", "104")], "4", "103", "0"),
        ([(BUY, "4", "103"), (SELL, "1", "110")], "3", "103", "7"),
        ([(BUY, "4", "103"), (SELL, "4", "100")], "0", None, "-12"),
        ([(BUY, "1", "100"), (SELL, "3", "110")], "-2", "110", "10"),
        ([(SELL, "2", "100"), (BUY, "1", "90")], "-1", "100", "10"),
        ([(SELL, "2", "100"), (BUY, "5", "110")], "3", "110", "-20"),
        ([(BUY, "3", "10"), (SELL, "1", "11"), (BUY, "1", "14")], "3", "11.33333333333333333333333333", "1"),
    ],
)
def test_a_few_lives_of_a_position(fills: list[tuple[Side, str, str]], quantity: str, entry: str | None, realized: str) -> None:
    position = Position()
    for side, amount, price in fills:
        position.fill(side, D(amount), D(price))
    assert (position.quantity, position.realized) == (D(quantity), D(realized))
    assert (position.entry_price is None) == (entry is None)
    if entry is not None and position.entry_price is not None:
        assert abs(position.entry_price - D(entry)) < D("1e-25")


def test_decimal_precision_of_a_plugin_does_not_reach_positions() -> None:
    position = Position()
    with localcontext() as context:
        context.prec = 3
        position.fill(BUY, D("1.234567"), D("98765.4321"))
        position.fill(SELL, D("0.234567"), D("98765.4321"))
    assert position.quantity == D("1.000000")
    assert abs(position.cost - D("98765.4321")) < D("1e-12")


def test_an_account_adds_up_its_positions_and_fees() -> None:
    account = StrategyPositions()
    account.position("BTCUSDT").fill(BUY, D(2), D(100))
    account.position("ETHUSDT", PositionSide.LONG).fill(BUY, D(5), D(10))
    account.position("ETHUSDT", PositionSide.SHORT).fill(SELL, D(3), D(12))
    account.position("ETHUSDT", PositionSide.SHORT).fill(BUY, D(1), D(11))
    account.pay(D("0.1"), "USDT")
    account.pay(D("-0.03"), "USDT")
    account.pay(D("0.002"), "BNB")
    assert account.net("ETHUSDT") == 3
    assert account.net("BTCUSDT") == 2
    assert account.net("XYZUSDT") == 0
    assert account.realized == 1
    assert account.fees == {"USDT": D("0.07"), "BNB": D("0.002")}
    assert account.unrealized({"BTCUSDT": D(101)}) == 2
    assert account.unrealized({"BTCUSDT": D(101), "ETHUSDT": D(11)}) == 2 + 5 + 2
    # At the mark where there is one, at the entry price where there is none.
    assert account.notional({"BTCUSDT": D(101)}) == 202 + 50 + 24
    assert account.notional({}) == 200 + 50 + 24


def test_the_entry_price_is_that_of_the_only_open_side() -> None:
    account, both = StrategyPositions(), PositionSide.BOTH
    assert account.entry_price("BTCUSDT") is None
    account.position("BTCUSDT", PositionSide.LONG).fill(Side.BUY, Decimal(1), Decimal(100))
    account.position("ETHUSDT").fill(Side.BUY, Decimal(1), Decimal(7))
    assert account.entry_price("BTCUSDT", both) == account.entry_price("BTCUSDT", PositionSide.LONG) == 100
    assert account.entry_price("BTCUSDT", PositionSide.SHORT) is None
    account.position("BTCUSDT", PositionSide.SHORT).fill(Side.SELL, Decimal(1), Decimal(90))
    assert account.entry_price("BTCUSDT", both) is None
    assert account.entry_price("BTCUSDT", PositionSide.SHORT) == 90
    account.position("BTCUSDT", PositionSide.LONG).fill(Side.SELL, Decimal(1), Decimal(95))
    assert account.entry_price("BTCUSDT", both) == 90
    assert account.entry_price("BTCUSDT", PositionSide.LONG) is None
