"""What the exchange refuses for good: it is told in its words, repeated with growing pauses, and stops nothing else."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from coldframe import Place, Target
from coldframe.enums import OrderType, Side, WorkingType
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

D = Decimal
B, TRADFI = "BTCUSDT", "TSLAUSDT"


def test_o39_unsigned_agreement_stops_its_symbol_only() -> None:
    btc, tesla = Puppet(), Puppet()
    pump = Pump([Trader(id="btc", make=lambda: btc), Trader(id="tesla", make=lambda: tesla, symbols=(TRADFI,))])
    pump.run(3)
    since = len(pump.sent)
    tesla.wanted = [Target(TRADFI, D(1))]
    times: list[int] = []

    def note() -> None:
        count = sum(params.get("symbol") == TRADFI and name == "order.place" for name, params in pump.sent[since:])
        times.extend([pump.now_ms] * (count - len(times)))
        # The doubt that a refusal might leave would shut the other symbol.
        assert not pump.engine.orders.doubtful

    pump.watchers.append(note)
    for number in range(1, 6):
        btc.wanted = [Target(B, D("0.010") * number)]
        pump.run(8)
        assert pump.venue.position(B) == pump.position("btc") == D("0.010") * number
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert 3 <= len(pauses) <= 12
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 8_000
    assert pump.told("-4411")
    assert pump.venue.by_hand("POST", "/fapi/v1/stock/contract", {}).status == 200
    pump.until(lambda: pump.position("tesla", TRADFI) == 1, 70)


def closing(trigger: Decimal) -> Place:
    stop = {"type": OrderType.STOP_MARKET, "trigger_price": trigger, "working_type": WorkingType.MARK_PRICE}
    return Place(symbol=B, side=Side.SELL, quantity=D(0), close_position=True, **stop)  # type: ignore[arg-type]


def test_o39_a_second_close_in_one_direction_is_refused_once() -> None:
    puppet = Puppet()
    pump = Pump([Trader(id="mm", make=lambda: puppet)])
    pump.run(3)
    puppet.wanted = [Target(B, D("0.010"))]
    pump.until(lambda: pump.position("mm") == D("0.010"))
    mark = pump.venue.exchange.markets[B].public_data.prices.mark
    puppet.wanted = [closing(D(int(mark)) - 500)]
    pump.until(lambda: any(order.untriggered for order in pump.engine.orders.live))
    since = len(pump.sent)
    puppet.wanted = [closing(D(int(mark)) - 600)]
    pump.run(20)
    assert [name for name, _ in pump.sent[since:] if name.endswith(".place")] == ["algoOrder.place"]
    assert len(pump.told("-4130")) == 1
    assert not pump.engine.orders.doubtful
    puppet.wanted = [Target(B, D("0.020"))]
    pump.until(lambda: pump.position("mm") == D("0.020"))
