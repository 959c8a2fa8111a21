"""Recordings over sockets: real ones rebuilt level by level, small ones for pace, waiting and torn ends."""

from __future__ import annotations

import gzip
import traceback
from bisect import bisect_right
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from coldframe.errors import ConfigError
from coldframe.exchange_server import EmbeddedVenue
from tests.conftest import SHARED, needs_shared
from tests.exchange_server.links.cable import Rest, Settings, Stream, running, stream, wall_ms

# -- real recordings --------------------------------------------------------------------------------------------------------

#: Name, and how many comparisons there are at least.
_REAL = [
    ("capture_2021-07-22_sushi-akro-keep-ctk_30s", 700),
    ("capture_2021-04-05_bat-ctk-neo-sand-chr_119s", 4000),
    ("capture_2024-08-08_btcusdt_first15s", 250),
]


class _Rebuilt:
    """One symbol as a client sees it: the book by updates and snapshot, and the best prices that the recording has."""

    def __init__(self) -> None:
        self.updates: list[dict[str, Any]] = []
        self.tickers: dict[int, tuple[tuple[str, str], tuple[str, str]]] = {}
        self.snapshot: dict[str, Any] | None = None

    def compare(self) -> tuple[int, int]:
        """How often the book could be compared with the last ticker at or before its update id, and how often they differed."""
        assert self.snapshot is not None
        last_id = self.snapshot["lastUpdateId"]
        bids, asks = _levels(self.snapshot["bids"]), _levels(self.snapshot["asks"])
        ids = sorted(self.tickers)
        compared = mismatched = 0
        began = False
        for update in self.updates:
            if update["u"] < last_id or (update["u"] == last_id and not began):
                continue
            assert update["pu"] <= last_id if not began else update["pu"] == last_id
            began, last_id = True, update["u"]
            for side, levels in ((bids, update["b"]), (asks, update["a"])):
                side.update(_levels(levels))
                for price in [price for price, quantity in side.items() if not quantity]:
                    del side[price]
            latest = bisect_right(ids, last_id) - 1
            if latest >= 0:
                compared += 1
                (bid, bid_quantity), (ask, ask_quantity) = self.tickers[ids[latest]]
                best = max(bids), min(asks)
                said = Decimal(bid), Decimal(ask)
                same = best == said and (bids[best[0]], asks[best[1]]) == (Decimal(bid_quantity), Decimal(ask_quantity))
                mismatched += not same
        return compared, mismatched


def _levels(levels: list[list[str]]) -> dict[Decimal, Decimal]:
    return {Decimal(price): Decimal(quantity) for price, quantity in levels}


@needs_shared
@pytest.mark.parametrize(("name", "least"), _REAL)
async def test_a_real_recording_rebuilds_through_the_socket(name: str, least: int) -> None:
    path = SHARED / "data" / f"{name}.jsonl.gz"
    async with running(market="recording", recording=str(path), speed="max") as (venue, address), Rest(address) as rest:
        speed = "@0ms" if "btcusdt" in name else "@100ms"
        seen = {symbol: _Rebuilt() for symbol in venue.symbols()}
        names = [f"{symbol.lower()}@{channel}" for symbol in seen for channel in ("bookTicker", f"depth{speed}")]
        ended = trio.Event()

        async def collect() -> None:
            async with stream(address, f"/public/stream?streams={'/'.join(names)}") as line:
                nursery.start_soon(ask_at_the_end, line)
                while "result" not in (frame := await line.next(120)):
                    body = frame["data"]
                    book = seen[body["s"]]
                    if body["e"] == "bookTicker":
                        book.tickers[body["u"]] = ((body["b"], body["B"]), (body["a"], body["A"]))
                    else:
                        book.updates.append(body)

            ended.set()

        async def ask_at_the_end(line: Stream) -> None:
            """What was sent last may still be on its way: the answer to this comes behind it."""
            with trio.fail_after(120):
                await venue.recording_ended.wait()
            await line.ask("LIST_SUBSCRIPTIONS")

        async def take_snapshot(symbol: str) -> None:
            seen[symbol].snapshot = await rest.get("/fapi/v1/depth", symbol=symbol, limit=1000)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect)
            for symbol in seen:
                nursery.start_soon(take_snapshot, symbol)
            await ended.wait()
        assert venue.recording_note is None
        results = {symbol: book.compare() for symbol, book in seen.items()}
        assert all(mismatched == 0 for _, mismatched in results.values()), results
        assert sum(compared for compared, _ in results.values()) >= least, results


@needs_shared
async def test_orders_trade_on_a_real_recording(virtual_clock: MockClock) -> None:
    """At a pace at which a busy machine has both orders in the book long before the recording ends."""
    path = SHARED / "data" / f"{_REAL[2][0]}.jsonl.gz"
    async with (
        running(market="recording", recording=str(path), speed="2") as (venue, address),
        Rest(address) as rest,
        stream(address, "/public/ws/btcusdt@depth@0ms") as line,
    ):
        await line.next()
        best = await rest.get("/fapi/v1/depth", symbol="BTCUSDT", limit=5)
        order = {"symbol": "BTCUSDT", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010"}
        for side, price in (("BUY", best["bids"][0][0]), ("SELL", best["asks"][0][0])):
            placed = await rest.call("POST", "/fapi/v1/order", **order, side=side, price=price)
            # The market may have come to meet it since the book was asked for.
            assert placed["status"] in ("NEW", "FILLED"), placed
        while not await rest.call("GET", "/fapi/v1/userTrades", symbol="BTCUSDT"):
            assert not venue.recording_ended.is_set()
            with trio.move_on_after(0.2):
                while True:
                    await line.next()


# -- small recordings -------------------------------------------------------------------------------------------------------

T0 = 1_600_000_000_000


def _update(number: int, at_ms: int) -> bytes:
    body = {
        "e": "depthUpdate",
        "E": T0 + at_ms,
        "T": T0 + at_ms,
        "s": "BTCUSDT",
        "U": number * 10 + 1,
        "u": number * 10 + 10,
        "pu": number * 10,
        "b": [["999.0", f"{number + 1}.000"]],
        "a": [],
    }
    return b'{"t":%d,"stream":"btcusdt@depth@100ms","data":%b}' % ((T0 + at_ms) * 10**6, msgspec.json.encode(body))


def _snapshot(last_id: int, at_ms: int) -> bytes:
    body = {"lastUpdateId": last_id, "E": T0 + at_ms, "T": T0, "bids": [["999.0", "1.000"]], "asks": [["1001.0", "1.000"]]}
    return b'{"t":%d,"snapshot":"BTCUSDT","data":%b}' % ((T0 + at_ms) * 10**6, msgspec.json.encode(body))


def _recording_file(path: Path, *, seconds: int = 2, snapshot_at: int = 300) -> Path:
    lines = [_update(number, number * 100) for number in range(seconds * 10)]
    lines.insert(snapshot_at // 100 + 1, _snapshot(snapshot_at // 10 + 5, snapshot_at))
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))
    return path


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recording": "nothing.jsonl"}, "nothing.jsonl: cannot be read"),
        ({"recording": "recording.jsonl.gz", "symbols": ["ETHUSDT"]}, "no ETHUSDT on"),
        ({"recording": "broken.jsonl"}, "broken.jsonl:1: not a line of a recording"),
    ],
)
def test_what_cannot_be_played_is_a_configuration_error(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    _recording_file(tmp_path / "recording.jsonl.gz")
    (tmp_path / "broken.jsonl").write_bytes(b"nonsense\n" + _update(1, 1))
    settings["recording"] = str(tmp_path / settings["recording"])
    with pytest.raises(ConfigError, match=message):
        EmbeddedVenue(Settings(market="recording", **settings), wall_ms=wall_ms)


async def test_slow_listener_delays_playback_and_loses_nothing(tmp_path: Path) -> None:
    lines = [_snapshot(5, 0), *[_update(number, number) for number in range(6000)]]
    file = tmp_path / "recording.jsonl"
    file.write_bytes(b"\n".join(lines))
    async with (
        running(market="recording", recording=str(file), speed="max") as (venue, address),
        stream(address, "/public/ws/btcusdt@depth@100ms") as line,
    ):
        for _ in range(50):
            await line.next()
        await trio.testing.wait_all_tasks_blocked(0.001)
        assert not venue.recording_ended.is_set()
        last = 500
        while last < 60_000:
            frame = await line.next()
            assert frame["pu"] == last
            last = frame["u"]
        with trio.fail_after(30):
            await venue.recording_ended.wait()


async def test_damage_to_the_recording_ends_the_venue(tmp_path: Path) -> None:
    """The file is damaged behind the back of the venue, which has looked through it before."""
    file = _recording_file(tmp_path / "recording.jsonl.gz")

    async def listen() -> None:
        async with running(market="recording", recording=str(file), speed="max") as (_, address):
            file.write_bytes(b"nonsense\n" + _update(1, 1))
            async with stream(address, "/public/ws/btcusdt@depth@100ms"):
                await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as ended:
        await listen()
    assert "recording.jsonl.gz:1: not a line of a recording" in "".join(traceback.format_exception(ended.value))
