"""The letters of the market streams mean what the documents say they mean."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from coldframe.enums import ContractStatus, ContractType, OrderStatus, OrderType, Side, TimeInForce
from coldframe.wire import codec, streams
from coldframe.wire.streams import Message
from tests.wire.shapes import example, fields, written

HEAD = "e event E event_ms st product"
#: Letter and word in turn, from the comments in the "Response Example" of each stream and from protocol.md 5.
LETTERS: dict[type[Message], str] = {
    streams.AggTrade: f"{HEAD} s symbol a trade_id p price q quantity f first_id l last_id T trade_ms m buyer_is_maker nq "
    "regular_quantity",
    streams.Trade: f"{HEAD} s symbol t trade_id p price q quantity T trade_ms m buyer_is_maker X origin",
    streams.MarkPrice: f"{HEAD} s symbol p mark_price i index_price P settle_price r funding_rate T next_funding_ms ap "
    "average_mark_price",
    streams.Bar: "t open_ms T close_ms s symbol i interval f first_id L last_id o open c close h high l low v volume n trades x "
    "closed q quote_volume V taker_buy_volume Q taker_buy_quote_volume B ignored",
    streams.Kline: f"{HEAD} s symbol k bar",
    streams.ContinuousKline: f"{HEAD} ps pair ct contract_type k bar",
    streams.MiniTicker: f"{HEAD} s symbol ps pair c close o open h high l low v volume q quote_volume",
    streams.Ticker: f"{HEAD} s symbol ps pair p change P change_percent w weighted_average c close Q last_quantity o open h high "
    "l low v volume q quote_volume O open_ms C close_ms F first_id L last_id n trades",
    streams.BookTicker: f"{HEAD} u update_id T traded_ms s symbol ps pair b bid B bid_quantity a ask A ask_quantity",
    streams.LiquidationOrder: "s symbol S side o type f time_in_force q quantity p price ap average_price X status l "
    "last_quantity z filled_quantity T trade_ms",
    streams.ForceOrder: f"{HEAD} o order ps pair",
    streams.DepthUpdate: f"{HEAD} T traded_ms s symbol ps pair U first_id u last_id pu previous_id b bids a asks",
    streams.IndexComponent: "b base_asset q quote_asset w quantity_weight W percent_weight i index_price",
    streams.CompositeIndex: f"{HEAD} s symbol p price C composed_of c components",
    streams.Bracket: "bs number bnf floor bnc cap mmr maintenance_ratio cf cumulative mi min_leverage ma max_leverage",
    streams.ContractInfo: f"{HEAD} s symbol ps pair ct contract_type dt delivery_ms ot onboard_ms cs status bks brackets",
    streams.AssetIndex: f"{HEAD} s symbol i index_price b bid_buffer a ask_buffer B bid_rate A ask_rate q auto_bid_buffer g "
    "auto_ask_buffer Q auto_bid_rate G auto_ask_rate",
    streams.TradingSession: f"{HEAD} t start_ms T end_ms S session",
}


def by_letter(text: str) -> dict[str, str]:
    return dict(zip(*[iter(text.split())] * 2, strict=True))


@pytest.mark.parametrize("kind", LETTERS, ids=lambda kind: kind.__name__)
def test_each_letter_becomes_its_word(kind: type[Message]) -> None:
    assert {field.encode_name: field.name for field in fields(kind)} == by_letter(LETTERS[kind])


def test_no_class_is_left_out() -> None:
    here = {kind for kind in vars(streams).values() if isinstance(kind, type) and issubclass(kind, Message)}
    assert here - set(LETTERS) == {Message, streams.MarketMessage}


def decoded(kind: type[Any], **changes: Any) -> Any:
    return codec.decode(kind, written({**example(kind), **changes}).encode(), codec.Census())


def test_numbers_stay_the_text_that_was_sent() -> None:
    trade = decoded(streams.AggTrade, p="0.00100", q="100")
    assert (trade.price, trade.quantity, trade.trade_id) == ("0.00100", "100", 7)
    depth = decoded(streams.DepthUpdate, b=[["0.0024", "10"], ["0.0023", "0.000"]], a=[])
    assert (depth.bids, depth.asks) == ([("0.0024", "10"), ("0.0023", "0.000")], [])


def test_brackets_are_bare_numbers_and_exact() -> None:
    (bracket,) = decoded(streams.ContractInfo).brackets
    assert (bracket.maintenance_ratio, bracket.min_leverage) == (Decimal("0.25"), 7)
    assert decoded(streams.ContractInfo, bks=[]).brackets == []
    assert b'"mmr":0.25' in codec.encode(bracket)


def test_words_of_a_liquidation_are_members() -> None:
    order = decoded(streams.ForceOrder).order
    assert (order.side, order.type, order.time_in_force, order.status) == (
        Side.BUY,
        OrderType.LIMIT,
        TimeInForce.GTC,
        OrderStatus.NEW,
    )
    contract = decoded(streams.ContractInfo, ct="TRADIFI_PERPETUAL", cs="TRADING_HALT")
    assert (contract.contract_type, contract.status) == (ContractType.TRADIFI_PERPETUAL, ContractStatus.TRADING_HALT)


@pytest.mark.parametrize(
    ("kind", "later"),
    [
        (streams.AggTrade, {"nq", "st"}),
        (streams.MarkPrice, {"ap", "st"}),
        (streams.BookTicker, {"T", "ps", "st"}),
        (streams.DepthUpdate, {"ps", "st"}),
        (streams.Ticker, {"ps", "st"}),
        (streams.MiniTicker, {"ps", "st"}),
        (streams.ForceOrder, {"ps", "st"}),
        (streams.ContractInfo, {"ps", "bks", "st"}),
        (streams.Bar, {"s"}),
    ],
)
def test_what_the_venue_added_later_is_optional_and_nothing_else(kind: type[Message], later: set[str]) -> None:
    assert {field.encode_name for field in fields(kind) if not field.required} == later


@pytest.mark.parametrize(
    "event", ["EquityUpdate", "CommodityUpdate", "KR_EquityUpdate", "HK_EquityUpdate", "CN_EquityUpdate", "FXUpdate"]
)
def test_a_trading_session_names_its_market(event: str) -> None:
    assert decoded(streams.TradingSession, e=event, S="OVERNIGHT").event == event


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        decoded(streams.AggTrade).price = "1"


def test_what_was_not_sent_is_not_printed() -> None:
    trade = decoded(streams.AggTrade)
    bare = msgspec.structs.replace(trade, regular_quantity=msgspec.UNSET, product=msgspec.UNSET)
    assert set(msgspec.json.decode(codec.encode(bare))) == set("eEsapqflTm")
