"""Each machine that compares us with the account, alone, as a trace: at a moment this comes, and that goes out."""

from __future__ import annotations

import json

from coldframe.core.connectivity.rest_queue import Returned
from coldframe.core.marketdata.market import Market
from coldframe.core.marketdata.shards import FeedLimits
from coldframe.core.reconciliation.account_settings import AccountSettings, AccountWatch, PendingModes
from coldframe.core.reconciliation.asset_prices import AssetPrices, AssetsSeen, PendingPrice
from coldframe.core.reconciliation.funding_income import FundingIncome, PendingIncome
from coldframe.core.reconciliation.leverage_brackets import Brackets, PendingBrackets, PendingLeverage
from coldframe.core.reconciliation.open_orders import ListedOrders, PendingConfirm, PendingContradictionCancel
from coldframe.core.reconciliation.order_side import OrderSide
from coldframe.core.reconciliation.position_breaks import PositionBreaks
from coldframe.core.reconciliation.rounds import PendingOpenAlgos, PendingOpenOrders, PendingPositions, Reconciler
from coldframe.core.reconciliation.startup import StartCheck
from coldframe.core.reconciliation.trade_scan import PendingTrades, TradeScan
from coldframe.core.state.external import ExternalPolicy
from coldframe.enums import OrderStatus, PositionSide, Side
from coldframe.model.effects import AppendJournal, CallRest, Fail, Log, OpenLink, SendRequest, WakeAt
from coldframe.model.engine_events import AccountSettingDiffers, NothingToReduce, SettingsDoubted, StreamMessage
from coldframe.model.events import LinkChanged, LinkState
from coldframe.model.inputs import LinkLost, LinkOpened, TimeReached
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState
from coldframe.testing import Playbook
from coldframe.wire.account import AccountConfigUpdate, AccountUpdate
from coldframe.wire.codec import Census, decode_user, encode
from coldframe.wire.names import StreamName
from coldframe.wire.rest import Answer
from tests.core.made import START_MS, START_NS, SYMBOL, mark_price
from tests.core.scripted import Actor, Scripted
from tests.core.told import AtVenue, D, Trade, place
from tests.core.trace import Alone, Like, OrderWorld, at, changed, filled, row, wake

LISTS, ALGOS, POSITIONS = "/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders", "/fapi/v3/positionRisk"
TRADES, ORDER = "/fapi/v1/userTrades", "/fapi/v1/order"


def call(path: str, number: int | None = None, verb: str = "GET", **params: object) -> Like:
    return Like(CallRest, verb=verb, path=path, **({"params": params} if params else {}), **({"call_id": number} if number else {}))


def back(purpose: object, body: object = None, status: int = 200, sent_ms: int = 0) -> Returned:
    """What a call for this purpose has brought; without a body, nothing."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = None if body is None else Answer(status, {}, raw)
    return Returned(purpose, answer, "timed out", START_NS + sent_ms * 1_000_000)


def reconciler(world: OrderWorld, page: int = 1_000) -> Reconciler:
    scan = TradeScan(world.state, world.ctx, world.calls, world.reports, page)
    start = StartCheck(world.state, world.ctx, world.reports, ExternalPolicy.REFUSE)
    return Reconciler(
        world.state, world.ctx, world.calls, world.reports, world.executor, scan, start, unbroken=lambda since_ns: False
    )


def test_trace_of_the_reconciler() -> None:
    """A round brings a fill that the user stream has not told."""
    world = OrderWorld()
    rounds = reconciler(world)
    order = world.stand(place(quantity="2", price="99.5"))
    venue = AtVenue.of(order, 77)
    missed = Trade(11, "0.5")
    venue.trade(missed)
    position = {"symbol": SYMBOL, "positionSide": "BOTH", "positionAmt": "0.5", "entryPrice": "100", "updateTime": 0}
    assert (
        Playbook(Alone(world.ctx, rounds.step), ignore=(Log,))
        >> at(0, lambda: rounds.begin("user stream opened", [SYMBOL]))
        << wake("reconcile:light", 30_000)
        << call(LISTS, 1)
        << call(ALGOS, 2)
        << call(POSITIONS, 3)
        << call(TRADES, 4)
        >> at(30, back(PendingOpenOrders(1), b"[" + encode(venue.reply()) + b"]"))
        >> at(31, back(PendingOpenAlgos(1, ""), []))
        >> at(32, back(PendingPositions(1), [position], sent_ms=1))
        >> at(40, back(PendingTrades(1, SYMBOL), b"[" + encode(venue.row(missed)) + b"]"))
        << filled("0.5", position=D("0.5"))
        << changed(OrderState.PARTIALLY_FILLED)
        << row(RowKind.FILL, order.client_order_id)
        << row(RowKind.TRADE_CURSOR, SYMBOL)
    )
    assert (rounds.done, rounds.rounds) == (True, 1)


def test_trace_of_a_round_that_fails() -> None:
    world = OrderWorld()
    rounds = reconciler(world)
    assert (
        Playbook(Alone(world.ctx, rounds.step), ignore=(Log,))
        >> at(0, lambda: rounds.begin("user stream opened", []))
        << wake("reconcile:light", 30_000)
        << call(LISTS)
        << call(ALGOS)
        << call(POSITIONS)
        >> at(30, back(PendingOpenOrders(1)))
        << wake("reconcile:again", 530)
        # What still comes of it is left alone.
        >> at(40, back(PendingOpenAlgos(1, ""), []))
        >> at(530, lambda: rounds.begin("again", []))
        << wake("reconcile:light", 30_530)
        << call(LISTS)
        << call(ALGOS)
        << call(POSITIONS)
    )
    assert not rounds.done


def test_trace_of_rows_of_open_orders() -> None:
    """A list says that an order is open which has ended: it is confirmed before it is believed, and then it goes."""
    world = OrderWorld()
    listed = ListedOrders(world.state, world.ctx, world.calls, world.reports, world.executor)
    order = world.stand(place(price="99.5"))
    venue = AtVenue.of(order, 77)
    world.orders.see(order, OrderStatus.FILLED, D(1), START_NS)
    stale = venue.reply()
    asked = PendingConfirm(SYMBOL, 77, START_MS + 10_000)
    assert (
        Playbook(Alone(world.ctx, listed.step), ignore=(Log,))
        >> at(10_000, lambda: listed.compare([stale], [], START_NS + 9_000_000_000) and None)
        << call(ORDER, symbol=SYMBOL, orderId=77)
        >> at(10_040, back(asked, encode(stale)))
        << call(ORDER, verb="DELETE", symbol=SYMBOL, orderId=77)
        >> at(10_080, back(PendingContradictionCancel(order.client_order_id), {}))
    )


def test_trace_of_a_position_that_breaks() -> None:
    world = OrderWorld()
    breaks = PositionBreaks(world.state, world.ctx, world.reports, halt=True)
    world.account.holdings.position(SYMBOL).fill(Side.BUY, D(1), D(100))
    assert (
        Playbook(Alone(world.ctx, breaks.step))
        # Our books have nothing that a buy would reduce: a late answer.
        >> at(0, NothingToReduce(SYMBOL, PositionSide.BOTH, Side.BUY))
        >> at(10, NothingToReduce(SYMBOL, PositionSide.BOTH, Side.SELL))
        << Log
        >> at(20, NothingToReduce(SYMBOL, PositionSide.BOTH, Side.SELL))
    )
    assert breaks.symbols == {SYMBOL}


def test_trace_of_the_account_watch() -> None:
    world = OrderWorld()
    watch = AccountWatch(world.state, world.ctx, world.calls, AccountSettings(leverage={SYMBOL: 5}), [SYMBOL])
    brackets, config, modes = "/fapi/v1/leverageBracket", "/fapi/v1/symbolConfig", "/fapi/v1/accountConfig"
    leverage = b'{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"ac":{"s":"BTCUSDT","l":%d}}'
    told = [decode_user(leverage % number, Census()) for number in (20, 5)]
    assert all(isinstance(event, AccountConfigUpdate) for event in told)
    account = {"canTrade": True, "dualSidePosition": True, "multiAssetsMargin": False}
    assert (
        Playbook(Alone(world.ctx, watch.step), ignore=(Log,))
        >> at(0, watch.begin)
        << call(brackets)
        << call(config)
        >> at(100, told[0])
        << AccountSettingDiffers(SYMBOL)
        >> at(200, told[1])
        >> at(5_000, TimeReached("orders:tick"))
        # A doubt: it is looked at sooner.
        >> at(5_100, SettingsDoubted())
        >> at(5_250, TimeReached("orders:tick"))
        << call(modes)
        << call(brackets)
        << call(config)
        >> at(5_300, back(PendingModes(), account))
        << AccountSettingDiffers("")
    )


def test_trace_of_leverage_brackets() -> None:
    world = OrderWorld()
    told: list[str] = []
    brackets = Brackets(world.state, world.ctx, world.calls, lambda row: told.append(row.symbol))
    assert (
        Playbook(Alone(world.ctx, brackets.step))
        >> at(0, brackets.ask)
        << call("/fapi/v1/leverageBracket")
        << call("/fapi/v1/symbolConfig")
        # While none are known, that is said once.
        >> at(20, back(PendingBrackets()))
        << Log
        >> at(30, back(PendingLeverage()))
    )
    assert told == []


def test_trace_of_asset_prices() -> None:
    world = OrderWorld()
    market = Market(world.ctx, world.calls, [], FeedLimits())
    prices = AssetPrices(world.state, world.ctx, world.calls, market)
    seen = AssetsSeen(fees=("BNB",))
    stream = StreamName.of("BNBUSD", "assetIndex")
    index = {"symbol": "BNBUSD", "time": 1, "index": "600", "bidBuffer": "0", "askBuffer": "0", "bidRate": "0", "askRate": "0"}
    index |= {"autoExchangeBidBuffer": "0", "autoExchangeAskBuffer": "0", "autoExchangeBidRate": "0", "autoExchangeAskRate": "0"}
    assert (
        Playbook(Alone(world.ctx, prices.step, "feed:check:"), ignore=(Log,))
        >> at(0, seen)
        << call("/fapi/v1/assetIndex", symbol="BNBUSD")
        >> at(250, seen)
        >> at(300, back(PendingPrice("BNB", "BNBUSD", index=True), index))
        << row(RowKind.PRICE, "BNB")
        # It is heard of by itself from now on.
        << OpenLink
        >> at(500, seen)
        # Of a contract that was not asked about.
        >> at(600, StreamMessage(stream, mark_price("100")))
    )


def test_trace_of_funding_income() -> None:
    world = OrderWorld()
    world.state.account_compared(START_MS)
    world.account.holdings.position(SYMBOL).fill(Side.BUY, D(1), D(100))
    income = FundingIncome(world.state, world.ctx, world.calls)
    balance = b'{"a":"USDT","wb":"99","cw":"99","bc":"-1"}'
    report = b'{"e":"ACCOUNT_UPDATE","E":%d,"T":%d,"a":{"m":"FUNDING_FEE","B":[%s],"P":[%s]}}'
    position = b'{"s":"BTCUSDT","pa":"1","ep":"100","cr":"0","up":"0","mt":"cross","iw":"0","ps":"BOTH"}'
    event = decode_user(report % (START_MS + 50, START_MS + 50, balance, position), Census())
    assert isinstance(event, AccountUpdate)
    earlier = PendingIncome("FUNDING_FEE", START_MS + 100)
    assert (
        Playbook(Alone(world.ctx, income.step), ignore=(Log,))
        >> at(60, event)
        << row(RowKind.BOOKING)
        # Twice is once.
        >> at(61, event)
        # The user stream was away: what was paid meanwhile is asked for.
        >> at(100, income.away)
        >> at(30_000, income.ask_for_missed)
        << call("/fapi/v1/income")
        << call("/fapi/v1/income")
        >> at(30_050, back(earlier, []))
        >> at(30_060, back(PendingIncome("SPECIAL_FUNDING_FEE", START_MS + 100)))
    )


def test_trace_of_the_order_side() -> None:
    """The order side as a whole: its link drops with an order in flight, and comes back."""
    actor = Actor()
    made = Scripted(actor).ready()
    side = made.engine.trading
    assert isinstance(side, OrderSide)
    made.holds.add("order.place")
    made.want(actor, place(price="99.5"))
    ctx = made.engine._ctx
    ctx.take_effects()
    (link,) = [link for link in made.links if side.session.owns(link)]
    now_ms = (made.now_ns - START_NS) // 1_000_000
    assert (
        Playbook(Alone(ctx, side.step, "session:check"), ignore=(Log,))
        >> at(now_ms + 100, LinkLost(link, "reset by peer"))
        << changed(OrderState.UNKNOWN)
        << Like(LinkChanged, link="api", state=LinkState.DOWN)
        << Like(WakeAt, key="session:open")
        >> at(now_ms + 350, TimeReached("session:open"))
        << Like(OpenLink, link="api.2")
        >> at(now_ms + 400, LinkOpened("api.2"))
        << Like(SendRequest, method="session.logon")
    )


def test_trace_of_what_is_due() -> None:
    """An order that shall go is cancelled at the next tick; a doubt about the settings has them looked at; then nothing is."""
    actor = Actor()
    made = Scripted(actor).ready()
    side = made.engine.trading
    assert side is not None
    made.want(actor, place(price="99.5"))
    (order,) = made.engine.orders.live
    made.engine._ctx.take_effects()
    now_ms = (made.now_ns - START_NS) // 1_000_000
    tick = TimeReached("orders:tick")

    def look(event: TimeReached) -> None:
        assert not side.due_work.perform(event, complete=True)

    assert (
        Playbook(Alone(made.engine._ctx, look), ignore=(Log, AppendJournal))
        >> at(now_ms + 100, tick)
        >> at(now_ms + 200, lambda: side.executor.depart(order.client_order_id))
        >> at(now_ms + 350, tick)
        << Like(SendRequest, method="order.cancel")
        >> at(now_ms + 400, lambda: side.watch.step(SettingsDoubted()))
        >> at(now_ms + 6_100, tick)
        # Meanwhile the cancel was not answered: it goes again by the other way.
        << Like(CallRest, verb="DELETE", path="/fapi/v1/order")
        << call("/fapi/v1/accountConfig")
        << call("/fapi/v1/leverageBracket")
        << call("/fapi/v1/symbolConfig")
    )


def test_trace_of_a_report_to_the_order_side() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    side = made.engine.trading
    assert side is not None
    made.want(actor, place(quantity="2", price="99.5"))
    (order,) = made.engine.orders.live
    made.engine._ctx.take_effects()
    (link,) = [link for link in made.links if side.user_stream.owns(link)]
    venue = made.exchange.orders[order.client_order_id]
    trade = Trade(5, "0.5")
    venue.trade(trade)
    now_ms = (made.now_ns - START_NS) // 1_000_000
    assert (
        Playbook(Alone(made.engine._ctx, side.step), ignore=(Log,))
        >> at(now_ms + 10, lambda: side.take_frame(link, encode(venue.lite(trade))))
        << filled("0.5")
        << changed(OrderState.PARTIALLY_FILLED)
        << Like(AppendJournal, kind=RowKind.REPORT, ref="TradeLite")
        << row(RowKind.FILL, order.client_order_id)
    )


# -- the parts of the reconciler ------------------------------------------------------------------------------------------


def test_trace_of_the_start_check() -> None:
    """What stands on the account before the first run is not ours: the start fails, with every finding at once."""
    world = OrderWorld()
    rounds = reconciler(world)
    position = {"symbol": SYMBOL, "positionSide": "BOTH", "positionAmt": "0.5", "entryPrice": "100", "updateTime": 0}
    external = AtVenue("theirs-1", 99).reply()
    assert (
        Playbook(Alone(world.ctx, rounds.step), ignore=(Log,))
        >> at(0, lambda: rounds.begin("user stream opened", []))
        << wake("reconcile:light", 30_000)
        << call(LISTS)
        << call(ALGOS)
        << call(POSITIONS)
        >> at(30, back(PendingOpenOrders(1), b"[" + encode(external) + b"]"))
        >> at(31, back(PendingOpenAlgos(1, ""), []))
        >> at(32, back(PendingPositions(1), [position], sent_ms=1))
        << Like(Fail, kind="ConfigError")
    )
    assert not rounds.done


def test_trace_of_a_trade_scan() -> None:
    """A full page is followed by another one, and the round waits for it."""
    world = OrderWorld()
    rounds = reconciler(world, page=2)
    order = world.stand(place(quantity="3", price="99.5"))
    venue = AtVenue.of(order, 77)
    trades = [Trade(number, "1") for number in (11, 12, 13)]
    for trade in trades:
        venue.trade(trade)
    rows = [encode(venue.row(trade)) for trade in trades]
    first, second = PendingTrades(1, SYMBOL), PendingTrades(1, SYMBOL, from_id=12)
    assert (
        Playbook(Alone(world.ctx, rounds.step), ignore=(Log, AppendJournal))
        >> at(0, lambda: rounds.begin("user stream opened", [SYMBOL]))
        << wake("reconcile:light", 30_000)
        << call(LISTS)
        << call(ALGOS)
        << call(POSITIONS)
        << call(TRADES, symbol=SYMBOL, limit=2)
        >> at(30, back(first, b"[" + b",".join(rows[:2]) + b"]"))
        << filled("1", position=D(1))
        << changed(OrderState.PARTIALLY_FILLED)
        << filled("1", position=D(2))
        << call(TRADES, symbol=SYMBOL, limit=2, fromId=12)
        # What it begins with is known, and no news.
        >> at(60, back(second, b"[" + b",".join(rows[1:]) + b"]"))
        << filled("1", position=D(3))
        << changed(OrderState.FILLED)
        << call(TRADES, symbol=SYMBOL, limit=2, fromId=13)
        # A page that is not full is the last one.
        >> at(90, back(PendingTrades(1, SYMBOL, from_id=13), b"[" + rows[2] + b"]"))
    )
