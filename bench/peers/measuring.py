"""What every client of `bench.receive` shares: where it connects, what it does with a message, and the CPU time it has used.

Only the standard library is imported: this runs in the environments of the peers.
"""

from __future__ import annotations

import argparse
import json
import ssl
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Levels = Sequence[Sequence[str]]


class Given:
    """The command line of a client."""

    def __init__(self) -> None:
        parser = argparse.ArgumentParser()
        for name in ("port", "symbols", "channels", "marks", "out"):
            parser.add_argument(f"--{name}", required=True)
        parser.add_argument("--ca", help="the certificate authority, when the server speaks TLS")
        given = parser.parse_args()
        self.port, self.secure = int(given.port), given.ca is not None
        self.symbols: list[str] = given.symbols.split(",")
        self.streams = [f"{symbol.lower()}@{channel}" for symbol in self.symbols for channel in given.channels.split(",")]
        self.tls = ssl.create_default_context(cafile=given.ca) if given.ca else None
        self.marks, self.out = given.marks, given.out
        self.host = f"localhost:{self.port}"
        self.url = f"{'wss' if given.ca else 'ws'}://{self.host}/stream?streams={'/'.join(self.streams)}"

    def get(self, path: str) -> bytes:
        """The answer to a REST call."""
        with urllib.request.urlopen(f"{'https' if self.secure else 'http'}://{self.host}{path}", context=self.tls) as answer:
            body: bytes = answer.read()
        return body

    def snapshot(self, symbol: str) -> Mapping[str, Any]:
        snapshot: Mapping[str, Any] = json.loads(self.get(f"/fapi/v1/depth?symbol={symbol}&limit=1000"))
        return snapshot


class Marks:
    """Where the measured parts begin and end, counted in small messages, and the CPU seconds of each, a line of JSON in a file."""

    def __init__(self, text: str, out: str) -> None:
        self._parts = [part.split(":") for part in text.split(",")]
        self._out, self._began = Path(out), 0.0
        self._seen = 0
        self._next()

    def _next(self) -> None:
        name, first, last = self._parts.pop(0) if self._parts else ("", "-1", "-1")
        self._name, self._first, self._last = name, int(first), int(last)

    def small(self) -> None:
        """A trade or a best price has been taken in."""
        self._seen += 1
        if self._seen == self._first:
            self._began = time.process_time()
        elif self._seen == self._last:
            spent = time.process_time() - self._began
            with self._out.open("a", encoding="utf-8") as file:
                file.write(json.dumps([self._name, spent]) + "\n")
            self._next()


class Side:
    """One side of a book: quantities by price, and the best price, searched for only when it has gone."""

    def __init__(self, sign: int) -> None:
        self._sign, self._levels, self.best = sign, dict[float, float](), 0.0

    def apply(self, changes: Levels) -> None:
        levels, best, sign, lost = self._levels, self.best, self._sign, False
        for price_text, quantity_text in changes:
            price, quantity = float(price_text), float(quantity_text)
            if quantity:
                levels[price] = quantity
                if not best or (price - best) * sign > 0:
                    best, lost = price, False
            elif levels.pop(price, None) is not None and price == best:
                lost = True
        if lost:
            best = (max if sign > 0 else min)(levels, default=0.0)
        self.best = best


class Book:
    """A good book in plain Python. Raises `ValueError` at a hole in the stream."""

    def __init__(self, snapshot: Mapping[str, Any]) -> None:
        self.bids, self.asks, self._last = Side(1), Side(-1), int(snapshot["lastUpdateId"])
        self.bids.apply(snapshot["bids"])
        self.asks.apply(snapshot["asks"])

    def apply(self, previous: int, last: int, bids: Levels, asks: Levels) -> None:
        if previous != self._last:
            raise ValueError(f"a hole: {previous} follows {self._last}")
        self._last = last
        self.bids.apply(bids)
        self.asks.apply(asks)


class Listening:
    """Looks at each message as the bot's strategy does."""

    def __init__(self, given: Given) -> None:
        self.marks = Marks(given.marks, given.out)
        self.books = {symbol: Book(given.snapshot(symbol)) for symbol in given.symbols}
        self.last: float = 0.0

    def take(self, data: Mapping[str, Any]) -> None:
        """A payload as `json` reads it."""
        kind = data["e"]
        if kind == "bookTicker":
            self.last = float(data["b"]) + float(data["a"])
            self.marks.small()
        elif kind == "aggTrade":
            self.last = float(data["p"]) * float(data["q"])
            self.marks.small()
        elif kind == "depthUpdate":
            self.depth(data["s"], data["pu"], data["u"], data["b"], data["a"])

    def depth(self, symbol: str, previous: int, last: int, bids: Levels, asks: Levels) -> None:
        book = self.books[symbol]
        book.apply(previous, last, bids, asks)
        self.last = book.bids.best if book.asks.best else 0.0
