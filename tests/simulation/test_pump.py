"""The pump itself: a bot trades, ends and restarts in it, faults reach it, and the same world comes out the same."""

from __future__ import annotations

from decimal import Decimal
from hashlib import blake2b
from pathlib import Path

from coldframe import Place, Quote, Quotes, Side, Target
from coldframe.config.venue import EmbeddedVenue, VenueFaults
from coldframe.model.effects import LinkKind
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet


def world(**more: object) -> tuple[Pump, Puppet]:
    puppet = Puppet()
    return Pump([Trader(id="mm", make=lambda: puppet)], **more), puppet  # type: ignore[arg-type]


def test_a_target_is_reached_and_the_run_ends_clean() -> None:
    pump, puppet = world()
    puppet.wanted = [Target("BTCUSDT", Decimal("0.010"))]
    pump.until(lambda: pump.position("mm") == Decimal("0.010"))
    assert pump.venue.position("BTCUSDT") == Decimal("0.010")
    pump.stop()
    assert pump.finished == "duration"
    assert not pump.venue.open_orders()


def test_resting_quotes_are_met_when_the_market_moves() -> None:
    pump, puppet = world()
    low = pump.market.best("BTCUSDT", Side.BUY) - 100
    puppet.wanted = [Quotes("BTCUSDT", bids=[Quote(low, Decimal("0.005"))])]
    pump.until(lambda: len(pump.venue.open_orders()) == 1)
    pump.market.move("BTCUSDT", low - 50)
    pump.until(lambda: pump.position("mm") == Decimal("0.005"), 5)
    assert pump.venue.position("BTCUSDT") == Decimal("0.005")


def test_another_client_trades_on_the_account() -> None:
    pump, _ = world()
    pump.run(3)
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}
    assert pump.venue.by_hand("POST", "/fapi/v1/order", order).status == 200
    pump.run(3)
    assert pump.venue.position("BTCUSDT") == Decimal("0.010")
    assert pump.engine.state.external.account.net("BTCUSDT") == Decimal("0.010")


def test_a_killed_bot_goes_on_where_its_journal_ends() -> None:
    pump, puppet = world()
    puppet.wanted = [Target("BTCUSDT", Decimal("0.010"))]
    pump.until(lambda: pump.position("mm") == Decimal("0.010"))
    pump.restart()
    pump.run(5)
    assert pump.failed is None
    assert pump.position("mm") == pump.venue.position("BTCUSDT") == Decimal("0.010")


def test_every_kind_of_link_comes_back_after_a_cut() -> None:
    pump, _ = world()
    pump.run(3)
    for kind in LinkKind:
        pump.venue.cut(kind)
    pump.run(10)
    assert {socket.kind for socket in pump.venue.sockets.values()} == set(LinkKind)


def test_faults_reach_the_bot() -> None:
    faults = VenueFaults(orders_doubtful=Decimal(1), doubtful_calls=["place"])
    pump, puppet = world(settings=EmbeddedVenue(faults=faults))
    bid = pump.market.best("BTCUSDT", Side.BUY) - 100
    puppet.wanted = [Place(symbol="BTCUSDT", side=Side.BUY, quantity=Decimal("0.005"), price=bid)]
    pump.until(lambda: bool(pump.told("outcome unknown")))
    pump.until(lambda: not pump.engine.orders.doubtful, 60)


def test_a_configuration_runs_in_it() -> None:
    pump = Pump.of_config(Path("configs/quickstart.toml"))
    pump.until(lambda: any(account.fills for account in pump.engine.accounts.values()), 60)
    pump.stop(within_s=5)  # as long as a person waits who has pressed Ctrl-C


def digest(seed: int) -> str:
    pump, puppet = world(seed=seed)
    puppet.act = lambda view: [Target("BTCUSDT", Decimal(view.now_ms // 2000 % 3 - 1) / 100)]
    pump.run(20)
    return blake2b(repr((pump.sent, [(row.kind, row.body) for row in pump.rows])).encode()).hexdigest()


def test_one_seed_makes_one_world() -> None:
    assert digest(3) == digest(3)
