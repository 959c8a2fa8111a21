"""Recordings as columns: every row is what the payload says, and a book made of the rows is the book made of the payloads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coldframe.data.columns import Finding
from coldframe.data.events import events_of
from coldframe.data.market import Kind, is_recording, recording_source
from coldframe.data.numbers import NONE, decimal_of
from coldframe.data.recordings import read_recording
from coldframe.data.sources import columns_of
from coldframe.enums import Side
from coldframe.errors import ConfigError
from coldframe.model.events import BestPriceChanged, MarkPriceChanged, TradePrinted
from tests.conftest import SHARED, needs_shared

MS = 1_700_000_000_000
AT = MS * 1_000_000
MARK = {"e": "markPriceUpdate", "E": MS, "s": "BTCUSDT", "p": "11.5", "i": "11.4", "P": "11", "r": "-0.00038167", "T": MS + 9}
TICKER = {"e": "bookTicker", "u": 7, "s": "BTCUSDT", "b": "25.3", "B": "31", "a": "25.4", "A": "40.5", "T": MS, "E": MS + 1}
TRADE = {"e": "aggTrade", "E": MS, "s": "BTCUSDT", "a": 5, "p": "25.35", "q": "0.1", "f": 100, "l": 105, "T": MS, "m": True}
DEPTH = {
    "e": "depthUpdate",
    "E": MS,
    "T": MS,
    "s": "BTCUSDT",
    "U": 5,
    "u": 9,
    "pu": 4,
    "b": [["25.3", "0"], ["25", "1"]],
    "a": [["26", "2"]],
}


def recorded(path: Path, *lines: tuple[str, dict[str, Any]]) -> Path:
    """A recording of payloads, one a nanosecond; `snapshot` as the stream makes a snapshot of BTCUSDT."""
    rows = (
        {"t": AT + number, **({"snapshot": "BTCUSDT"} if name == "snapshot" else {"stream": name}), "data": data}
        for number, (name, data) in enumerate(lines)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def price(text: str) -> int:
    return int(Decimal(text) * 10**8)


def test_every_payload_becomes_its_rows(tmp_path: Path) -> None:
    snapshot = {"lastUpdateId": 3, "E": MS, "T": MS, "bids": [["25", "1"]], "asks": [["26", "2"], ["27", "3"]]}
    path = recorded(
        tmp_path / "made.jsonl",
        ("snapshot", snapshot),
        ("btcusdt@depth@100ms", DEPTH),
        ("btcusdt@bookTicker", TICKER),
        ("btcusdt@aggTrade", TRADE),
        ("btcusdt@markPrice", MARK),
        ("!markPrice@arr", [MARK | {"s": "ETHUSDT", "r": ""}]),  # type: ignore[arg-type]
        ("btcusdt@depth5@100ms", DEPTH),
    )
    with columns_of(recording_source(path)) as columns:
        assert list(columns.rows()) == [
            (Kind.SNAPSHOT, AT, 0, MS, 3, 0, 0, 1, 2),
            (Kind.BID, AT, 0, MS, 0, price("25"), price("1"), 0, 0),
            (Kind.ASK, AT, 0, MS, 0, price("26"), price("2"), 0, 0),
            (Kind.ASK, AT, 0, MS, 0, price("27"), price("3"), 0, 0),
            (Kind.DEPTH, AT + 1, 0, MS, 9, 5, 4, 2, 1),
            (Kind.BID, AT + 1, 0, MS, 0, price("25.3"), 0, 0, 0),
            (Kind.BID, AT + 1, 0, MS, 0, price("25"), price("1"), 0, 0),
            (Kind.ASK, AT + 1, 0, MS, 0, price("26"), price("2"), 0, 0),
            (Kind.BEST, AT + 2, 0, MS + 1, 7, price("25.3"), price("31"), price("25.4"), price("40.5")),
            (Kind.TRADE, AT + 3, 0, MS, 5, price("25.35"), price("0.1"), 1, 1),
            (Kind.MARK, AT + 4, 0, MS, 0, price("11.5"), price("11.4"), -38167, MS + 9),
            (Kind.MARK, AT + 5, 1, MS, 0, price("11.5"), price("11.4"), NONE, MS + 9),
        ]
        assert (columns.labels["symbols"], columns.told) == ("BTCUSDT,ETHUSDT", (Finding("left out", 1, "1 of partialDepth"),))
        best, trade, mark, other = events_of(columns)
        assert best == BestPriceChanged("BTCUSDT", AT + 2, MS + 1, 7, *map(Decimal, ("25.3", "31", "25.4", "40.5")))
        assert trade == TradePrinted("BTCUSDT", AT + 3, MS, 5, Decimal("25.35"), Decimal("0.1"), Side.SELL, MS, aggregated=True)
        rate = Decimal("-0.00038167")
        assert mark == MarkPriceChanged("BTCUSDT", AT + 4, MS, Decimal("11.5"), Decimal("11.4"), rate, MS + 9)
        assert isinstance(other, MarkPriceChanged)
        assert (other.symbol, other.funding_rate) == ("ETHUSDT", Decimal(0))


def test_a_torn_end_is_told(tmp_path: Path) -> None:
    path = recorded(tmp_path / "made.jsonl", ("btcusdt@aggTrade", TRADE), ("btcusdt@aggTrade", TRADE))
    path.write_bytes(path.read_bytes()[:-30])
    with columns_of(recording_source(path)) as columns:
        assert (len(columns), columns.told) == (1, (Finding("torn", 1, f"{path}:2: the last line is torn and was left out"),))


@pytest.mark.parametrize(
    ("name", "change"),
    [("btcusdt@aggTrade", {"p": "x"}), ("btcusdt@nothing", {}), ("btcusdt@aggTrade", {"p": "0.123456789"})],
)
def test_a_bad_line_is_one_line(name: str, change: dict[str, str], tmp_path: Path) -> None:
    path = recorded(tmp_path / "made.jsonl", ("btcusdt@aggTrade", TRADE), (name, TRADE | change), ("btcusdt@aggTrade", TRADE))
    with pytest.raises(ConfigError) as caught:
        columns_of(recording_source(path))
    assert str(caught.value).startswith(f"{path}:2: ")


def test_what_a_recording_looks_like(tmp_path: Path) -> None:
    assert is_recording(recorded(tmp_path / "made.jsonl", ("btcusdt@aggTrade", TRADE)))
    (tmp_path / "other.csv").write_text("1,2,3\n")
    (tmp_path / "empty").write_bytes(b"")
    assert not is_recording(tmp_path / "other.csv")
    assert not is_recording(tmp_path / "empty")


# -- the real ones ------------------------------------------------------------------------------------------------------


def levels_of_payloads(path: Path) -> Iterator[tuple[str, str, str, Decimal, Decimal]]:
    """What plain JSON says of every level in a recording, with its place: symbol, side and line."""
    for line in read_recording(path):
        data = json.loads(line.payload)
        name = str(line.stream) if isinstance(line.stream, str) else ""
        if not name or "@depth" in name:
            symbol = data["s"] if name else str(line.snapshot)
            for side, key in (("bid", "b" if name else "bids"), ("ask", "a" if name else "asks")):
                for text, quantity in data[key]:
                    yield symbol, side, str(line.t), Decimal(text), Decimal(quantity)


@needs_shared
@pytest.mark.parametrize("path", sorted((SHARED / "data").glob("capture_*.gz"), key=lambda path: path.stat().st_size)[:1], ids=str)
def test_a_real_recording_is_held_exactly(path: Path) -> None:
    with columns_of(recording_source(path)) as columns:
        symbols, found, kinds = columns.labels["symbols"].split(","), [], Counter[str]()
        for kind, at_ns, symbol, _, _, number, quantity, _, _ in columns.rows():
            kinds[Kind(kind).name] += 1
            if kind in (Kind.BID, Kind.ASK):
                side = Kind(kind).name.lower()
                found.append((symbols[symbol], side, str(at_ns), decimal_of(number, 8), decimal_of(quantity, 8)))
        told = sum(1 for _ in events_of(columns))
    assert sorted(found) == sorted(levels_of_payloads(path))
    assert told == kinds["BEST"] + kinds["TRADE"] + kinds["MARK"]
    assert min(kinds["BEST"], kinds["TRADE"], kinds["DEPTH"], kinds["SNAPSHOT"]) > 0
