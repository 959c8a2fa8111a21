"""A contract is listed, gets new rules, or is delisted during a run: the bot follows, and its strategy is told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import (
    CancelAll,
    ContractChanged,
    Intent,
    OrderChanged,
    Place,
    PositionCause,
    PositionChanged,
    Side,
    Target,
    hookimpl,
)
from coldframe.config.venue import EmbeddedVenue, VenueAccount, VenueChange
from coldframe.core.state.orders import OrderState
from coldframe.enums import ContractStatus, OrderType
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

B, S = "BTCUSDT", "SOLUSDT"
D = Decimal


class Listener(Puppet):
    """A puppet that hears of contracts and of its position, too."""

    @hookimpl
    def on_contract(self, event: ContractChanged) -> None:
        self.events.append(event)

    @hookimpl
    def on_position(self, event: PositionChanged) -> None:
        self.events.append(event)


def world(*changes: tuple[str, str], symbol: str = B, hedge: bool = False) -> tuple[Pump, Listener]:
    """Twenty seconds after the start, and a second after each other, contracts change."""
    planned = [VenueChange(at_s=D(20 + n), what=what, value=value, symbol=symbol) for n, (what, value) in enumerate(changes)]
    settings = EmbeddedVenue(accounts=[VenueAccount(name="main")], changes=planned)
    puppet = Listener()
    channels = ("depth@100ms", "markPrice@1s", "!contractInfo")
    return Pump([Trader(id="mm", make=lambda: puppet)], settings=settings, channels=channels), puppet


def status(pump: Pump) -> ContractStatus:
    return pump.engine.state.instruments[B].status


def limit(price: str, quantity: str = "0.010", side: Side = Side.BUY) -> Intent:
    return Place(symbol=B, side=side, quantity=D(quantity), price=D(price))


def stop(trigger: str) -> Intent:
    return Place(
        symbol=B,
        side=Side.SELL,
        quantity=D("0.004"),
        type=OrderType.STOP_MARKET,
        trigger_price=D(trigger),
        reduce_only=True,
    )


# -- delisting --------------------------------------------------------------------------------------------------------


def test_b10_a_delisting_ends_orders_and_position_with_a_reason() -> None:
    pump, puppet = world(("listing", "delisted"))
    puppet.wanted = [Target(B, D("0.010"))]
    pump.until(lambda: pump.position("mm") == D("0.010"), 10)
    puppet.wanted = [limit("59000"), stop("58000")]
    pump.until(lambda: len(pump.venue.open_orders()) == len(pump.venue.waiting_orders()) == 1, 5)
    pump.until(lambda: status(pump) is ContractStatus.SETTLING, 30)
    pump.run(3)

    assert not pump.venue.open_orders()
    assert not pump.venue.waiting_orders()
    assert pump.venue.position(B) == pump.position("mm") == 0
    ended = [event for event in puppet.events if isinstance(event, OrderChanged) and event.state == OrderState.EXPIRED]
    assert sorted(event.type for event in ended) == [OrderType.LIMIT, OrderType.STOP_MARKET]
    assert all("symbol delisted" in event.reason for event in ended)
    (moved,) = [event for event in puppet.events if isinstance(event, PositionChanged)]
    assert (moved.quantity, moved.position, moved.cause) == (D("-0.010"), 0, PositionCause.SETTLEMENT)
    (told,) = [event for event in puppet.events if isinstance(event, ContractChanged)]
    assert (told.symbol, told.status) == (B, ContractStatus.SETTLING)
    assert pump.told(f"{B} is SETTLING: no new orders there")


def test_b10_a_delisted_contract_closes_and_leaves_the_list() -> None:
    pump, puppet = world(("listing", "delisted"))
    pump.until(lambda: status(pump) is ContractStatus.SETTLING, 30)
    sent = len(pump.sent)
    puppet.wanted = [limit("59000"), Target(B, D("0.010"))]
    pump.until(lambda: status(pump) is ContractStatus.CLOSE, 90)
    pump.run(70)  # the list of contracts has been asked for by then
    assert status(pump) is ContractStatus.CLOSE
    assert "order.place" not in [method for method, _ in pump.sent[sent:]]
    pump.stop()
    assert pump.finished == "duration"


@pytest.mark.parametrize("quantity", ["0.010", "-0.010"])
def test_b10_a_desired_state_lapses_with_its_contract(quantity: str) -> None:
    pump, puppet = world(("listing", "delisted"))
    puppet.wanted = [Target(B, D(quantity))]
    pump.until(lambda: pump.position("mm") == D(quantity), 10)
    pump.until(lambda: status(pump) is ContractStatus.SETTLING, 30)
    pump.run(60)
    assert pump.venue.position(B) == pump.position("mm") == 0


def test_b10_a_run_restarted_after_a_delisting_agrees() -> None:
    pump, puppet = world(("listing", "delisted"))
    puppet.wanted = [Target(B, D("0.010")), limit("59000")]
    pump.until(lambda: pump.position("mm") == D("0.010") and bool(pump.venue.open_orders()), 10)
    pump.kill()  # what happens now it only learns when it comes back
    pump.run(30)
    pump.restart()
    pump.until(lambda: pump.position("mm") == 0, 30)
    assert pump.venue.position(B) == 0
    assert status(pump) is ContractStatus.SETTLING


# -- listing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([("listing", "listed")], [ContractStatus.TRADING]),
        ([("listing", "pending"), ("status", "TRADING")], [ContractStatus.PENDING_TRADING, ContractStatus.TRADING]),
    ],
)
def test_a_new_contract_is_told(changes: list[tuple[str, str]], told: list[ContractStatus]) -> None:
    pump, puppet = world(*changes, symbol=S)
    pump.run(15)
    assert S not in pump.venue.exchange.markets
    pump.run(15)
    news = [event for event in puppet.events if isinstance(event, ContractChanged)]
    assert [(event.symbol, event.status) for event in news] == [(S, effect) for effect in told]
    assert news[0].brackets
    assert pump.engine.state.instruments[B].trading


# -- rules ------------------------------------------------------------------------------------------------------------


def test_b11_orders_keep_the_new_tick() -> None:
    pump, puppet = world(("tick", "0.5"))
    puppet.wanted = [limit("59000.1")]
    pump.until(lambda: len(pump.venue.open_orders()) == 1, 10)
    pump.until(lambda: pump.engine.state.instruments[B].filters.tick == D("0.5"), 60)
    puppet.wanted = [CancelAll(B)]
    pump.until(lambda: not pump.venue.open_orders(), 10)
    sent = len(pump.sent)
    puppet.wanted = [limit("59000.2"), limit("59000.5")]
    pump.until(lambda: len(pump.venue.open_orders()) == 1, 10)
    prices = [params["price"] for method, params in pump.sent[sent:] if method == "order.place"]
    assert [D(str(price)) for price in prices] == [D("59000.5")]


# -- the plan ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("leverage", "126", B), "leverage of BTCUSDT to 126: not done: code -4028"),
        (("tick", "0.5", "XRPUSDT"), "tick of XRPUSDT to 0.5: not done: XRPUSDT is not listed"),
        (("tick", "100", B), "would be less than 1000 ticks"),
        (("margin", "cross", B), "margin of BTCUSDT to cross: not done: code -4046"),
        (("position_mode", "one_way", ""), "position_mode to one_way: not done: code -4059"),
        (("listing", "listed", "NEWUSDT"), "the market of this venue knows no NEWUSDT"),
        (("listing", "delisted", "NEWUSDT"), "NEWUSDT is not listed"),
        (("status", "TRADING", B), "BTCUSDT is TRADING already"),
        (("funding_interval_h", "4", S), "SOLUSDT is not listed"),
    ],
)
def test_a_refused_change_is_told_once_in_words(change: tuple[str, str, str], told: str) -> None:
    what, value, symbol = change
    planned = [VenueChange(at_s=D(2), what=what, value=value, symbol=symbol)]
    pump = Pump([Trader(id="mm", make=Puppet)], settings=EmbeddedVenue(changes=planned))
    pump.run(10)
    (notice,) = pump.venue.notices
    assert notice.startswith("planned at 2 s: ")
    assert told in notice
