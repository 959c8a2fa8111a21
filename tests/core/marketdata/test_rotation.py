"""Streams of the whole market pass from link to link: every row of every frame once, in each symbol's order."""

from __future__ import annotations

from collections import defaultdict, deque

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.marketdata.links import Feed
from coldframe.core.marketdata.rotation import StreamSequence
from coldframe.core.marketdata.shards import FeedLimits, plan
from coldframe.enums import ContractStatus, ContractType, OrderStatus, OrderType, Side, TimeInForce
from coldframe.wire.names import StreamName, parse
from coldframe.wire.streams import (
    AssetIndex,
    BookTicker,
    ContractInfo,
    ForceOrder,
    LiquidationOrder,
    MarketMessage,
    MiniTicker,
    Ticker,
    TradingSession,
)
from tests.core.made import START_MS, agg_trade, mark_price
from tests.core.wires import Wires

LIMITS = FeedLimits(rotate_after_ms=3_600_000, overlap_ms=30_000, patience=100)
MARKET = [
    "!markPrice@arr",
    "!markPrice@arr@1s",
    "!bookTicker",
    "!ticker@arr",
    "!miniTicker@arr",
    "!forceOrder@arr",
    "!contractInfo",
    "!assetIndex@arr",
    "tradingSession",
]
SYMBOLS = ("AUSDT", "BUSDT", "CUSDT")


def row(kind: str, symbol: str, tick: int, number: int) -> MarketMessage:
    """One row of a frame: all rows of a tick have its time; `number` counts all rows of the stream, for streams with update ids."""
    head = {"event_ms": START_MS + tick, "symbol": symbol}
    day = {"close": "1", "open": "1", "high": "1", "low": "1", "volume": "1", "quote_volume": "1"}
    match kind.split("@")[0]:
        case "!markPrice":
            return mark_price(symbol=symbol, event_ms=START_MS + tick)
        case "!bookTicker":
            return BookTicker(event="bookTicker", update_id=number, bid="1", bid_quantity="1", ask="2", ask_quantity="1", **head)
        case "!miniTicker":
            return MiniTicker(event="24hrMiniTicker", **head, **day)
        case "!ticker":
            ids = {"open_ms": 1, "close_ms": 2, "first_id": 1, "last_id": 2, "trades": 2}
            change = {"change": "0", "change_percent": "0", "weighted_average": "1", "last_quantity": "1"}
            return Ticker(event="24hrTicker", **head, **day, **ids, **change)
        case "!forceOrder":
            return ForceOrder(event="forceOrder", event_ms=START_MS + tick, order=liquidation(symbol, tick))
        case "!contractInfo":
            dates = {"delivery_ms": 1, "onboard_ms": 1}
            kinds = {"contract_type": ContractType.PERPETUAL, "status": ContractStatus.TRADING}
            return ContractInfo(event="contractInfo", **head, **dates, **kinds)
        case "!assetIndex":
            rates = ("index_price", "bid_buffer", "ask_buffer", "bid_rate", "ask_rate")
            auto = ("auto_bid_buffer", "auto_ask_buffer", "auto_bid_rate", "auto_ask_rate")
            return AssetIndex(event="assetIndexUpdate", **head, **dict.fromkeys(rates + auto, "1"))
        case _:
            return TradingSession(event=symbol, event_ms=START_MS + tick, start_ms=1, end_ms=2, session="REGULAR")


def liquidation(symbol: str, tick: int) -> LiquidationOrder:
    numbers = ("quantity", "price", "average_price", "last_quantity", "filled_quantity")
    return LiquidationOrder(
        symbol=symbol,
        side=Side.SELL,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.IOC,
        status=OrderStatus.FILLED,
        trade_ms=START_MS + tick,
        **dict.fromkeys(numbers, "1"),
    )


def subject(message: MarketMessage) -> str:
    if isinstance(message, ForceOrder):
        return message.order.symbol
    return message.event if isinstance(message, TradingSession) else message.symbol  # type: ignore[attr-defined,no-any-return]


class Market:
    """Frames of a stream of the whole market, and two links that bring them as they like."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.name: StreamName = parse(kind)
        self.wires = Wires(Feed(plan([self.name], LIMITS), LIMITS, lambda: 0.5))
        self.wires.open_all()
        self.wires.acknowledge()
        (self.old,) = self.wires.wires
        self.queues: dict[str, deque[list[MarketMessage]]] = {self.old: deque()}
        self.rows = self.ticks = 0
        self.truth: dict[str, list[MarketMessage]] = defaultdict(list)

    def rotate(self) -> str:
        self.wires.do(self.wires.feed.rotate(self.old, self.wires.now_ns, "for a test"))
        self.wires.open_all()
        self.wires.acknowledge()
        (new,) = set(self.wires.wires) - {self.old}
        self.queues[new] = deque()
        return new

    def apply(self, symbols: list[str]) -> None:
        """One tick: a row for each of these symbols. Update ids do not grow from row to row, only from tick to tick."""
        self.ticks += 1
        self.rows += len(symbols)
        frame = [row(self.kind, symbol, self.ticks, self.rows - place) for place, symbol in enumerate(symbols)]
        for message in frame:
            self.truth[subject(message)].append(message)
        for queue in self.queues.values():
            queue.append(frame)

    def deliver(self, link: str) -> None:
        """The next frame of a link."""
        if self.queues[link]:
            for message in self.queues[link].popleft():
                self.wires.say(link, self.name, message)

    def catch_up(self) -> None:
        for link, queue in self.queues.items():
            while queue:
                self.deliver(link)

    def told(self) -> dict[str, list[MarketMessage]]:
        told: dict[str, list[MarketMessage]] = defaultdict(list)
        for _, message in self.wires.told:
            told[subject(message)].append(message)
        return told


@attrs.frozen
class Plan:
    """What happens while two links run side by side: ticks, and deliveries by one or the other."""

    steps: list[list[str] | int]
    fails: bool


_TICK = st.lists(st.sampled_from(SYMBOLS), min_size=1, unique=True)
_PLAN = st.builds(Plan, st.lists(st.one_of(_TICK, st.integers(0, 1), st.integers(0, 1)), max_size=30), st.booleans())


@pytest.mark.parametrize("kind", MARKET)
@given(before=st.lists(_TICK, max_size=3), heard=st.integers(0, 3), plan=_PLAN, after=st.lists(_TICK, min_size=1, max_size=3))
def test_every_row_of_the_whole_market_is_told_once(
    kind: str, before: list[list[str]], heard: int, plan: Plan, after: list[list[str]]
) -> None:
    """Also when the successor fails and the old link goes on."""
    market = Market(kind)
    for symbols in before:
        market.apply(symbols)
    for _ in range(heard):
        market.deliver(market.old)
    new = market.rotate()
    for step in plan.steps:
        if isinstance(step, int):
            market.deliver((market.old, new)[step])
        else:
            market.apply(step)
    if plan.fails:
        del market.queues[new]
        market.wires.fall(new)
    else:
        market.catch_up()
        market.wires.pass_time(40_000)
        assert list(market.wires.wires) == [new]
        del market.queues[market.old]
    for symbols in after:
        market.apply(symbols)
    market.catch_up()
    assert market.told() == market.truth
    assert market.wires.lost == []


def test_every_tick_is_delivered_when_the_successor_is_ahead() -> None:
    market = Market("!markPrice@arr@1s")
    new = market.rotate()
    for _ in range(3):
        market.apply(list(SYMBOLS))
        market.deliver(new)
        market.deliver(market.old)
    assert len(market.wires.told) == 9


def test_whole_market_best_prices_are_compared_by_symbol() -> None:
    market = Market("!bookTicker")
    market.apply(["AUSDT", "BUSDT"])  # the second row has the lower update id
    market.deliver(market.old)
    new = market.rotate()
    market.apply(["CUSDT", "BUSDT", "AUSDT"])
    market.deliver(new)
    market.deliver(market.old)
    market.apply(["BUSDT"])
    market.deliver(new)
    assert market.told() == market.truth


# -- one sequence -----------------------------------------------------------------------------------------------------


def test_a_successor_takes_over_where_the_old_link_meets_it() -> None:
    sequence = StreamSequence(owner="old")
    first, second, third, fourth = (agg_trade(number) for number in range(1, 5))
    assert sequence.step("old", "new", first) == ((first,), -1)
    assert sequence.step("new", "new", third) == ((), -1)
    assert sequence.step("old", "new", second) == ((second, third), 1)
    assert sequence.step("new", "new", fourth) == ((fourth,), -1)


def test_without_a_successor_the_old_link_stays_in_charge() -> None:
    sequence = StreamSequence(owner="old")
    assert sequence.step("new", None, agg_trade(2)) == ((), -1)
    assert sequence.step("old", None, agg_trade(1)) == ((agg_trade(1),), -1)
    assert sequence.owner == "old"


@pytest.mark.parametrize(("late", "kept"), [(2, []), (3, []), (4, [4])])
def test_after_a_takeover_what_the_old_link_repeats_is_dropped(late: int, kept: list[int]) -> None:
    sequence = StreamSequence(owner="new", last_key=3)
    assert sequence.step("old", "new", agg_trade(late)) == ((), -1)
    assert list(sequence.held) == [agg_trade(number) for number in kept]
