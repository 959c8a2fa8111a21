"""ccxt.pro: watches trades, best prices and order books of all symbols; a message counts when its handler has taken it in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import ccxt.pro
from measuring import Given, Marks


class Counted(ccxt.pro.binanceusdm):  # type: ignore[misc]
    marks: Marks

    def handle_trade(self, client: Any, message: Any) -> Any:
        done = super().handle_trade(client, message)
        self.marks.small()
        return done

    def handle_bids_asks(self, client: Any, message: Any) -> Any:
        done = super().handle_bids_asks(client, message)
        self.marks.small()
        return done


async def main() -> None:
    given = Given()
    exchange = Counted({"options": {"watchTradesForSymbols": {"name": "aggTrade"}, "tradesLimit": 1000, "fetchCurrencies": False}})
    exchange.marks = Marks(given.marks, given.out)
    secure = "s" if given.tls else ""
    api = exchange.urls["api"]
    for key, url in list(api.items()):
        if isinstance(url, str) and "/fapi/" in url:
            api[key] = f"http{secure}://{given.host}/fapi/v1"
    api["ws"]["linear"] = f"ws{secure}://{given.host}/ws"
    if given.tls is not None:
        exchange.ssl_context = given.tls
    await exchange.load_markets()
    symbols = [f"{symbol.removesuffix('USDT')}/USDT:USDT" for symbol in given.symbols]
    watched = (exchange.watch_trades_for_symbols, exchange.watch_bids_asks, exchange.watch_order_book_for_symbols)
    await asyncio.gather(*(watch(way, symbols) for way in watched))


async def watch(way: Callable[[list[str]], Awaitable[Any]], symbols: list[str]) -> None:
    while True:
        _ = await way(symbols)


if __name__ == "__main__":
    asyncio.run(main())
