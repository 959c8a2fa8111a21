"""Every asset in which fees, funding or balances appear gets a price, and keeps it over a restart."""

from __future__ import annotations

import json

import pytest

from coldframe.core.reconciliation.asset_prices import ASK_AGAIN_MS, ASSETS_LIMIT, STALE_MS
from coldframe.core.state.journal_codec import fold
from coldframe.core.state.limits import Budget
from coldframe.model.effects import LinkKind
from coldframe.model.events import AssetIndexChanged, MarkPriceChanged
from coldframe.model.journal import RowKind
from coldframe.testing import instrument
from coldframe.units import NS_PER_MS
from coldframe.wire.streams import AssetIndex
from tests.core.addingup import profit_of
from tests.core.looking import view_of
from tests.core.made import mark_price
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

TRADE_CURSOR, INDEX, RATE = "/fapi/v1/premiumIndex", "/fapi/v1/assetIndex", "/fapi/v1/commissionRate"
BNB_LISTED = [instrument("BTCUSDT"), instrument("BNBUSDT")]


def world(*, listed: bool = True, price: str | None = "600", **more: object) -> tuple[Scripted, Actor]:
    """A run whose fees are 0.01 BNB each; the bot itself has nothing to do with BNBUSDT."""
    actor = Actor()
    made = Scripted(actor, instruments=BNB_LISTED if listed else [], **more)  # type: ignore[arg-type]
    made.exchange.fee = ("0.01", "BNB")
    if price is not None:
        made.exchange.prices = {"BNBUSDT": price} if listed else {"BNBUSD": price}
    return made.ready(), actor


def trade(made: Scripted, actor: Actor, quantity: str = "1") -> None:
    made.want(actor, place(quantity=quantity))
    made.fill(next(iter(made.engine.orders.live)).client_order_id, quantity)


def profit(made: Scripted) -> object:
    return profit_of(made.engine.runtimes.get("mm").account.holdings, made.engine.state.prices)


def fees(made: Scripted) -> object:
    return view_of(made.engine).fees()


@pytest.mark.parametrize(("listed", "path"), [(True, TRADE_CURSOR), (False, INDEX)])
def test_g13_a_fee_in_bnb_counts_with_what_bnb_is_worth(listed: bool, path: str) -> None:
    made, actor = world(listed=listed)
    trade(made, actor)
    made.run(1_000)
    assert fees(made) == 6
    assert profit(made) == -6
    assert len(made.called(path)) == 1
    assert "BNB is valued at 600" in made.said()


def test_g13_fee_without_price_is_estimated_and_reported_once() -> None:
    made, actor = world(price=None)
    trade(made, actor, "2")
    assert fees(made) == D("0.1")  # 0.05 % of 200 until the account's own rate is known
    made.run(5_000)
    trade(made, actor)
    assert len(made.called(RATE)) == 1
    assert fees(made) == D("0.12")  # 0.04 % of 300
    made.run(100_000)
    said = [line.text for line in made.log if "its price is not known" in line.text]
    assert said == ["fees in BNB: its price is not known; until it is known they count as 0.05 % of the notional"]


def test_where_one_source_knows_no_price_the_other_is_asked() -> None:
    made, actor = world(price=None)
    made.exchange.prices = {"BNBUSD": "590"}
    trade(made, actor)
    made.run(ASK_AGAIN_MS + 1_000)
    assert (len(made.called(TRADE_CURSOR)), len(made.called(INDEX))) == (1, 1)
    assert fees(made) == D("5.9")


@pytest.mark.parametrize("listed", [True, False])
def test_asset_stream_updates_the_price_and_reaches_no_strategy(listed: bool) -> None:
    made, actor = world(listed=listed)
    trade(made, actor)
    made.run(1_000)
    stream = "bnbusdt@markPrice" if listed else "bnbusd@assetIndex"
    index = dict.fromkeys("baBAqgQG", "1")
    told = json.dumps({"e": "assetIndexUpdate", "E": 1, "s": "BNBUSD", "i": "700", **index}).encode()
    made.say(stream, mark_price("700", symbol="BNBUSDT") if listed else told)
    assert fees(made) == 7
    assert actor.told(AssetIndexChanged) == []
    assert all(event.symbol == "BTCUSDT" for event in actor.told(MarkPriceChanged))
    made.run(60_000)
    assert len(made.called(TRADE_CURSOR)) + len(made.called(INDEX)) == 1


def test_subscribed_contract_prices_its_asset_without_a_query() -> None:
    actor = Actor(symbols=("BTCUSDT", "BNBUSDT"))
    made = Scripted(actor, symbols=("BTCUSDT", "BNBUSDT")).ready()
    made.exchange.fee = ("0.01", "BNB")
    trade(made, actor)
    made.run(1_000)
    assert fees(made) == 1  # the mark price of BNBUSDT is 100 here
    assert made.called(TRADE_CURSOR) == []
    assert [name for link in made.links.values() for name in link.subscribed if name.startswith("bnbusdt@markPrice")] == [
        "bnbusdt@markPrice@1s"
    ]


def test_a_price_that_its_stream_leaves_alone_is_asked_for_again() -> None:
    made, actor = world()
    trade(made, actor)
    made.run(1_000)
    made.exchange.prices["BNBUSDT"] = "650"
    made.run(STALE_MS + 1_000)
    assert fees(made) == D("6.5")
    assert len(made.called(TRADE_CURSOR)) == 2


def test_prices_survive_a_reconnect_of_the_market() -> None:
    made, actor = world()
    trade(made, actor)
    made.run(1_000)
    made.lose(LinkKind.MARKET)
    made.run(5_000)
    assert sum("bnbusdt@markPrice" in link.subscribed for link in made.links.values()) == 1


def test_g13_asset_price_is_known_when_the_next_run_starts() -> None:
    made, actor = world()
    trade(made, actor)
    made.run(1_000)
    past = fold(made.rows)
    assert past.prices == {"BNB": D(600)}
    again = made.restarted(actor, past=past, instruments=BNB_LISTED)
    assert fees(again) == 6
    again.exchange.prices["BNBUSDT"] = "610"
    again.run(1_000)
    assert fees(again) == D("6.1")
    (mark,) = [row for row in again.rows if row.kind == RowKind.CHECKPOINT]
    assert fold([mark]).prices == {"BNB": D(600)}
    assert fold([*made.rows, *again.rows]).prices == {"BNB": D(610)}


def test_small_moves_of_a_price_are_not_written_down() -> None:
    made, actor = world()
    trade(made, actor)
    made.run(1_000)
    for price in ("601", "602", "603", "604", "605"):
        made.say("bnbusdt@markPrice", mark_price(price, symbol="BNBUSDT"))
    rows = [row.body["price"] for row in made.rows if row.kind == RowKind.PRICE]
    assert rows == ["600", "604"]


def test_g13_a_loss_limit_sees_fees_in_bnb() -> None:
    made, actor = world(budgets={"mm": Budget(max_loss=D(10))})
    trade(made, actor)
    made.run(1_000)
    assert made.engine.state.trading.strategies == {}
    trade(made, actor)
    made.run(1_000)
    assert set(made.engine.state.trading.strategies) == {"mm"}
    assert "loss of strategy mm 12.00 exceeds budget.max_loss 10: no new risk until `coldframe resume`" in made.said()


@pytest.mark.parametrize("asset", ["USDT", "USDC", "FDUSD", "BNFCR"])
def test_dollars_are_never_asked_for(asset: str) -> None:
    made, actor = world()
    made.exchange.fee = ("0.01", asset)
    trade(made, actor)
    made.run(1_000)
    assert fees(made) == D("0.01")
    assert made.called(TRADE_CURSOR) == made.called(INDEX) == []


@pytest.mark.parametrize("reason", ["DEPOSIT", "FUNDING_FEE"])
@pytest.mark.parametrize("price", [None, "3000"])
def test_balances_and_funding_in_an_asset_give_it_a_price_too(reason: str, price: str | None) -> None:
    made, _ = world()
    if price is not None:
        made.exchange.prices["ETHUSD"] = price
    change = {"m": reason, "B": [{"a": "ETH", "wb": "2", "cw": "2", "bc": "-0.5"}], "P": []}
    made.tell(json.dumps({"e": "ACCOUNT_UPDATE", "E": 5, "T": 5, "a": change}).encode())
    made.beat()
    made.run(3_000)
    assert made.engine.state.prices.of("ETH") == (price and D(price))
    missing = made.said().count("amounts in ETH: its price is not known; they count once it is known")
    assert missing == (price is None)


def test_the_number_of_watched_assets_is_bounded() -> None:
    made, _ = world(price=None)
    rows = [{"a": f"A{number}", "wb": "1", "cw": "1", "bc": "1"} for number in range(2 * ASSETS_LIMIT)]
    made.tell(json.dumps({"e": "ACCOUNT_UPDATE", "E": 5, "T": 5, "a": {"m": "DEPOSIT", "B": rows, "P": []}}).encode())
    made.beat()
    made.run(2_000)
    assert len(made.called(INDEX)) == ASSETS_LIMIT


def test_a_price_of_zero_is_none_and_an_unreadable_one_is_said() -> None:
    made, actor = world(price="0")
    trade(made, actor)
    made.run(1_000)
    assert made.engine.state.prices.of("BNB") is None
    made.exchange.prices["BNBUSDT"] = "much"
    made.run(ASK_AGAIN_MS + 1_000)
    assert "a price cannot be read" in made.said()


def test_only_the_price_source_that_answered_is_used() -> None:
    actor = Actor()
    made = Scripted(actor, channels=("depth@100ms", "markPrice@1s", "!assetIndex@arr"), instruments=BNB_LISTED)
    made.exchange.fee, made.exchange.prices = ("0.01", "BNB"), {"BNBUSDT": "600"}
    made.ready()
    trade(made, actor)
    made.run(1_000)
    made.say("!assetIndex@arr", [index_of("605")])
    assert fees(made) == 6


def index_of(price: str) -> AssetIndex:
    letters = dict.fromkeys(("bid_buffer", "ask_buffer", "bid_rate", "ask_rate"), "1")
    auto = {f"auto_{name}": "1" for name in letters}
    return AssetIndex(event="assetIndexUpdate", event_ms=1, symbol="BNBUSD", index_price=price, **letters, **auto)


def test_asset_index_is_read_from_the_stream_of_all_assets() -> None:
    actor = Actor()
    made = Scripted(actor, channels=("depth@100ms", "markPrice@1s", "!assetIndex@arr"))
    made.exchange.fee, made.exchange.prices = ("0.01", "BNB"), {"BNBUSD": "600"}
    made.ready()
    trade(made, actor)
    made.run(1_000)
    made.say("!assetIndex@arr", [index_of("605")])
    assert fees(made) == D("6.05")
    assert not any("bnbusd@assetIndex" in link.subscribed for link in made.links.values())


@pytest.mark.parametrize(("early_ns", "asked"), [(1, 1), (0, 2), (-1, 2)])
def test_a_price_is_asked_for_when_it_is_stale(early_ns: int, asked: int) -> None:
    made, actor = world()
    trade(made, actor)
    made.run(1_000)
    assert made.engine.trading is not None
    assets = made.engine.trading.assets
    assets._watched["BNB"].heard_ns = made.engine._ctx.now_ns - STALE_MS * NS_PER_MS + early_ns
    assets._watched["BNB"].asked_ns = 0
    assets._watch_asset("BNB", is_fee=True)
    made.beat()
    assert len(made.called(TRADE_CURSOR)) == asked


@pytest.mark.parametrize(("price", "marks"), [("0", {}), ("-1", {}), ("94", {"BTCUSDT": D(94)})])
def test_a_mark_price_that_is_asked_for_is_above_zero(price: str, marks: dict) -> None:
    made, actor = world()
    made.want(actor, place(price=None))
    made.exchange.prices = {"BTCUSDT": price}
    again = made.restarted(actor, past=fold(made.rows))
    again.run(3_000, alive=False)
    assert again.engine.state.mark_prices == marks
