"""Each rule of a symbol names its code, both numbers, and the nearest legal value, which then passes."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coldframe.enums import Side
from coldframe.wire import codec
from coldframe.wire.filters import Filters, LotSize, Violation, check_order
from coldframe.wire.reference import SymbolInfo
from tests.wire.shapes import example, written

D = Decimal
BTC = Filters(
    min_price=D("100.00"),
    max_price=D("4000000"),
    tick=D("0.10"),
    lot=LotSize(D("0.001"), D("1000"), D("0.001")),
    market_lot=LotSize(D("0.001"), D("120"), D("0.001")),
    max_orders=200,
    min_notional=D("50"),
    multiplier_up=D("1.0500"),
    multiplier_down=D("0.9500"),
    price_precision=2,
    quantity_precision=3,
)


def broken(violation: Violation | None) -> tuple[int, str, str, str | None]:
    assert violation is not None
    return violation.code, str(violation.value), str(violation.limit), None if violation.nearest is None else str(violation.nearest)


# -- rule by rule (protocol.md 6.5, "Filter -> error map") ------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ("0", (-4001, "0", "0", "100.00")),
        ("-5", (-4001, "-5", "0", "100.00")),
        ("99.90", (-4013, "99.90", "100.00", "100.00")),
        ("4000000.10", (-4002, "4000000.10", "4000000", "4000000.00")),
        ("100.05", (-4014, "100.05", "0.10", "100.00")),
        ("100.16", (-4014, "100.16", "0.10", "100.20")),
        ("100.123", (-1111, "100.123", "2", "100.10")),
        ("100.1000", None),
        ("100.10", None),
        ("100", None),
        ("4000000", None),
    ],
)
def test_a_price(price: str, expected: tuple[int, str, str, str] | None) -> None:
    violation = BTC.check_price(D(price))
    if expected is None:
        assert violation is None
        return
    assert broken(violation)[:3] == expected[:3]
    assert violation is not None
    assert violation.nearest == D(expected[3])


@pytest.mark.parametrize(
    ("quantity", "market", "expected"),
    [
        ("0", False, (-4003, "0", "0", "0.001")),
        ("-1", False, (-4003, "-1", "0", "0.001")),
        ("0.0005", False, (-1111, "0.0005", "3", "0.001")),
        ("1000.001", False, (-4005, "1000.001", "1000", "1000")),
        ("120.001", True, (-4005, "120.001", "120", "120")),
        ("120.001", False, None),
        ("1.2345", False, (-1111, "1.2345", "3", "1.234")),
        ("0.001", False, None),
        ("0.001000", True, None),
    ],
)
def test_a_quantity(quantity: str, market: bool, expected: tuple[int, str, str, str] | None) -> None:
    violation = BTC.check_quantity(D(quantity), market=market)
    if expected is None:
        assert violation is None
        return
    assert broken(violation)[:3] == expected[:3]
    assert violation is not None
    assert violation.nearest == D(expected[3])


def test_a_quantity_below_the_least_and_off_the_step() -> None:
    filters = attrs.evolve(BTC, lot=LotSize(D("5"), D("100"), D("2")))
    assert broken(filters.check_quantity(D("3"))) == (-4004, "3", "5", "5")
    assert broken(filters.check_quantity(D("10"))) == (-4023, "10", "2", "9")
    assert filters.check_quantity(D("11")) is None


def test_the_notional_counts_price_times_quantity() -> None:
    assert broken(BTC.check_notional(D("100"), D("0.499")))[:3] == (-4164, "49.900", "50")
    assert BTC.check_notional(D("100"), D("0.500")) is None


def test_the_price_may_not_run_away_from_the_mark() -> None:
    mark = D("1000.05")
    assert broken(BTC.check_percent(Side.BUY, D("1050.10"), mark)) == (-4016, "1050.10", "1050.052500", "1050.00")
    assert broken(BTC.check_percent(Side.SELL, D("950.00"), mark)) == (-4024, "950.00", "950.047500", "950.10")
    assert BTC.check_percent(Side.BUY, D("1050.00"), mark) is None
    assert BTC.check_percent(Side.SELL, D("950.10"), mark) is None
    # each side is bound on its own side only
    assert BTC.check_percent(Side.BUY, D("1"), mark) is None
    assert BTC.check_percent(Side.SELL, D("9999999"), mark) is None


def test_a_zero_switches_a_rule_off() -> None:
    free = Filters()
    assert free.check_price(D("0.00000001")) is None
    assert free.check_price(D("999999999999")) is None
    assert free.check_quantity(D("0.00000001")) is None
    assert free.check_notional(D("0"), D("0")) is None
    assert free.check_percent(Side.BUY, D("100"), D("1")) is None
    assert free.check_percent(Side.SELL, D("1"), D("100")) is None


def test_symbol_without_market_order_rules_uses_the_limit_rules() -> None:
    filters = attrs.evolve(BTC, market_lot=LotSize())
    assert filters.check_quantity(D("120.001"), market=True) is None
    assert broken(filters.check_quantity(D("1000.001"), market=True))[0] == -4005


def test_a_violation_tells_people_and_the_wire() -> None:
    tick = BTC.check_price(D("100.05"))
    assert tick is not None
    assert tick.text == "-4014 PRICE_NOT_INCREASED_BY_TICK_SIZE: 100.05 against 0.10, nearest legal 100.00"
    assert tick.msg == "Price not increased by tick size."
    notional = BTC.check_notional(D("100"), D("0.1"))
    assert notional is not None
    assert notional.text == "-4164 MIN_NOTIONAL: 10.0 against 50"
    assert notional.msg == "Order's notional must be no smaller than 50 (unless you choose reduce only)"


# -- from exchangeInfo ------------------------------------------------------------------------------------------------

ROWS: list[dict[str, object]] = [
    {"filterType": "PRICE_FILTER", "minPrice": "0", "maxPrice": "100", "tickSize": "0.10"},
    {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "10", "stepSize": "0.001"},
    {"filterType": "MAX_NUM_ORDERS", "limit": 200},
]


def rules_of(rows: list[dict[str, object]], **changes: object) -> Filters:
    body = {**example(SymbolInfo), **changes, "filters": rows}
    return Filters.of(codec.decode(SymbolInfo, written(body).encode(), codec.Census()))


def test_the_precision_is_never_less_than_the_grid_needs() -> None:
    coarse = rules_of(ROWS, pricePrecision=0, quantityPrecision=0)
    assert (coarse.price_precision, coarse.quantity_precision) == (1, 3)
    assert coarse.check_price(D("0.30")) is None
    fine = rules_of(ROWS, pricePrecision=5, quantityPrecision=4)
    assert (fine.price_precision, fine.quantity_precision) == (5, 4)


def test_rules_that_are_not_there_are_off() -> None:
    filters = rules_of([])
    assert attrs.evolve(filters, price_precision=8, quantity_precision=8) == Filters()


@pytest.mark.parametrize("text", ["NaN", "1e-5", "", "1_0", "-", "\u0661", None, True, [1]])
def test_a_rule_with_a_number_that_is_none_is_refused(text: object) -> None:
    for row in ROWS[:2]:
        for key in set(row) - {"filterType"}:
            with pytest.raises(ValueError, match="not a plain decimal number"):
                rules_of([{**row, key: text}])


# -- whole orders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "price", "mark", "reduce_only", "code"),
    [
        ("0.001", "50000.0", "50000", False, None),
        ("0.001", "49999.9", "50000", False, -4164),
        ("0.001", "49999.9", "50000", True, None),
        ("0.001", None, "49999.9", False, -4164),
        ("0.001", None, "49999.9", True, None),
        ("0.001", None, None, False, None),
        ("0.001", "49999.9", None, False, -4164),
        ("121", None, "50000", False, -4005),
        ("121", "50000", "50000", False, None),
        ("0", "0", "50000", False, -4003),
        ("1", "0", "50000", False, -4001),
        ("1", "60000", "50000", False, -4016),
        ("1", "60000", None, False, None),
        ("1", "60000.01", "50000", False, -4014),
    ],
)
def test_an_order_breaks_its_first_rule(
    quantity: str, price: str | None, mark: str | None, reduce_only: bool, code: int | None
) -> None:
    violation = check_order(
        BTC, Side.BUY, D(quantity), D(price) if price else None, D(mark) if mark else None, reduce_only=reduce_only
    )
    assert (violation.code if violation else None) == code


# -- properties -------------------------------------------------------------------------------------------------------


def decimals(lowest: str, highest: str, digits: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(D(lowest), D(highest), places=digits)


@st.composite
def rules(draw: st.DrawFn) -> Filters:
    """Rules that contradict neither themselves nor each other; any of them may be off."""
    places = draw(st.integers(0, 5))
    unit = D(1).scaleb(-places)

    def grid() -> tuple[Decimal, Decimal, Decimal]:
        step = draw(st.sampled_from([D(0), unit, unit * 5, unit * 10, unit * 3]))
        lowest = draw(st.sampled_from([D(0), unit, unit * 7, unit * 1000]))
        highest = draw(
            st.sampled_from([D(0), lowest + max(step, unit) * draw(st.integers(1, 10**6)) + unit * draw(st.integers(0, 3))])
        )
        return lowest, highest, step

    low, high, tick = grid()
    return Filters(
        min_price=low,
        max_price=high,
        tick=tick,
        lot=LotSize(*grid()),
        market_lot=draw(st.sampled_from([LotSize(), LotSize(*grid())])),
        multiplier_up=draw(st.sampled_from([D(0), D("1.05"), D("1.5000"), D("1.1")])),
        multiplier_down=draw(st.sampled_from([D(0), D("0.95"), D("0.5000"), D("0.9")])),
        min_notional=draw(st.sampled_from([D(0), D(5), D("0.1")])),
        price_precision=places,
        quantity_precision=places,
    )


NUMBERS = decimals("-10", "10000000", 7) | decimals("0", "100", 3) | st.integers(-2, 10**7).map(D)


def on_grid(value: Decimal, lowest: Decimal, step: Decimal) -> bool:
    return not step or (Fraction(value) - Fraction(lowest)) % Fraction(step) == 0


def fits(value: Decimal, lowest: Decimal, highest: Decimal, step: Decimal, places: int) -> bool:
    """The rule as the seeds print it, in fractions."""
    exact = Fraction(value)
    in_bounds = exact > 0 and exact >= lowest and (not highest or exact <= highest)
    return in_bounds and on_grid(value, lowest, step) and (exact * 10**places).denominator == 1


@given(rules(), NUMBERS)
def test_price_is_refused_exactly_by_the_documented_rule(filters: Filters, price: Decimal) -> None:
    legal = fits(price, filters.min_price, filters.max_price, filters.tick, filters.price_precision)
    violation = filters.check_price(price)
    assert (violation is None) is legal
    if violation is not None:
        assert violation.code in (-4001, -1111, -4013, -4002, -4014)
        assert violation.value == price
        assert violation.nearest is not None
        assert filters.check_price(violation.nearest) is None


@given(rules(), NUMBERS)
def test_no_legal_price_is_nearer_than_the_nearest(filters: Filters, price: Decimal) -> None:
    nearest = filters.nearest_price(price)
    assert filters.check_price(nearest) is None
    step = filters.tick or D(1).scaleb(-filters.price_precision)
    for other in (nearest - step, nearest + step, filters.min_price):
        if filters.check_price(other) is None:
            assert abs(nearest - price) <= abs(other - price)


@given(rules(), NUMBERS, st.booleans())
def test_quantity_is_refused_exactly_by_the_documented_rule(filters: Filters, quantity: Decimal, market: bool) -> None:
    lot = filters.market_lot if market and filters.market_lot != LotSize() else filters.lot
    legal = fits(quantity, lot.min, lot.max, lot.step, filters.quantity_precision)
    violation = filters.check_quantity(quantity, market=market)
    assert (violation is None) is legal
    if violation is not None:
        assert violation.code in (-4003, -1111, -4004, -4005, -4023)
        assert violation.value == quantity
        assert violation.nearest is not None
        assert filters.check_quantity(violation.nearest, market=market) is None
        # never more than was asked for, unless nothing less is legal
        smallest = lot.min or lot.step or D(1).scaleb(-filters.quantity_precision)
        assert violation.nearest <= quantity or violation.nearest == smallest


@given(rules(), st.sampled_from(Side), decimals("0.1", "100000", 4), decimals("0.01", "100000", 4))
def test_a_price_too_far_from_the_mark_names_one_that_is_not(filters: Filters, side: Side, price: Decimal, mark: Decimal) -> None:
    up, down = Fraction(mark) * Fraction(filters.multiplier_up), Fraction(mark) * Fraction(filters.multiplier_down)
    legal = price <= up or not up if side is Side.BUY else price >= down or not down
    violation = filters.check_percent(side, price, mark)
    assert (violation is None) is legal
    if violation is not None:
        assert (violation.code, violation.value) == (-4016 if side is Side.BUY else -4024, price)
        assert violation.limit == (up if side is Side.BUY else down)
        assert violation.nearest is not None
        assert filters.check_percent(side, violation.nearest, mark) is None
        assume(filters.tick)
        assert on_grid(violation.nearest, filters.min_price, filters.tick)


@given(rules(), decimals("0.01", "100000", 4), decimals("0.001", "1000", 4))
def test_the_notional_is_exact(filters: Filters, price: Decimal, quantity: Decimal) -> None:
    violation = filters.check_notional(price, quantity)
    assert (violation is None) is (Fraction(price) * Fraction(quantity) >= filters.min_notional)
    if violation is not None:
        assert (violation.code, violation.value, violation.limit) == (-4164, price * quantity, filters.min_notional)


@given(rules(), st.sampled_from(Side), NUMBERS, NUMBERS | st.none(), decimals("0.01", "100000", 4) | st.none(), st.booleans())
def test_an_order_is_legal_when_every_single_rule_is(
    filters: Filters, side: Side, quantity: Decimal, price: Decimal | None, mark: Decimal | None, reduce_only: bool
) -> None:
    checks = [filters.check_quantity(quantity, market=price is None)]
    if price is not None:
        checks.append(filters.check_price(price))
        checks.append(filters.check_percent(side, price, mark) if mark else None)
    valued_at = mark if price is None else price
    checks.append(None if reduce_only or not valued_at else filters.check_notional(valued_at, quantity))
    first = next((violation for violation in checks if violation is not None), None)
    assert check_order(filters, side, quantity, price, mark, reduce_only=reduce_only) == first
