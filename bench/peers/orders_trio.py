"""trio-websocket by hand: an order far from the market at a tick, one after another; with `--durable` each is on disk first."""

from __future__ import annotations

import argparse
import base64
import json
import os
import time
from decimal import Decimal
from typing import Any

import trio
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from samples import Samples
from trio_websocket import WebSocketConnection, open_websocket_url

FAR = Decimal("0.97")


class Api:
    """A session of the WebSocket API that has logged on."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket, self._number = socket, 0

    async def log_on(self, api_key: str, key_pem: bytes) -> None:
        key = load_pem_private_key(key_pem, None)
        params = {"apiKey": api_key, "timestamp": int(time.time() * 1000)}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = base64.b64encode(key.sign(payload.encode())).decode()  # type: ignore[union-attr,call-arg]
        await self.send("session.logon", params)
        await self.answer()

    async def send(self, method: str, params: dict[str, Any]) -> None:
        self._number += 1
        await self._socket.send_message(json.dumps({"id": self._number, "method": method, "params": params}))

    async def answer(self) -> dict[str, Any]:
        """The answer to the newest request. Raises `RuntimeError` when it was refused."""
        while True:
            answer: dict[str, Any] = json.loads(await self._socket.get_message())
            if answer.get("id") == self._number:
                break
        if answer["status"] != 200:
            raise RuntimeError(f"refused: {answer}")
        return answer


async def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("streams", "api", "api-key", "key-file", "out", "orders", "pause-ms", "journal"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--durable", action="store_true")
    given = parser.parse_args()
    samples = Samples(given.out, int(given.orders))
    key_pem = await trio.Path(given.key_file).read_bytes()
    journal = os.open(given.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def durably(line: bytes) -> None:
        os.write(journal, line)
        os.fdatasync(journal)

    url = f"{given.streams}/public/stream?streams=btcusdt@bookTicker"
    async with open_websocket_url(url) as market, open_websocket_url(given.api) as socket:
        api = Api(socket)
        await api.log_on(given.api_key, key_pem)
        while True:
            tick = json.loads(await market.get_message())["data"]
            if samples.complete:
                continue
            samples.begin()
            price = (Decimal(tick["b"]) * FAR).quantize(Decimal("0.1"))
            params = {
                "symbol": "BTCUSDT",
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "GTX",
                "quantity": "0.002",
                "price": str(price),
            }
            if given.durable:
                await trio.to_thread.run_sync(durably, json.dumps(params).encode() + b"\n")
            await api.send("order.place", params | {"timestamp": int(time.time() * 1000)})
            samples.end()
            order = (await api.answer())["result"]["orderId"]
            await api.send("order.cancel", {"symbol": "BTCUSDT", "orderId": order, "timestamp": int(time.time() * 1000)})
            await api.answer()
            await trio.sleep(int(given.pause_ms) / 1000)


if __name__ == "__main__":
    trio.run(main)
