"""python-binance: its manager of sockets, on the combined futures streams."""

from __future__ import annotations

import asyncio

from binance import AsyncClient, BinanceSocketManager
from measuring import Given, Listening


async def main() -> None:
    given = Given()
    listening = Listening(given)
    manager = BinanceSocketManager(AsyncClient(), max_queue_size=1_000_000)
    manager.FSTREAM_URL = given.url.partition("stream?")[0]
    if given.tls is not None:
        manager.ws_kwargs["ssl"] = given.tls
    async with manager.futures_multiplex_socket(given.streams) as stream:
        while True:
            listening.take((await stream.recv())["data"])


if __name__ == "__main__":
    asyncio.run(main())
