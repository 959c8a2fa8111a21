"""What others take away from a strategy, end to end: the strategy follows, and no order of the bot turns the account over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from coldframe import Intent, Place, PositionCause, PositionChanged, PositionSide, Side, Target, WorkingType, hookimpl
from coldframe.config.venue import EmbeddedVenue, VenueAccount
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.external import ExternalPolicy
from coldframe.enums import OrderType
from coldframe.model.effects import LinkKind
from coldframe.model.halting import HaltLevel
from coldframe.model.inputs import HaltAsked
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet as _Puppet
from tests.simulation.venue import UNANSWERED

B = "BTCUSDT"
D = Decimal
LONG, SHORT, BOTH = PositionSide.LONG, PositionSide.SHORT, PositionSide.BOTH


class Puppet(_Puppet):
    """A puppet that hears of its position; `answers` is asked what follows."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: Callable[[PositionChanged], list[Intent]] = lambda event: []

    @hookimpl
    def on_position(self, event: PositionChanged) -> list[Intent]:
        self.events.append(event)
        return self.answers(event)


def by_hand(pump: Pump, side: Side, quantity: str, *, symbol: str = B, **more: str) -> None:
    """Another client on the account trades at the market."""
    order = {"symbol": symbol, "side": side.value, "type": "MARKET", "quantity": quantity, **more}
    answer = pump.venue.by_hand("POST", "/fapi/v1/order", order)
    assert answer.status == 200, answer.body


def world(*names: str, **more: Any) -> tuple[Pump, Sequence[Puppet]]:
    puppets = {name: Puppet() for name in names or ("mm",)}

    def maker(name: str) -> Any:
        return lambda: puppets[name]

    return Pump([Trader(id=name, make=maker(name)) for name in puppets], **more), list(puppets.values())


def holding(quantity: str = "0.010", **more: Any) -> tuple[Pump, Puppet]:
    """One strategy that has reached a target."""
    pump, (puppet,) = world(**more)
    puppet.wanted = [Target(B, D(quantity))]
    pump.until(lambda: pump.position("mm") == D(quantity))
    assert pump.venue.position(B) == D(quantity)
    return pump, puppet


def placed(pump: Pump, since: int = 0) -> list[Mapping[str, object]]:
    return [params for method, params in pump.sent[since:] if method == "order.place"]


def changes(puppet: Puppet) -> list[PositionChanged]:
    return [event for event in puppet.events if isinstance(event, PositionChanged)]


def adds_up(pump: Pump, symbol: str = B) -> bool:
    """Whether strategies and external are the account's position, side by side."""
    return all(
        pump.engine.state.holdings.position_sum((symbol, side)) == pump.venue.position(symbol, side) for side in PositionSide
    )


# -- by hand ----------------------------------------------------------------------------------------------------------


def test_o34_a_position_closed_by_hand_is_not_sold_again() -> None:
    pump, puppet = holding()
    since = len(pump.sent)
    by_hand(pump, Side.SELL, "0.010", reduceOnly="true")
    pump.run(2)
    puppet.wanted = [Target(B, D(0))]
    pump.run(20)
    assert placed(pump, since) == []
    assert pump.venue.position(B) == pump.position("mm") == 0
    (told,) = changes(puppet)
    assert (told.quantity, told.position, told.cause, told.symbol) == (D("-0.010"), 0, PositionCause.OTHER_CLIENT, B)
    account = pump.engine.accounts["mm"]
    assert account.realized == told.realized_pnl != 0
    assert account.fees["USDT"] > told.fee > 0
    pump.stop()
    assert adds_up(pump)


@pytest.mark.parametrize("quantity", ["-0.010", "0.006"])
def test_o34_a_part_closed_by_hand_is_a_part_less(quantity: str) -> None:
    pump, puppet = holding(quantity)
    side = Side.BUY if D(quantity) < 0 else Side.SELL
    by_hand(pump, side, "0.002")
    pump.run(2)
    assert pump.position("mm") == D(quantity) + side.sign * D("0.002") == pump.venue.position(B)
    since = len(pump.sent)
    puppet.wanted = [Target(B, D(0))]
    pump.until(lambda: pump.position("mm") == 0)
    (close,) = placed(pump, since)
    assert (close["quantity"], close["reduceOnly"]) == (f"{abs(D(quantity)) - D('0.002')}", "true")
    assert pump.venue.position(B) == 0


def test_o34_what_goes_past_zero_is_external_and_left_alone() -> None:
    pump, puppet = holding()
    by_hand(pump, Side.SELL, "0.015")
    pump.run(2)
    since = len(pump.sent)
    puppet.wanted = [Target(B, D(0))]
    pump.run(10)
    assert placed(pump, since) == []
    assert (pump.position("mm"), pump.engine.state.external.account.net(B)) == (0, D("-0.005"))
    assert adds_up(pump)


def test_o34_a_target_does_not_fight_the_person_who_closed_it() -> None:
    pump, puppet = holding()
    since = len(pump.sent)
    by_hand(pump, Side.SELL, "0.010")
    pump.run(10)
    assert placed(pump, since) == []
    assert pump.told("its target of 0.01 in BTCUSDT lapses")
    puppet.wanted = [Target(B, D("0.010"))]
    pump.until(lambda: pump.position("mm") == D("0.010"))


def test_o34_a_target_that_the_hook_returns_counts() -> None:
    pump, puppet = holding()
    puppet.answers = lambda event: [Target(B, D("0.004"))]
    by_hand(pump, Side.SELL, "0.010")
    pump.until(lambda: pump.position("mm") == D("0.004"))


def test_o34_a_close_in_the_same_moment_turns_nothing_over() -> None:
    """The exchange refuses the second close: it is reduce-only. The position is asked for, and nothing is repeated."""
    pump, puppet = holding()
    since = len(pump.sent)
    puppet.wanted = [Target(B, D(0))]
    pump.until(lambda: len(placed(pump, since)) == 1)
    by_hand(pump, Side.SELL, "0.010")  # while it is on its way
    pump.run(20)
    assert pump.venue.position(B) == pump.position("mm") == 0
    assert len(placed(pump, since)) == 1
    assert adds_up(pump)


def test_o34_a_resting_exit_ends_with_its_position() -> None:
    pump, puppet = holding()
    price = pump.market.best(B, Side.SELL) + 100
    puppet.wanted = [Place(symbol=B, side=Side.SELL, quantity=D("0.010"), price=price)]
    pump.until(lambda: len(pump.venue.open_orders()) == 1)
    by_hand(pump, Side.SELL, "0.010")
    pump.run(2)
    assert not pump.venue.open_orders()
    pump.market.move(B, price + 50)
    pump.run(5)
    assert pump.venue.position(B) == pump.position("mm") == 0


@pytest.mark.parametrize("type_", [OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET])
def test_o34_a_stop_without_its_position_opens_nothing(type_: OrderType) -> None:
    pump, puppet = holding()
    below = pump.market.best(B, Side.BUY) - 200
    above = pump.market.best(B, Side.SELL) + 200
    trigger = below if type_ is OrderType.STOP_MARKET else above
    stop = {"type": type_, "trigger_price": trigger, "working_type": WorkingType.MARK_PRICE}
    puppet.wanted = [Place(symbol=B, side=Side.SELL, quantity=D("0.010"), **stop)]  # type: ignore[arg-type]
    pump.until(lambda: any(order.untriggered for order in pump.engine.orders.live))
    by_hand(pump, Side.SELL, "0.010")
    pump.run(2)
    pump.market.move(B, trigger - 100 if type_ is OrderType.STOP_MARKET else trigger + 100)
    pump.run(10)
    assert pump.venue.position(B) == pump.position("mm") == 0
    assert not list(pump.engine.orders.live)


def test_o34_unreported_close_is_found_by_its_refusal() -> None:
    """The user stream is down: the bot believes in its position until the exchange refuses, and then asks."""
    pump, puppet = holding()
    pump.venue.refuses.add(LinkKind.PRIVATE)
    pump.venue.cut(LinkKind.PRIVATE)
    pump.run(1)
    by_hand(pump, Side.SELL, "0.010")
    since = len(pump.sent)
    puppet.patient = False
    puppet.wanted = [Target(B, D(0))]
    pump.run(20)
    assert len(placed(pump, since)) == 1
    assert pump.venue.position(B) == 0
    pump.venue.refuses.clear()
    pump.until(lambda: pump.position("mm") == 0, 60)
    assert [event.cause for event in changes(puppet)] == [PositionCause.OTHER_CLIENT]
    assert len(placed(pump, since)) == 1
    assert adds_up(pump)


def test_o34_a_hedge_of_others_is_left_alone() -> None:
    """What stands against the strategy is another client's: the strategy comes and goes beside it."""
    pump, (puppet,) = world(trading=OrderSideLimits(external=ExternalPolicy.IGNORE))
    pump.run(2)
    by_hand(pump, Side.SELL, "0.030")
    pump.run(1)
    for target in ("0.010", "0", "-0.010", "0"):
        puppet.wanted = [Target(B, D(target))]
        pump.until(lambda target=target: pump.position("mm") == D(target))  # type: ignore[misc]
        assert pump.venue.position(B) == D("-0.030") + D(target)
    assert pump.engine.state.external.account.net(B) == D("-0.030")
    assert changes(puppet) == []


# -- the exchange's own engines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client_order_id", "cause"), [("adl_autoclose", PositionCause.DELEVERAGING), ("autoclose-17", PositionCause.LIQUIDATION)]
)
def test_o20_o34_position_closed_by_the_exchange_stays_closed(client_order_id: str, cause: PositionCause) -> None:
    pump, puppet = holding()
    by_hand(pump, Side.SELL, "0.010", newClientOrderId=client_order_id)
    pump.run(2)
    assert [event.cause for event in changes(puppet)] == [cause]
    assert pump.told(f"BTCUSDT is halted: {cause} by the venue") or pump.engine.state.trading.symbols[B]
    since = len(pump.sent)
    puppet.patient = False
    puppet.wanted = [Target(B, D("0.010"))]
    pump.run(5)
    puppet.wanted = [Target(B, D(0))]
    pump.run(5)
    assert placed(pump, since) == []
    assert pump.venue.position(B) == pump.position("mm") == 0


def test_o20_o34_deleveraging_found_by_a_query_has_its_cause() -> None:
    pump, puppet = holding()
    pump.venue.refuses.add(LinkKind.PRIVATE)
    pump.venue.cut(LinkKind.PRIVATE)
    by_hand(pump, Side.SELL, "0.004", newClientOrderId="adl_autoclose")
    pump.run(1)
    pump.venue.refuses.clear()
    pump.until(lambda: pump.position("mm") == D("0.006"), 60)
    assert [event.cause for event in changes(puppet)] == [PositionCause.DELEVERAGING]
    assert B in pump.engine.state.trading.symbols


def test_o20_o34_a_real_liquidation_is_followed() -> None:
    accounts = [VenueAccount(name="bot", balance=D(700), leverage=20)]
    pump, puppet = holding("0.200", settings=EmbeddedVenue(accounts=accounts))
    pump.market.move(B, pump.market.best(B, Side.BUY) * D("0.94"))
    pump.until(lambda: pump.venue.position(B) == 0, 30)
    pump.run(3)
    assert pump.position("mm") == 0
    assert {event.cause for event in changes(puppet)} == {PositionCause.LIQUIDATION}
    assert pump.engine.accounts["mm"].realized < -500
    assert adds_up(pump)


# -- several strategies -----------------------------------------------------------------------------------------------


def two(first: str, second: str, **more: Any) -> tuple[Pump, Sequence[Puppet]]:
    pump, puppets = world("a", "b", **more)
    for name, puppet, quantity in zip(("a", "b"), puppets, (first, second), strict=True):
        puppet.wanted = [Target(B, D(quantity))]
        pump.until(lambda name=name, quantity=quantity: pump.position(name) == D(quantity))  # type: ignore[misc]
    return pump, puppets


def test_o34_several_strategies_share_what_is_closed() -> None:
    pump, puppets = two("0.030", "0.010")
    by_hand(pump, Side.SELL, "0.010")
    pump.run(2)
    assert (pump.position("a"), pump.position("b")) == (D("0.022"), D("0.008"))
    assert [[event.quantity for event in changes(puppet)] for puppet in puppets] == [[D("-0.008")], [D("-0.002")]]
    by_hand(pump, Side.SELL, "0.030")
    pump.run(2)
    assert pump.position("a") == pump.position("b") == pump.venue.position(B) == 0


def test_o34_one_of_several_is_flattened_by_its_own_position() -> None:
    """They hold against each other: the account is flat, and neither could leave by an order that only reduces it."""
    pump, _ = two("0.010", "-0.010")
    since = len(pump.sent)
    pump.give(HaltAsked(HaltLevel.FLATTEN, "a", "test", 1))
    pump.until(lambda: pump.position("a") == 0)
    (close,) = placed(pump, since)
    assert (close["quantity"], "reduceOnly" in close) == ("0.010", False)
    assert (pump.position("b"), pump.venue.position(B)) == (D("-0.010"), D("-0.010"))
    assert adds_up(pump)


def test_o34_until_a_start_has_compared_nothing_is_turned_over() -> None:
    """The bot has missed a close, and no list of trades comes: its first close is reduce-only, also where two share the symbol."""
    pump, puppets = two("0.010", "0.004")
    pump.kill()
    by_hand(pump, Side.SELL, "0.014")
    pump.venue.fates["GET /fapi/v1/userTrades"] = UNANSWERED
    since = len(pump.sent)
    pump.restart()
    for puppet in puppets:
        puppet.patient = False
        puppet.wanted = [Target(B, D(0))]
    pump.until(lambda: bool(placed(pump, since)), 60)
    pump.run(3)
    assert {order.get("reduceOnly") for order in placed(pump, since)} == {"true"}
    assert pump.venue.position(B) == 0


# -- hedge mode -------------------------------------------------------------------------------------------------------


def test_o34_in_hedge_mode_each_side_follows_by_itself() -> None:
    accounts = [VenueAccount(name="bot", hedge_mode=True)]
    pump, (puppet,) = world(settings=EmbeddedVenue(accounts=accounts), hedge=True)
    more = {"symbol": B, "type": OrderType.MARKET}
    puppet.wanted = [
        Place(side=Side.BUY, quantity=D("0.010"), position_side=LONG, **more),  # type: ignore[arg-type]
        Place(side=Side.SELL, quantity=D("0.020"), position_side=SHORT, **more),  # type: ignore[arg-type]
    ]
    pump.until(lambda: pump.venue.position(B, LONG) == D("0.010") and pump.venue.position(B, SHORT) == D("-0.020"))
    by_hand(pump, Side.SELL, "0.010", positionSide="LONG")
    by_hand(pump, Side.BUY, "0.005", positionSide="SHORT")
    by_hand(pump, Side.BUY, "0.003", positionSide="LONG")
    pump.run(2)
    assert [(event.position_side, event.quantity) for event in changes(puppet)] == [(LONG, D("-0.010")), (SHORT, D("0.005"))]
    external = pump.engine.state.external.account
    assert external.position(B, LONG).quantity == D("0.003")
    assert adds_up(pump)
    puppet.wanted = [Target(B, D(0))]
    pump.until(lambda: pump.venue.position(B, SHORT) == 0)
    pump.run(3)
    assert pump.venue.position(B, LONG) == D("0.003")
    assert adds_up(pump)


# -- while the bot is off ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", list(ExternalPolicy))
@pytest.mark.parametrize(("sold", "left"), [("0.010", "0"), ("0.004", "0.006")])
def test_o24_o34_what_was_closed_while_the_bot_was_off_is_gone(rule: ExternalPolicy, sold: str, left: str) -> None:
    pump, puppet = holding(trading=OrderSideLimits(external=rule))
    pump.kill()
    by_hand(pump, Side.SELL, sold)
    pump.restart()
    pump.run(3)
    assert pump.failed is None
    assert pump.position("mm") == pump.venue.position(B) == D(left)
    (told,) = changes(puppet)
    assert (told.quantity, told.cause) == (-D(sold), PositionCause.WHILE_OFF)
    assert told.realized_pnl != 0  # the trade is found, so its price is known
    since = len(pump.sent)
    puppet.wanted = [Target(B, D(0))]
    pump.run(5)
    assert [call["quantity"] for call in placed(pump, since)] == [left] * (D(left) > 0)
    assert pump.venue.position(B) == pump.position("mm") == 0
    pump.restart()
    pump.run(3)
    assert (pump.failed, pump.position("mm"), len(changes(puppet))) == (None, 0, 1)


def test_o24_external_rest_after_a_close_while_off_is_refused() -> None:
    """The text says what is there: nothing of it is the strategy's any more."""
    pump, puppet = holding()
    pump.kill()
    by_hand(pump, Side.SELL, "0.015")
    pump.restart()
    pump.run(3)
    assert pump.failed is not None
    assert "position of -0.005 BTCUSDT (the account holds -0.005, the strategies 0; entry price" in pump.failed.text
    assert "belongs to no strategy: close it, or set external" in pump.failed.text
    pump.restart(trading=OrderSideLimits(external=ExternalPolicy.IGNORE))
    pump.run(3)
    assert (pump.failed, pump.position("mm"), pump.engine.state.external.account.net(B)) == (None, 0, D("-0.005"))
    pump.restart(trading=OrderSideLimits(external=ExternalPolicy.REFUSE))
    pump.run(3)
    assert pump.failed is None  # it is known from the run before
    assert changes(puppet)[0].cause is PositionCause.WHILE_OFF


def test_o24_adopted_what_is_left_is_the_strategys() -> None:
    pump, puppet = holding(trading=OrderSideLimits(external=ExternalPolicy.ADOPT))
    pump.kill()
    by_hand(pump, Side.SELL, "0.015")
    pump.restart()
    pump.run(3)
    assert (pump.failed, pump.position("mm")) == (None, D("-0.005"))
    assert [event.cause for event in changes(puppet)] == [PositionCause.WHILE_OFF, PositionCause.ADOPTED]
    puppet.wanted = [Target(B, D(0))]
    pump.until(lambda: pump.venue.position(B) == 0)


@pytest.mark.parametrize("amount", ["0.010", "0.004"])
def test_o24_position_closed_and_reopened_while_off_is_external(amount: str) -> None:
    """The account's position is what it was, and no longer the strategy's: the trades decide, as they do while the bot runs."""
    pump, puppet = holding(trading=OrderSideLimits(external=ExternalPolicy.IGNORE))
    pump.kill()
    by_hand(pump, Side.SELL, amount)
    by_hand(pump, Side.BUY, amount)
    pump.restart()
    pump.run(3)
    assert (pump.position("mm"), pump.engine.state.external.account.net(B)) == (D("0.010") - D(amount), D(amount))
    assert [(event.quantity, event.cause) for event in changes(puppet)] == [(-D(amount), PositionCause.WHILE_OFF)]
    assert adds_up(pump)


def test_o24_refusal_follows_the_trades_that_explain_a_change() -> None:
    """What others had is sold past zero while the bot is off, and bought back: that closes the strategy's short."""
    pump, (puppet,) = world(trading=OrderSideLimits(external=ExternalPolicy.REFUSE))
    pump.run(2)
    by_hand(pump, Side.BUY, "0.018")
    puppet.wanted = [Target(B, D("-0.010"))]
    pump.until(lambda: pump.position("mm") == D("-0.010"))
    pump.run(1)
    pump.kill()
    for side, quantity in ((Side.SELL, "0.020"), (Side.BUY, "0.012")):
        by_hand(pump, side, quantity)
    assert pump.venue.position(B) == 0
    pump.restart()
    pump.run(3)
    assert (pump.failed, pump.position("mm"), pump.engine.state.external.account.net(B)) == (None, 0, 0)


def test_o24_trades_are_looked_for_where_positions_cancel_out() -> None:
    """The account is flat before and after, because others hold against the strategy; in between they close both."""
    pump, (puppet,) = world(trading=OrderSideLimits(external=ExternalPolicy.IGNORE))
    pump.run(2)
    by_hand(pump, Side.BUY, "0.010")
    puppet.wanted = [Target(B, D("-0.010"))]
    pump.until(lambda: pump.position("mm") == D("-0.010"))
    pump.run(1)
    pump.kill()
    by_hand(pump, Side.SELL, "0.010")
    by_hand(pump, Side.BUY, "0.010")
    pump.restart()
    pump.run(3)
    assert (pump.position("mm"), pump.engine.state.external.account.net(B)) == (0, 0)


def test_o24_what_others_had_and_closed_while_off_is_not_adopted() -> None:
    """The account is flat: there is nothing that the strategy could take over."""
    pump, _ = world(trading=OrderSideLimits(external=ExternalPolicy.ADOPT))
    pump.run(2)
    by_hand(pump, Side.SELL, "0.005")
    pump.run(1)
    pump.kill()
    by_hand(pump, Side.BUY, "0.005")
    pump.restart()
    pump.run(3)
    assert (pump.failed, pump.position("mm"), pump.engine.state.external.account.net(B)) == (None, 0, 0)
    assert adds_up(pump)


def test_a_position_that_no_trade_explains_is_followed_too() -> None:
    """The exchange names another position, and its list of trades is silent: after two rounds its word counts."""
    pump, puppet = holding()
    account = pump.venue.books().account
    account.position(B, BOTH).quantity = D("0.003")
    pump.until(lambda: pump.position("mm") == D("0.003"), 120)
    (told,) = changes(puppet)
    assert (told.cause, told.quantity) == (PositionCause.ADJUSTMENT, D("-0.007"))
    assert B in pump.engine.state.trading.symbols


# -- dust -------------------------------------------------------------------------------------------------------------


def test_dust_against_the_accounts_side_is_not_sent_but_reported() -> None:
    """A strategy's rest below the smallest notional, while another client holds the other way."""
    symbol = "ETHUSDT"  # the smallest notional is 20: about 0.007
    puppet = Puppet()
    pump = Pump([Trader(id="mm", make=lambda: puppet, symbols=(symbol,))])
    puppet.wanted = [Target(symbol, D("0.050"))]
    pump.until(lambda: pump.position("mm", symbol) == D("0.050"))
    by_hand(pump, Side.SELL, "0.046", symbol=symbol)
    pump.run(1)
    assert pump.position("mm", symbol) == D("0.004")
    pump.engine.state.holdings.hold("", (symbol, BOTH), D("-0.100"), D(3000), PositionCause.ADJUSTMENT)
    since = len(pump.sent)
    puppet.wanted = [Target(symbol, D(0))]
    pump.run(20)
    assert placed(pump, since) == []
    assert len(pump.told("is worth less than the smallest order of 20")) == 1
