"""ccxt, unmodified but for its addresses: markets, books, orders, fills, and ccxt.pro's streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from coldframe.exchange_server import Address

pytestmark = pytest.mark.interop
pytest.importorskip("ccxt", reason="the interop extra is not installed")

import ccxt  # noqa: E402
import ccxt.pro  # noqa: E402

SYMBOL = "BTC/USDT:USDT"


def configured(exchange: Any, address: Address) -> Any:
    """Points a ccxt exchange at the venue."""
    for version in ("", "V2", "V3"):
        number = version[1:] or "1"
        for kind in ("fapiPublic", "fapiPrivate"):
            exchange.urls["api"][kind + version] = f"{address.rest}/fapi/v{number}"
    if "ws" in exchange.urls["api"]:
        exchange.urls["api"]["ws"]["linear"] = f"{address.streams}/ws"
        exchange.urls["api"]["ws"]["ws-api"]["linear"] = address.api
    return exchange


def options(address: Address) -> dict[str, Any]:
    keys = address.accounts[0]
    return {
        "apiKey": keys.hmac_api_key,
        "secret": keys.hmac_secret,
        "enableRateLimit": False,
        "options": {"defaultType": "swap", "fetchMarkets": {"types": ["linear"]}, "fetchCurrencies": False},
    }


@pytest.fixture
def exchange(address: Address) -> Any:
    made = configured(ccxt.binanceusdm(options(address)), address)
    made.has["fetchCurrencies"] = False
    return made


def test_market_data(exchange: Any) -> None:
    markets = exchange.load_markets()
    assert markets[SYMBOL]["precision"]["price"] == 0.1
    book = exchange.fetch_order_book(SYMBOL, 20)
    assert len(book["bids"]) == 20
    assert book["bids"][0][0] < book["asks"][0][0]
    assert exchange.fetch_ticker(SYMBOL)["last"] > 0
    assert len(exchange.fetch_tickers()) == len(markets)
    assert len(exchange.fetch_ohlcv(SYMBOL, "1m", limit=5)) == 5
    assert exchange.fetch_trades(SYMBOL, limit=3) is not None
    assert exchange.fetch_funding_rate(SYMBOL)["markPrice"] > 0
    assert abs(exchange.fetch_time() - exchange.milliseconds()) < 2000
    assert exchange.fetch_leverage_tiers([SYMBOL])[SYMBOL][0]["maxLeverage"] == 125


def test_an_order_from_placing_to_cancelling(exchange: Any) -> None:
    exchange.load_markets()
    price = exchange.fetch_order_book(SYMBOL, 5)["bids"][0][0] - 500
    placed = exchange.create_order(SYMBOL, "limit", "buy", 0.01, price)
    assert placed["status"] == "open"
    assert exchange.fetch_order(placed["id"], SYMBOL)["remaining"] == 0.01
    edited = exchange.edit_order(placed["id"], SYMBOL, "limit", "buy", 0.02, price)
    assert edited["amount"] == 0.02
    assert [order["id"] for order in exchange.fetch_open_orders(SYMBOL)] == [placed["id"]]
    assert exchange.cancel_order(placed["id"], SYMBOL)["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        exchange.cancel_order(placed["id"], SYMBOL)
    exchange.create_order(SYMBOL, "limit", "buy", 0.01, price)
    exchange.cancel_all_orders(SYMBOL)
    assert exchange.fetch_open_orders(SYMBOL) == []


def test_a_fill_a_position_and_a_balance(exchange: Any) -> None:
    exchange.load_markets()
    exchange.set_leverage(20, SYMBOL)
    order = exchange.create_order(SYMBOL, "market", "buy", 0.01)
    filled = exchange.fetch_order(order["id"], SYMBOL)
    assert (filled["status"], filled["filled"]) == ("closed", 0.01)
    assert exchange.fetch_my_trades(SYMBOL)[-1]["order"] == order["id"]
    (position,) = exchange.fetch_positions([SYMBOL])
    assert (position["side"], position["contracts"]) == ("long", 0.01)
    assert 9000 < exchange.fetch_balance()["USDT"]["total"] < 11_000
    exchange.create_order(SYMBOL, "market", "sell", 0.01, params={"reduceOnly": True})
    assert exchange.fetch_positions([SYMBOL]) == []


def test_refusals_become_the_right_exceptions(exchange: Any) -> None:
    exchange.load_markets()
    with pytest.raises(ccxt.ExchangeError, match="Margin is insufficient"):
        exchange.create_order(SYMBOL, "limit", "buy", 100, 59_000)
    with pytest.raises(ccxt.InvalidOrder, match="Post Only"):
        exchange.create_order(SYMBOL, "limit", "buy", 0.01, 62_000, {"postOnly": True})
    with pytest.raises(ccxt.OrderNotFound):
        exchange.fetch_order("1", SYMBOL)
    exchange.secret = "wrong"
    with pytest.raises(ccxt.AuthenticationError):
        exchange.fetch_balance()


def test_a_conditional_order(exchange: Any) -> None:
    exchange.load_markets()
    placed = exchange.create_order(SYMBOL, "market", "sell", 0.01, params={"stopPrice": 50_000})
    assert placed["id"]
    exchange.cancel_order(placed["id"], SYMBOL, {"trigger": True})


# -- ccxt.pro -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def pro(address: Address) -> AsyncIterator[Any]:
    made = configured(ccxt.pro.binanceusdm(options(address)), address)
    made.has["fetchCurrencies"] = False
    try:
        await made.load_markets()
        yield made
    finally:
        await made.close()


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 60))


def test_watching_books_trades_candles_and_tickers(address: Address) -> None:
    async def work() -> None:
        async with pro(address) as exchange:
            for _ in range(10):
                book = await exchange.watch_order_book(SYMBOL)
                assert book["bids"][0][0] < book["asks"][0][0]
            assert (await exchange.watch_trades(SYMBOL))[-1]["price"] > 0
            assert (await exchange.watch_ohlcv(SYMBOL, "1m"))[-1][4] > 0
            assert (await exchange.watch_ticker(SYMBOL))["last"] > 0
            assert (await exchange.watch_bids_asks([SYMBOL]))[SYMBOL]["bid"] > 0
            assert (await exchange.watch_mark_price(SYMBOL))["markPrice"] > 0

    run(work)


def test_watching_own_orders_and_trading_over_the_websocket_api(address: Address) -> None:
    async def work() -> None:
        async with pro(address) as exchange:
            watching = asyncio.ensure_future(exchange.watch_orders(SYMBOL))
            await asyncio.sleep(1)
            order = await exchange.create_order_ws(SYMBOL, "market", "buy", 0.01)
            seen = await asyncio.wait_for(watching, 20)
            assert seen[-1]["id"] == order["id"]
            fetched = await exchange.fetch_order_ws(order["id"], SYMBOL)
            assert fetched["status"] == "closed"
            assert (await exchange.fetch_balance_ws())["USDT"]["total"] > 0
            price = (await exchange.fetch_order_book_ws(SYMBOL, 5))["bids"][0][0] - 500
            resting = await exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, price)
            edited = await exchange.edit_order_ws(resting["id"], SYMBOL, "limit", "buy", 0.02, price)
            assert edited["amount"] == 0.02
            assert (await exchange.cancel_order_ws(resting["id"], SYMBOL))["status"] == "canceled"
            await exchange.create_order_ws(SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True})

    run(work)
