"""Trades of others that become known late: after the start that has counted them already, or only by a restart's list of trades."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import Place, Side, Target
from coldframe.config.venue import EmbeddedVenue, VenueFaults
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.external import ExternalPolicy
from coldframe.model.effects import LinkKind
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState
from tests.simulation.pump import Pump
from tests.simulation.test_taken_positions import B, adds_up, by_hand, holding, world

D = Decimal
SILENT = VenueFaults(events_dropped=D(1))
SLOW = VenueFaults(events_delayed=D(1), event_delay_ms=20_000)
#: Events go through the faults from the beginning, so that a test can drop or delay them later.
SETTINGS = EmbeddedVenue(faults=VenueFaults(events_dropped=D("0.000001")))


def external(pump: Pump) -> Decimal:
    return pump.engine.state.external.account.net(B)


def begun(pump: Pump) -> bool:
    return pump.engine.state.baseline_ms > 0


def agrees(pump: Pump) -> None:
    """After every comparison that there may be: nothing had to be adjusted, and nothing is shut."""
    pump.run(90)
    assert adds_up(pump)
    assert not pump.engine.state.holdings.adjustments
    assert pump.engine.state.trading.breaks == pump.engine.state.trading.symbols == {}


@pytest.mark.parametrize(
    ("rule", "mine", "theirs"),
    [(ExternalPolicy.IGNORE, "0", "0.010"), (ExternalPolicy.ADOPT, "0.010", "0")],
)
def test_o24_a_report_from_before_the_start_is_not_news(rule: ExternalPolicy, mine: str, theirs: str) -> None:
    pump, _ = world(settings=SETTINGS, trading=OrderSideLimits(external=rule))
    pump.until(lambda: begun(pump))
    pump.venue.faults.settings = SLOW
    by_hand(pump, Side.BUY, "0.010")
    pump.run(0.5)
    assert external(pump) == 0
    pump.venue.faults.settings = VenueFaults()
    pump.restart()
    pump.until(lambda: begun(pump))
    pump.run(20)  # the report comes in this time
    assert (pump.position("mm"), external(pump)) == (D(mine), D(theirs))
    agrees(pump)


def test_o24_a_late_report_of_a_known_close_takes_nothing_more() -> None:
    pump, _ = holding("0.010", settings=SETTINGS, trading=OrderSideLimits(external=ExternalPolicy.IGNORE))
    pump.venue.faults.settings = SLOW
    by_hand(pump, Side.SELL, "0.004")
    pump.run(0.5)
    assert pump.position("mm") == D("0.010")
    pump.venue.faults.settings = VenueFaults()
    pump.restart()
    pump.run(20)
    assert (pump.position("mm"), external(pump)) == (D("0.006"), 0)
    agrees(pump)


@pytest.mark.parametrize("page", [500, 3, 1])
@pytest.mark.parametrize(("sold", "mine", "theirs"), [("0.012", "0.010", "-0.012"), ("0.004", "0.010", "-0.004")])
def test_o24_a_trade_before_the_first_known_one_keeps_its_place(sold: str, mine: str, theirs: str, page: int) -> None:
    """Others sold before the strategy bought: that opened a position of theirs, and took nothing from the strategy's.

    A page that holds no more than the latest trades must not hide it.
    """
    pump, (puppet,) = world(settings=SETTINGS, trading=OrderSideLimits(external=ExternalPolicy.IGNORE, trades_page=page))
    pump.until(lambda: begun(pump))
    pump.venue.faults.settings = SILENT
    by_hand(pump, Side.SELL, sold)
    pump.run(0.2)
    pump.venue.faults.settings = VenueFaults()
    puppet.wanted = [Target(B, D("0.010"))]
    pump.until(lambda: pump.position("mm") == D("0.010"))
    pump.restart()
    pump.until(lambda: begun(pump))
    assert (pump.position("mm"), external(pump)) == (D(mine), D(theirs))
    agrees(pump)


@pytest.mark.parametrize("silent_runs", [1, 2, 3])
def test_o24_trades_are_found_after_runs_that_never_compared(silent_runs: int) -> None:
    """The bot dies again and again before a comparison brings trades: what was traded before all of that still has its place."""
    pump, (puppet,) = world(settings=SETTINGS, trading=OrderSideLimits(external=ExternalPolicy.IGNORE, trades_page=3))
    pump.until(lambda: begun(pump))
    pump.venue.faults.settings = SILENT
    by_hand(pump, Side.SELL, "0.004")
    pump.run(0.2)
    pump.venue.faults.settings = VenueFaults()
    puppet.wanted = [Target(B, D("0.010"))]
    pump.until(lambda: pump.position("mm") == D("0.010"))
    for _ in range(silent_runs):
        pump.restart()  # dies at once
        pump.run(0.001)
    pump.kill()
    for side in (Side.BUY, Side.SELL, Side.BUY):
        by_hand(pump, side, "0.004")
    pump.restart()
    pump.until(lambda: begun(pump))
    assert (pump.position("mm"), external(pump)) == (D("0.006"), D("0.004"))  # external is closed first, then opened again
    agrees(pump)
    assert not [row for row in pump.rows if row.kind is RowKind.BOOKING and "trade" not in row.body]


@pytest.mark.parametrize("rule", [ExternalPolicy.REFUSE, ExternalPolicy.ADOPT, ExternalPolicy.IGNORE])
@pytest.mark.parametrize(
    ("theirs", "fails", "left"),
    [(("0.012", "-0.012"), False, "0"), (("0.004", "-0.004", "0.002", "-0.002"), False, "0"), (("0.012", "-0.008"), True, "0.004")],
)
def test_o24_what_counts_before_ours_is_not_told_as_coming_last(
    theirs: tuple[str, ...], fails: bool, left: str, rule: ExternalPolicy
) -> None:
    """Others traded before two strategies did, and no report told it. Booked in its place it takes nothing from them."""
    pump, puppets = world("a", "b", settings=SETTINGS, trading=OrderSideLimits(external=ExternalPolicy.IGNORE))
    pump.until(lambda: begun(pump))
    pump.venue.faults.settings = SILENT
    for quantity in theirs:
        by_hand(pump, Side.BUY if D(quantity) > 0 else Side.SELL, quantity.lstrip("-"))
    pump.run(0.2)
    pump.venue.faults.settings = VenueFaults()
    for name, puppet in zip("ab", puppets, strict=True):
        puppet.wanted = [Target(B, D("-0.010"))]
        pump.until(lambda name=name: pump.position(name) == D("-0.010"))  # type: ignore[misc]
    pump.restart(trading=OrderSideLimits(external=rule))
    pump.until(lambda: begun(pump) or pump.failed is not None)
    fails = fails and rule is not ExternalPolicy.IGNORE
    assert (pump.failed is not None) is fails
    if pump.failed is not None:
        assert f"position of {left} BTCUSDT (the account holds -0.016, the strategies -0.020" in pump.failed.text
        return
    assert (pump.position("a"), pump.position("b"), external(pump)) == (D("-0.010"), D("-0.010"), D(left))
    agrees(pump)


def test_o24_trades_count_where_the_account_is_what_it_was() -> None:
    """The account comes back to a position that the books have had: still it is another owner's."""
    pump, (puppet,) = world(settings=SETTINGS, trading=OrderSideLimits(external=ExternalPolicy.IGNORE))
    pump.until(lambda: begun(pump))
    pump.venue.faults.settings = SILENT
    by_hand(pump, Side.BUY, "0.008")
    pump.run(0.2)
    pump.venue.faults.settings = VenueFaults()
    by_hand(pump, Side.SELL, "0.008")
    pump.until(lambda: external(pump) == D("-0.008"))
    ask = pump.market.best(B, Side.SELL) + 20
    puppet.wanted = [Place(symbol=B, side=Side.SELL, quantity=D("0.008"), price=ask)]
    pump.until(lambda: any(order.state is OrderState.ACCEPTED for order in pump.engine.orders.live))
    pump.venue.faults.settings = SILENT
    pump.market.move(B, ask + 50)
    pump.until(lambda: pump.venue.position(B) == D("-0.008"))
    pump.kill()
    pump.venue.faults.settings = VenueFaults()
    pump.restart()
    pump.until(lambda: begun(pump))
    pump.run(5)
    assert (pump.position("mm"), external(pump)) == (D("-0.008"), 0)
    agrees(pump)


def test_o36_a_late_report_of_a_forgotten_order_owes_no_fills() -> None:
    """An order of an earlier run has ended and is forgotten when a report of it comes again: what it traded is known."""
    pump, puppet = holding("0.010", settings=SETTINGS, trading=OrderSideLimits(ended_orders=1))
    (first, *_) = [row.body["text"] for row in pump.rows if row.kind is RowKind.REPORT and '"x":"NEW"' in row.body["text"]]
    pump.restart()
    pump.run(40)  # a comparison comes through, and what has ended may be forgotten
    for wanted in ("0.012", "0.014"):
        puppet.wanted = [Target(B, D(wanted))]
        pump.until(lambda wanted=wanted: pump.position("mm") == D(wanted))  # type: ignore[misc]
    user_stream = next(name for name, socket in pump.venue.sockets.items() if socket.kind is LinkKind.PRIVATE)
    pump.received(user_stream, first.encode())
    pump.run(20)
    assert pump.told("is taken over by strategy mm")
    assert (pump.engine.orders.fills_owed, list(pump.engine.orders.live)) == (0, [])
    puppet.wanted = [Target(B, D(0))]
    pump.until(lambda: pump.venue.position(B) == 0)
    agrees(pump)
