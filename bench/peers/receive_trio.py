"""trio-websocket, json, cattrs into attrs classes: what is written by hand on Trio."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import attrs
import cattrs
import trio
from measuring import Given, Listening
from trio_websocket import open_websocket_url

Level = tuple[str, str]


@attrs.frozen
class Depth:
    s: str
    pu: int
    u: int
    b: list[Level]
    a: list[Level]


@attrs.frozen
class Trade:
    s: str
    a: int
    p: Decimal
    q: Decimal
    m: bool
    T: int


@attrs.frozen
class Best:
    s: str
    u: int
    b: Decimal
    B: Decimal
    a: Decimal
    A: Decimal


KINDS: dict[str, Any] = {"depthUpdate": Depth, "aggTrade": Trade, "bookTicker": Best}


async def main() -> None:
    given = Given()
    listening, converter = Listening(given), cattrs.Converter()
    converter.register_structure_hook(Decimal, lambda text, _: Decimal(text))
    # The texts of the levels are read once, in the book.
    converter.register_structure_hook_func(lambda kind: kind == list[Level], lambda levels, _: levels)
    async with open_websocket_url(given.url, given.tls) as socket:
        while True:
            data = json.loads(await socket.get_message())["data"]
            message = converter.structure(data, KINDS[data["e"]])
            if isinstance(message, Depth):
                listening.depth(message.s, message.pu, message.u, message.b, message.a)
                continue
            _ = message.p * message.q if isinstance(message, Trade) else message.b + message.a
            listening.marks.small()


if __name__ == "__main__":
    trio.run(main)
