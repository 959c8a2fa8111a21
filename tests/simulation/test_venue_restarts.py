"""The venue dies in the middle of a run and comes back: the bot reconnects, resyncs, logs on, resolves every order, and says so."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import Place, Side
from coldframe.core.state.journal_codec import fold
from coldframe.exits import Exit
from coldframe.model.effects import LinkKind
from coldframe.model.events import BookState
from coldframe.model.inputs import ResolveAsked, ResumeAsked
from coldframe.model.orders import OrderState
from tests.simulation.ends import B, bid, code, report
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

D = Decimal
#: Every order is settled by then, also one whose report may have been lost.
PROOF_S = 90
#: So long connects are counted: a bot that has used them up waits for room.
CONNECTS_S = 300


def trading() -> tuple[Pump, Puppet, set[str]]:
    """A bot whose orders rest, and the venue's words for them."""
    puppet = Puppet()
    pump = Pump([Trader(id="mm", make=lambda: puppet)], grace_ms=60_000)
    best = pump.market.best(B, Side.BUY)
    puppet.wanted = [Place(symbol=B, side=Side.BUY, quantity=D("0.005"), price=best - away) for away in (500, 600)]
    pump.until(lambda: [order.state for order in pump.engine.orders.live] == [OrderState.ACCEPTED] * 2)
    return pump, puppet, set(pump.venue.open_orders())


def back(pump: Pump) -> bool:
    """Whether every link, the log-on and every book are there again, and a round has compared everything."""
    trading = pump.engine.trading
    assert trading is not None
    return (
        {socket.kind for socket in pump.venue.sockets.values()} == set(LinkKind)
        and trading.session.ready
        and trading.reports_complete
        and all(book.sync.state is BookState.SYNCED for book in pump.engine.market.books.values())
    )


@pytest.mark.parametrize("away_s", [0, 5, 120])
def test_n3_a_venue_that_kept_its_books_is_compared_with(away_s: int) -> None:
    pump, puppet, names = trading()
    pump.venue.vanish("connection refused")
    pump.run(away_s)
    low = pump.market.best(B, Side.BUY) - 550
    pump.market.move(B, low)  # one of them trades while the bot hears nothing
    pump.venue.unreachable = ""
    pump.until(lambda: back(pump), PROOF_S + CONNECTS_S)
    assert pump.told("order link lost")
    assert pump.told("logged on again")
    assert pump.told("reconciled (user stream opened)")
    assert len(pump.told(f"book {B}: synced at")) >= 2
    pump.until(lambda: pump.position("mm") == pump.venue.position(B) == D("0.005"))
    assert {order.client_order_id for order in pump.engine.orders.live} == set(pump.venue.open_orders()) < names
    puppet.wanted = [bid(pump)]
    pump.until(lambda: len(pump.venue.open_orders()) == 2)
    pump.stop(within_s=PROOF_S)
    assert pump.engine.orders.doubtful == 0
    assert pump.venue.open_orders() == {}
    assert code(pump) is Exit.UNPROTECTED, "what was bought has no stop"


@pytest.mark.parametrize("person", [False, True], ids=["no person looks", "a person settles them"])
def test_n3_o25_a_venue_that_lost_orders_needs_a_person(person: bool) -> None:
    """It contradicts itself: the orders are given up within the proof, hold up new risk, and are named at the end."""
    pump, puppet, names = trading()
    pump.forget_everything()
    pump.until(lambda: back(pump), PROOF_S)
    pump.until(lambda: len(pump.told("the venue neither lists nor finds it")) == 2, PROOF_S)
    states = {order.client_order_id: order.state for order in pump.engine.orders.live}
    assert states == dict.fromkeys(names, OrderState.NEEDS_OPERATOR)
    assert pump.told(f"{B} is halted: no new risk there until it is resumed")
    puppet.patient, puppet.wanted = False, [bid(pump)]
    pump.run(5)
    assert pump.venue.open_orders() == {}
    if person:
        for name in names:
            pump.give(ResolveAsked(name, "canceled", ""))
            pump.give(ResolveAsked(name, "canceled", "again"))
        pump.give(ResumeAsked())
        pump.run(1)
        assert len(pump.told("resolved by hand: BUY 0.005 BTCUSDT")) == 2
        puppet.wanted = [bid(pump)]
        pump.until(lambda: len(pump.venue.open_orders()) == 1)
    pump.stop(within_s=PROOF_S)
    assert pump.venue.open_orders() == {}
    assert {order.client_order_id for order in report(pump).left} == (set() if person else names)
    assert code(pump) is (Exit.DONE if person else Exit.UNSETTLED)
    settled = {name: order.state for name, order in fold(pump.rows).orders.items() if name in names}
    assert settled == dict.fromkeys(names, OrderState.CANCELED if person else OrderState.NEEDS_OPERATOR)
