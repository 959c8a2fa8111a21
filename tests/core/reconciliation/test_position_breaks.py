"""A position that does not add up: asked for again, then booked as an adjustment, and its symbol halted; and never for ever."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.reconciliation.position_breaks import ADJUSTMENTS_LIMIT
from coldframe.core.reconciliation.rounds import LIGHT_ROUND_MS
from coldframe.core.state.journal_codec import fold
from coldframe.core.state.position_history import LAG_MS, PositionDifference
from coldframe.core.state.positions import EXTERNAL
from coldframe.enums import PositionSide, Side
from coldframe.model.effects import Level, LinkKind
from coldframe.model.engine_events import NothingToReduce
from coldframe.model.events import OrderFilled
from coldframe.model.orders import OrderState
from tests.core.looking import view_of
from tests.core.ordering import accept_quietly, placed, world
from tests.core.scripted import Actor, Scripted
from tests.core.shareoracle import OTHERS, ShareOracle
from tests.core.strategies.test_desired_state import apply, behave, traded
from tests.core.told import D, Trade, place
from tests.examples import examples

POSITIONS = "/fapi/v3/positionRisk"


def invent(made: Scripted, quantity: Callable[[], str], symbol: str = "BTCUSDT") -> None:
    """From now on the venue names a position that no trade of ours explains."""
    honest = made.exchange.rest

    def rest(path: str, params: object) -> object:
        if path != POSITIONS:
            return honest(path, params)  # type: ignore[arg-type]
        rows: list[dict[str, str]] = honest(path, params)  # type: ignore[assignment, arg-type]
        ours = sum((D(row["positionAmt"]) for row in rows if row["symbol"] == symbol), D(0)) + D(quantity())
        others = [row for row in rows if row["symbol"] != symbol]
        return [*others, {"symbol": symbol, "positionSide": "BOTH", "positionAmt": str(ours), "entryPrice": "100"}]

    made.exchange.rest = rest  # type: ignore[method-assign]


def errors(made: Scripted) -> list[str]:
    return [line.text for line in made.log if line.level is Level.ERROR]


def external(made: Scripted, symbol: str = "BTCUSDT") -> Decimal:
    return made.engine.state.external.account.net(symbol)


def test_i4_break_is_queried_twice_then_booked_with_its_cause() -> None:
    made, actor = world()
    invent(made, lambda: "0.3")
    made.run(LIGHT_ROUND_MS + 1_000)
    assert external(made) == 0
    made.run(6_000)
    (found,) = made.engine.state.holdings.adjustments
    assert (found.key[0], found.quantity) == ("BTCUSDT", D("0.3"))
    assert found.cause == "the venue has 0.3 where fills make 0"
    assert external(made) == D("0.3")
    assert len(errors(made)) == 1
    assert "adjustment: BUY 0.3 BTCUSDT booked to external" in errors(made)[0]
    made.want(actor, place())
    assert made.verdicts(actor) == {"HALTED": 1}
    assert made.engine.trading is not None
    assert made.engine.trading.reconciler.rounds == 3
    made.engine.state.resumed(made.venue_ms)
    made.want(actor, place())
    made.run(3 * LIGHT_ROUND_MS)
    assert made.verdicts(actor) == {"HALTED": 1, "ACCEPTED": 1}
    assert len(made.engine.state.holdings.adjustments) == 1


def test_only_the_symbol_that_does_not_add_up_is_shut() -> None:
    actor = Actor(symbols=("BTCUSDT", "ETHUSDT"))
    made = Scripted(actor, symbols=actor.symbols).ready()
    invent(made, lambda: "0.3", "ETHUSDT")
    made.run(LIGHT_ROUND_MS + 1_600)
    made.holds.add(POSITIONS)
    made.run(1_000)
    made.want(actor, place(), place(symbol="ETHUSDT"))
    assert made.verdicts(actor) == {"ACCEPTED": 1, "HALTED": 1}
    view = view_of(made.engine)
    assert (view.trading_allowed("BTCUSDT"), view.trading_allowed("ETHUSDT")) == (True, False)
    made.holds.clear()
    made.release()
    made.run(10_000)
    made.want(actor, place(quantity="2"), place(symbol="ETHUSDT"))
    assert made.verdicts(actor) == {"ACCEPTED": 2, "HALTED": 2}


def test_a_difference_that_passes_by_is_only_told() -> None:
    made, actor = world()
    rows = ["0.3"]
    invent(made, lambda: rows.pop() if rows else "0")
    made.run(LIGHT_ROUND_MS + 6_000)
    assert made.engine.state.holdings.adjustments == []
    assert errors(made) == []
    assert "position BTCUSDT agrees again" in made.said()
    made.want(actor, place())
    assert made.verdicts(actor) == {"ACCEPTED": 1}


def test_a_halt_can_be_left_out() -> None:
    actor = Actor()
    made = Scripted(actor, trading=OrderSideLimits(halt_on_mismatch=False)).ready()
    invent(made, lambda: "-0.3")
    made.run(LIGHT_ROUND_MS + 7_000)
    assert "adjustment: SELL 0.3 BTCUSDT" in errors(made)[0]
    made.want(actor, place())
    assert made.verdicts(actor) == {"ACCEPTED": 1}


def test_o25_ever_changing_position_is_adjusted_within_bounds() -> None:
    made, _ = world()
    count = [0]

    def other() -> str:
        count[0] += 1
        return str(count[0])

    invent(made, other)
    made.run(20 * LIGHT_ROUND_MS)
    assert len(made.engine.state.holdings.adjustments) == ADJUSTMENTS_LIMIT
    assert errors(made)[-1].startswith("manual check needed: position BTCUSDT")
    assert len(errors(made)) == ADJUSTMENTS_LIMIT + 1
    before = len(made.called(POSITIONS))
    made.run(10 * LIGHT_ROUND_MS)
    assert len(made.called(POSITIONS)) - before == 10


def test_o26_position_in_an_unlisted_symbol_is_a_break() -> None:
    made, _ = world()
    invent(made, lambda: "1", "XYZUSDT")
    made.lose(LinkKind.PRIVATE)
    made.run(2_000)
    assert "positions not agreed yet: XYZUSDT" in made.said()
    made.run(8_000)
    assert external(made, "XYZUSDT") == 1
    assert any("XYZUSDT booked to external" in error for error in errors(made))


def test_n10_unreported_fill_is_found_by_the_round_without_break() -> None:
    made, actor, order = placed()
    made.silent = True
    made.fill(order.client_order_id, "0.4")
    made.silent = False
    made.run(LIGHT_ROUND_MS + 5_000)
    assert [effect.quantity for effect in actor.told(OrderFilled)] == [D("0.4")]
    assert made.engine.state.holdings.adjustments == []
    assert external(made) == 0


def test_unexplained_position_report_starts_a_round_at_once() -> None:
    made, _ = world()
    row = {"s": "BTCUSDT", "pa": "0.3", "ep": "1", "cr": "0", "up": "0", "mt": "cross", "iw": "0", "ps": "BOTH"}
    change = {"m": "ORDER", "B": [], "P": [row]}
    made.tell(json.dumps({"e": "ACCOUNT_UPDATE", "E": 5, "T": 5, "a": change}).encode())
    made.run(3_000)
    assert "position mismatch BTCUSDT: the venue has 0.3, the bot's fills make 0" in made.said()
    assert made.engine.trading is not None
    assert made.engine.trading.reconciler.rounds == 2
    made.run(3_000)
    assert "position BTCUSDT agrees again" in made.said()
    assert made.engine.state.holdings.adjustments == []


def test_a_position_report_is_not_one_of_the_two_rounds() -> None:
    made, _ = world()
    assert made.engine.trading is not None
    invent(made, lambda: "0.3")
    row = {"s": "BTCUSDT", "pa": "0.3", "ep": "1", "cr": "0", "up": "0", "mt": "cross", "iw": "0", "ps": "BOTH"}
    made.tell(json.dumps({"e": "ACCOUNT_UPDATE", "E": 5, "T": 5, "a": {"m": "ORDER", "B": [], "P": [row]}}).encode())
    before = made.engine.trading.reconciler.rounds
    found = []
    for _ in range(60):
        made.run(500)
        found += [made.engine.trading.reconciler.rounds - before] if made.engine.state.holdings.adjustments else []
    assert (found[0], external(made)) == (2, D("0.3"))


def test_an_old_position_report_says_nothing() -> None:
    made, _, order = placed()
    made.fill(order.client_order_id, "0.4")
    for at, amount in ((9, "0.4"), (5, "0.1")):
        row = {"s": "BTCUSDT", "pa": amount, "ep": "1", "cr": "0", "up": "0", "mt": "cross", "iw": "0", "ps": "BOTH"}
        made.tell(json.dumps({"e": "ACCOUNT_UPDATE", "E": at, "T": at, "a": {"m": "ORDER", "B": [], "P": [row]}}).encode())
    made.run(5_000)
    assert "mismatch" not in made.said()


@pytest.mark.parametrize(("late_ms", "disputed"), [(1_000, False), (4_900, False), (5_100 + LAG_MS, True)])
def test_a_late_report_of_what_was_held_says_nothing(late_ms: int, disputed: bool) -> None:
    """For five seconds at least; what was held seven seconds ago explains nothing."""
    made, _, order = placed()
    made.fill(order.client_order_id, "0.4")
    made.fill(order.client_order_id, "0.3")
    made.run(late_ms)
    row = {"s": "BTCUSDT", "pa": "0.4", "ep": "1", "cr": "0", "up": "0", "mt": "cross", "iw": "0", "ps": "BOTH"}
    made.tell(json.dumps({"e": "ACCOUNT_UPDATE", "E": 5, "T": 5, "a": {"m": "ORDER", "B": [], "P": [row]}}).encode())
    made.run(5_000)
    assert ("mismatch" in made.said()) is disputed


# -- trades that no order explains ------------------------------------------------------------------------------------


def external_trade(made: Scripted, quantity: str, side: Side = Side.BUY) -> None:
    """Another client trades, and no report of it reaches the bot."""
    made.silent = True
    order = made.external_order("web_manual", side, quantity)
    made.fill(order.client_order_id, quantity)
    made.silent = False


def test_o21_unreported_manual_trade_is_booked_to_external() -> None:
    made, actor, _ = placed()
    external_trade(made, "0.7")
    made.run(LIGHT_ROUND_MS + 5_000)
    assert external(made) == D("0.7")
    assert actor.told(OrderFilled) == []
    assert made.engine.state.holdings.adjustments == []
    assert "a trade of no strategy: BTCUSDT BUY 0.7" in made.said()


def test_trade_of_an_own_order_with_unknown_id_is_not_external() -> None:
    made, actor, order = placed("order.place")
    made.swallows.update(("order.status", "/fapi/v1/order"))
    made.exchange.refuses["order.status"] = (-1001, "no")
    accept_quietly(made)
    made.refuse(-1007)
    made.fill(order.client_order_id, "1")
    made.silent = False
    made.run(LIGHT_ROUND_MS + 1_000)
    assert order.order_id is None
    assert external(made) == 0
    del made.exchange.refuses["order.status"]
    made.swallows.clear()
    made.run(LIGHT_ROUND_MS + 10_000)
    assert (order.state, order.filled) == (OrderState.FILLED, D(1))
    assert [effect.quantity for effect in actor.told(OrderFilled)] == [D(1)]
    assert external(made) == 0
    assert made.engine.state.holdings.adjustments == []


def test_owner_of_a_trade_is_queried_and_resolves_an_order() -> None:
    made, actor, order = placed("order.place")
    made.exchange.refuses["order.status"] = (-2013, "Order does not exist.")
    accept_quietly(made)
    made.refuse(-1007)
    made.fill(order.client_order_id, "0.4")
    external_trade(made, "0.7")
    made.run(LIGHT_ROUND_MS + 1_000)
    assert (order.state, order.filled) == (OrderState.PARTIALLY_FILLED, D("0.4"))
    assert [effect.quantity for effect in actor.told(OrderFilled)] == [D("0.4")]
    assert external(made) == D("0.7")
    assert made.engine.state.holdings.adjustments == []


def test_external_trade_does_not_keep_an_absent_order_unknown() -> None:
    made, _, order = placed("order.place")
    made.refuse(-1007)
    external_trade(made, "0.7")
    made.run(LIGHT_ROUND_MS + 10_000)
    assert order.state is OrderState.NEVER_ACCEPTED
    assert external(made) == D("0.7")
    assert made.engine.state.holdings.adjustments == []


def test_fill_booked_to_external_moves_to_its_own_order() -> None:
    made, _, order = placed()
    venue = made.exchange.orders[order.client_order_id]
    trade = Trade(77, "0.4")
    fill = made.engine.reports
    rows = [venue.row(trade)]
    assert order.order_id is not None
    known = made.engine.orders._by_order_id.pop(("BTCUSDT", order.order_id))
    fill.trades(rows)
    assert fill.book_unmatched() == 0  # whose it is, is asked for first
    made.engine.state.external.not_named("BTCUSDT", venue.order_id)
    assert fill.book_unmatched() == 1
    assert external(made) == D("0.4")
    made.engine.orders._by_order_id["BTCUSDT", order.order_id] = known
    fill.trades(rows)
    assert external(made) == 0
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == D("0.4")
    assert made.engine.state.external.account.fills == 0
    assert made.engine.state.external.account.fees == {"USDT": D(0)}
    made.beat()
    assert fold(made.rows).accounts[EXTERNAL].fees == made.engine.state.external.account.fees


def test_nothing_to_reduce_is_said_once_for_each_position() -> None:
    actor = Actor(symbols=("BTCUSDT", "ETHUSDT"))
    made = Scripted(actor, symbols=actor.symbols).ready()
    assert made.engine.trading is not None
    for symbol in actor.symbols:
        made.engine.runtimes.get("mm").account.holdings.position(symbol).change(D("0.010"), D(100))
    for symbol in ("BTCUSDT", "BTCUSDT", "ETHUSDT", "BTCUSDT"):
        made.engine.trading.mismatches.step(NothingToReduce(symbol, PositionSide.BOTH, Side.SELL))
    made.beat()
    assert made.said().count("nothing to reduce in BTCUSDT, the bot's fills make 0.010: asking for the position") == 1
    assert made.said().count("nothing to reduce in ETHUSDT, the bot's fills make 0.010: asking for the position") == 1


@pytest.mark.parametrize(
    ("quantity", "side", "disputed"),
    [("0", Side.SELL, False), ("0", Side.BUY, False), ("0.010", Side.BUY, False), ("-0.010", Side.SELL, False),
     ("0.010", Side.SELL, True), ("-0.010", Side.BUY, True)],
)  # fmt: skip
def test_a_refusal_disputes_only_what_would_be_reduced(quantity: str, side: Side, disputed: bool) -> None:
    made = Scripted(Actor()).ready()
    assert made.engine.trading is not None
    key = ("BTCUSDT", PositionSide.BOTH)
    made.engine.runtimes.get("mm").account.holdings.position(*key).change(D(quantity), D(100))
    made.engine.trading.mismatches.step(NothingToReduce(*key, side))
    assert made.engine.state.trading.breaks == ({key: 0} if disputed else {})


def test_a_refusal_overrules_what_the_venue_had_named() -> None:
    """Our books are flat and the venue has named a position; then it has nothing there that a sale would reduce."""
    made = Scripted(Actor()).ready()
    assert made.engine.trading is not None
    key, breaks = ("BTCUSDT", PositionSide.BOTH), made.engine.trading.mismatches
    breaks._differs(PositionDifference(key, D("0.010"), D(0), 0))
    breaks._show_breaks()
    breaks.step(NothingToReduce(*key, Side.BUY))
    assert made.engine.state.trading.breaks == {key: D("0.010")}
    breaks.step(NothingToReduce(*key, Side.SELL))
    assert made.engine.state.trading.breaks == {key: 0}


# -- any venue, and another client on the account ---------------------------------------------------------------------


@given(seed=st.integers(0, 2**32))
@settings(max_examples=examples(60))
def test_i4_all_positions_end_as_the_account_has_them(seed: int) -> None:
    """Two strategies and another client, a venue that misbehaves: every fill ends where it belongs, nothing is ever adjusted."""
    chance, actor, other = random.Random(seed), Actor("one"), Actor("other")
    made = Scripted(actor, other).ready()
    for number in range(25):
        if chance.random() < 0.3:
            price = D(chance.randrange(990, 1010)) / 10
            made.want(chance.choice((actor, other)), place(chance.choice(list(Side)), "1", str(price)))
        if chance.random() < 0.15:
            by_hand = f"web_{number}"
            made.external_order(by_hand, chance.choice(list(Side)), "2")
            made.fill(by_hand, chance.choice(("1", "2")))
        apply(made, chance)
        made.run(chance.choice((50, 300, 1_500)))
    made.silent = False
    behave(made)
    made.run(100_000)
    state = made.engine.state
    own = {name: made.engine.runtimes.get(name).account.holdings.net("BTCUSDT") for name in ("one", "other")}
    assert state.holdings.adjustments == []
    assert sum(own.values()) + state.external.account.net("BTCUSDT") == traded(made)
    oracle = ShareOracle(own)
    for at, trade in made.exchange.trades:
        owner = next((name for name in own if at.client_order_id.startswith(f"cf.{name}.")), OTHERS)
        oracle.trade(owner, at.side.sign * D(trade.quantity))
    assert own == {name: oracle.held(name) for name in own}
    assert made.engine.trading is not None
    assert made.engine.trading.mismatches.symbols == set()
