"""Backtests: the bot of a file on real recordings, again and again the same, at the times and prices of the recording."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from coldframe.data.recordings import read_recording
from coldframe.enums import Side
from coldframe.errors import ConfigError
from coldframe.model.effects import AppendJournal
from coldframe.model.journal import RowKind
from coldframe.runtime.backtest import PRESETS, Backtest, BacktestObserver, BacktestOptions, read_backtest
from coldframe.runtime.pump import Latency
from coldframe.wire.codec import Census, decode_stream
from coldframe.wire.names import parse
from coldframe.wire.streams import AggTrade, DepthUpdate, Trade
from tests.commands.here import CONFIGS, ROOT, coldframe
from tests.conftest import SHARED, needs_shared

RECORDED = CONFIGS / "recorded.toml"
SHIPPED = CONFIGS / "recordings/synthetic.jsonl.gz"
REAL = [
    pytest.param(SHARED / "data" / name, marks=needs_shared, id=name[8:18])
    for name in (
        "capture_2024-08-08_btcusdt_first15s.jsonl.gz",
        "capture_2021-07-22_sushi-akro-keep-ctk_30s.jsonl.gz",
        "capture_2021-04-05_bat-ctk-neo-sand-chr_119s.jsonl.gz",
    )
]


class Noted(Backtest):
    """A backtest that keeps what the bot has recorded, each row with its time."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.rows: list[tuple[int, AppendJournal]] = []

    def recorded(self, row: AppendJournal) -> None:
        self.rows.append((self.now_ms, row))

    def of(self, kind: RowKind) -> list[tuple[int, dict[str, Any]]]:
        return [(at_ms, dict(row.body)) for at_ms, row in self.rows if row.kind is kind]


def played(
    recording: Path = SHIPPED, config: Path = RECORDED, observer: BacktestObserver | None = None, **options: Any
) -> tuple[Noted, dict[str, Any]]:
    given = BacktestOptions(**options)
    backtest = Noted(read_backtest(config, recording, given.for_s), given, observer or BacktestObserver())
    return backtest, backtest.play()


# -- the same again -------------------------------------------------------------------------------------------------------


@pytest.mark.scene
@pytest.mark.parametrize("recording", [*REAL[:2], pytest.param(SHIPPED, id="shipped")])
def test_two_processes_come_to_the_same(recording: Path) -> None:
    """Byte for byte, whatever their hash seeds are."""
    command = [sys.executable, "-m", "coldframe.cli", "backtest", str(RECORDED), "--recording", str(recording), "--json"]
    given = [{**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "77")]
    first, second = (subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=True).stdout for env in given)
    assert first == second
    summary = json.loads(first)
    assert summary["verb"] == "backtest"
    assert summary["ended"] == "recording_end"
    assert summary["strategies"]["maker"]["fills"] > 0
    assert all(book["state"] == "synced" and book["resyncs"] == 0 for book in summary["books"].values())


# -- the market's own time and prices ---------------------------------------------------------------------------------------


@attrs.define
class Passed:
    """What the recorded market offered at each moment to an order that rests: price, quantity and the side that it can fill."""

    offers: list[tuple[int, str, Side, Decimal, Decimal]] = attrs.field(factory=list)

    @classmethod
    def of(cls, recording: Path) -> Passed:
        made = cls()
        for line in read_recording(recording):
            if isinstance(line.stream, str):
                made.take(line.t // 1_000_000, line.stream, line.payload)
        return made

    def take(self, at_ms: int, stream: str, payload: bytes) -> None:
        (event,) = decode_stream(parse(stream), payload, Census())
        match event:
            case AggTrade() | Trade() as trade:
                side = Side.BUY if trade.buyer_is_maker else Side.SELL
                self.offers.append((at_ms, trade.symbol, side, Decimal(trade.price), Decimal(trade.quantity)))
            case DepthUpdate() as depth:
                for side, levels in ((Side.SELL, depth.bids), (Side.BUY, depth.asks)):
                    self.offers += [(at_ms, depth.symbol, side, Decimal(level[0]), Decimal(level[1])) for level in levels]

    def for_order(self, symbol: str, side: Side, price: Decimal, begin_ms: int, end_ms: int) -> Decimal:
        """How much at most an order could have been filled with while it rested: traded at its price, or come across it."""
        return sum(
            (
                quantity
                for at_ms, of, fills, at, quantity in self.offers
                if of == symbol
                and fills is side
                and begin_ms <= at_ms <= end_ms
                and (at <= price if side is Side.BUY else at >= price)
            ),
            Decimal(0),
        )


@pytest.mark.parametrize("recording", REAL[:2])
def test_an_order_that_rests_gets_what_was_there(recording: Path) -> None:
    """Never more than was traded at its price, or through it, or came into the book across it."""
    backtest, summary = played(recording)
    market = Passed.of(recording)
    created = {body["client_order_id"]: body["created_ns"] // 1_000_000 for _, body in backtest.of(RowKind.ORDER)}
    filled, resting = dict[str, Decimal](), 0
    for _, body in backtest.of(RowKind.FILL):
        fill, name = body["fill"], body["order"]
        filled[name] = filled.get(name, Decimal(0)) + Decimal(fill["quantity"])
        if fill["maker"]:
            resting += 1
            at = fill["symbol"], fill["side"], Decimal(fill["price"])
            assert market.for_order(*at, fill["trade_ms"] - 1, fill["trade_ms"] + 1), f"{name}: nothing came for it then"
            assert filled[name] <= market.for_order(*at, created[name], fill["trade_ms"] + 1), name
    assert resting > 2
    assert summary["from_ms"] < min(fill["fill"]["trade_ms"] for _, fill in backtest.of(RowKind.FILL))


@pytest.mark.parametrize("recording", REAL[:1])
def test_fills_lie_in_the_time_of_the_recording(recording: Path) -> None:
    lines = [line.t // 1_000_000 for line in read_recording(recording)]
    backtest, summary = played(recording)
    fills = [body["fill"]["trade_ms"] for _, body in backtest.of(RowKind.FILL)]
    assert len(fills) > 3
    assert all(lines[0] <= at_ms for at_ms in fills)
    assert all(at_ms <= lines[-1] for at_ms in fills[:-1])  # the last one flattens, when the market has ended
    assert summary["from_ms"] == lines[0] - 2_000
    assert summary["made_up"] == ["mark price of BTCUSDT: the middle of its book"]


# -- what is modelled -----------------------------------------------------------------------------------------------------


def test_each_way_has_its_own_latency() -> None:
    """A report comes as long after the order went out as request and answer travel; the order stands at the exchange between.

    The bot takes both ways for equal, as it must, so its estimate of the exchange's clock is off by half the difference.
    """
    backtest, summary = played(latency=Latency(feed_ms=1, entry_ms=70, answer_ms=400), for_s=5)
    known = [(at_ms, body) for at_ms, body in backtest.of(RowKind.ORDER) if "order_id" in body and "sent_ms" in body]
    assert known
    at_ms, first = known[0]
    assert first["terms_ms"] * 1_000_000 - first["created_ns"] == 70_000_000
    assert first["terms_ms"] - first["sent_ms"] == 70 + (400 - 70) // 2
    assert at_ms - first["terms_ms"] == 400
    assert "1 ms for market data, 70 ms for requests, 400 ms for answers" in summary["assumptions"][0]


def test_market_data_that_takes_longer_comes_later() -> None:
    sent = []
    for feed_ms in (0, 300):
        backtest, _ = played(latency=Latency(feed_ms=feed_ms, entry_ms=5, answer_ms=5), for_s=5)
        sent.append(min(body["created_ns"] for _, body in backtest.of(RowKind.ORDER)) // 1_000_000)
    assert 200 <= sent[1] - sent[0] <= 400  # a depth event comes every 100 ms


# -- how it ends ------------------------------------------------------------------------------------------------------------


class Stopping(BacktestObserver):
    """Asks for the end after so many looks."""

    def __init__(self, looks: int) -> None:
        self.left, self.virtual_ns = looks, 0

    def progress(self, virtual_ns: int, events: int) -> None:
        self.virtual_ns = virtual_ns

    def stopping(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_what_is_asked_to_stop_flattens_and_tells() -> None:
    observer = Stopping(8)
    _, summary = played(observer=observer)
    assert summary["ended"] == "signal"
    assert summary["strategies"]["maker"]["fills"] > 0
    assert summary["strategies"]["maker"]["position"] == {"BTCUSDT": "0", "ETHUSDT": "0"}
    assert 8e9 < observer.virtual_ns < 12e9


def test_a_time_ends_it() -> None:
    _, summary = played(for_s=4)
    assert summary["ended"] == "duration"
    assert 4 <= summary["elapsed_s"] < 6


# -- which bot --------------------------------------------------------------------------------------------------------------


def test_a_bot_of_the_exchange_needs_a_recording() -> None:
    with pytest.raises(ConfigError, match=r'environment = "mainnet": a backtest needs a recording of its market: --recording FILE'):
        read_backtest(CONFIGS / "live.example.toml", None)


@needs_shared
def test_a_bot_of_the_exchange_trades_on_a_recording(tmp_path: Path) -> None:
    config = tmp_path / "live.toml"
    text = (CONFIGS / "live.example.toml").read_text().replace(', "ETHUSDT"', "").replace("testnet", "mainnet")
    config.write_text(text)
    _, summary = played(REAL[0].values[0], config)  # type: ignore[arg-type]
    assert summary["orders_mode"] == "paper"
    assert summary["orders"]["acked"] > 0


def test_the_synthetic_market_needs_a_time() -> None:
    with pytest.raises(ConfigError, match=r"the synthetic market does not end by itself: --for 1h, or a recording"):
        read_backtest(CONFIGS / "quickstart.toml", None)


@needs_shared
def test_a_contract_that_the_recording_lacks_is_named() -> None:
    done = coldframe("backtest", CONFIGS / "quickstart.toml", "--recording", REAL[1].values[0])
    assert done.returncode == 78
    assert "BTCUSDT" in done.stderr
    assert "Traceback" not in done.stderr


# -- the command ------------------------------------------------------------------------------------------------------------


def test_the_journal_of_a_backtest_is_a_journal(tmp_path: Path) -> None:
    journal = tmp_path / "test.db"
    given = ("backtest", RECORDED, "--for", "8s", "--journal", journal, "--json")
    summary = json.loads(coldframe(*given).stdout)
    assert coldframe("journal", "verify", journal).returncode == 0
    fills = json.loads(coldframe("journal", "fills", journal, "--json").stdout)["fills"]
    assert len(fills) == summary["strategies"]["maker"]["fills"] > 0
    again = coldframe(*given)
    assert again.returncode == 78
    assert again.stderr.strip().endswith("test.db: is there already; a backtest begins a journal of its own")


def test_people_read_what_is_assumed() -> None:
    done = coldframe("backtest", CONFIGS / "quickstart.toml", "--for", "5s", "--entry-ms", "12")
    assert done.returncode == 0
    assert "12 ms for requests" in done.stdout
    assert "not in the data: everything: the synthetic market" in done.stdout
    assert "assumed: the market is the synthetic one: its own orders and the bot's meet in one book" in done.stdout
    assert "cancelled there" not in done.stdout
    assert "events in" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("value", ["-1", "1.5", "x", "60001"])
def test_a_latency_is_a_number_of_milliseconds(value: str) -> None:
    done = coldframe("backtest", RECORDED, f"--feed-ms={value}")
    assert done.returncode == 2
    assert "is not a valid number of milliseconds (0 to 60000)" in done.stderr


def test_each_preset_has_its_assumptions() -> None:
    documents = json.loads(coldframe("backtest", RECORDED, "--for", "8s", "--all-presets", "--json").stdout)["presets"]
    assert list(documents) == list(PRESETS) == ["optimistic", "realistic", "pessimistic"]
    assert len({json.dumps(document["assumptions"]) for document in documents.values()}) == 3
    usual = json.loads(coldframe("backtest", RECORDED, "--for", "8s", "--json").stdout)
    assert usual == documents["realistic"]
    alone = json.loads(coldframe("backtest", RECORDED, "--for", "8s", "--preset", "pessimistic", "--json").stdout)
    assert alone == documents["pessimistic"]


def test_presets_stand_side_by_side() -> None:
    """The last lines are a table: orders, fills, profit, fees, and what is left of it."""
    lines = coldframe("backtest", RECORDED, "--for", "8s", "--all-presets").stdout.splitlines()
    assert lines[-4].split() == ["assumed", "orders", "fills", "profit", "fees", "left"]
    for line, name in zip(lines[-3:], PRESETS, strict=True):
        preset, orders, fills, profit, fees, left = line.split()
        assert preset == name
        assert int(orders) >= int(fills) // 2 > 0
        assert Decimal(profit) - Decimal(fees) == Decimal(left)


@pytest.mark.parametrize("more", [["--journal", "x.db"], ["--entry-ms", "3"]])
def test_all_presets_go_without_more(more: list[str]) -> None:
    done = coldframe("backtest", RECORDED, "--all-presets", *more)
    assert done.returncode == 78
    assert "it goes without --journal, --record and times of its own" in done.stderr


def test_the_document_says_what_the_presets_are() -> None:
    text = (ROOT / "docs/backtest.md").read_text()
    for name, preset in PRESETS.items():
        times = preset.latency.feed_ms, preset.latency.entry_ms, preset.latency.answer_ms
        (row,) = (line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        assert [cell.strip() for cell in row.split("|")[2:5]] == [f"{ms} ms" for ms in times]


# -- no look-ahead ----------------------------------------------------------------------------------------------------------


class Asking(Noted):
    """A backtest that keeps what the bot has sent, with its time."""

    def asked(self, what: str, params: Mapping[str, str | int]) -> None:
        self.sent.append((self.now_ms, what, dict(params)))

    def __init__(self, *given: Any) -> None:
        self.sent: list[tuple[int, str, dict[str, str | int]]] = []
        super().__init__(*given)


def asked(recording: Path) -> list[tuple[int, str, dict[str, str | int]]]:
    backtest = Asking(read_backtest(RECORDED, recording), BacktestOptions(), BacktestObserver())
    backtest.play()
    return backtest.sent


@pytest.mark.parametrize("recording", [pytest.param(SHIPPED, id="shipped"), *REAL[:1]])
def test_no_order_depends_on_what_comes_later(recording: Path, tmp_path: Path) -> None:
    """A recording that ends just after an order was sent gives the same orders up to there: every one of them, at its time."""
    lines = gzip.decompress(recording.read_bytes()).splitlines(keepends=True)
    at_ms = [line.t // 1_000_000 for line in read_recording(recording)]
    whole = asked(recording)
    orders = [now_ms for now_ms, what, _ in whole if what in ("order.place", "order.modify")]
    assert len(orders) > 4
    for cut_ms in orders[len(orders) // 2 :: 9]:
        cut = tmp_path / f"{cut_ms}.jsonl"
        cut.write_bytes(b"".join(line for line, now_ms in zip(lines, at_ms, strict=True) if now_ms <= cut_ms))
        assert [sent for sent in asked(cut) if sent[0] <= cut_ms] == [sent for sent in whole if sent[0] <= cut_ms]


# -- a part of a recording --------------------------------------------------------------------------------------------------


def test_a_part_of_a_recording_is_played() -> None:
    lines = [line.t // 1_000_000 for line in read_recording(SHIPPED)]
    begin_ms, end_ms = lines[0] + 6_000, lines[0] + 15_000
    backtest, summary = played(from_ms=begin_ms, to_ms=end_ms)
    assert summary["ended"] == "duration"
    assert summary["from_ms"] == begin_ms - 2_000
    assert end_ms <= summary["to_ms"] < end_ms + 2_000
    sent = [body["created_ns"] // 1_000_000 for _, body in backtest.of(RowKind.ORDER)]
    assert sent
    assert all(begin_ms - 2_000 < at_ms for at_ms in sent)
    assert all(book["state"] == "synced" for book in summary["books"].values())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--from", "2026-11-20T04:58:39"), "--from lies outside: "),
        (("--from", "2027-01-01"), "lasts from 2026-11-20 04:58:42 UTC to 2026-11-20 04:59:04 UTC"),
        (("--to", "2026-11-20"), "--to lies before the start: "),
        (("--from", "2026-11-20T04:58:50", "--to", "2026-11-20T04:58:50"), "--to lies before the start: "),
    ],
)
def test_times_outside_of_the_recording_are_refused(given: tuple[str, ...], said: str) -> None:
    done = coldframe("backtest", RECORDED, *given)
    assert done.returncode == 78
    assert said in done.stderr


def test_times_are_of_a_recording_and_in_utc() -> None:
    done = coldframe("backtest", CONFIGS / "quickstart.toml", "--for", "5s", "--to", "2026-11-20")
    assert done.returncode == 78
    assert "--from and --to are times of a recording" in done.stderr
    done = coldframe("backtest", RECORDED, "--from", "yesterday")
    assert done.returncode == 2
    assert "'yesterday' is not a time such as 2024-08-08 or 2024-08-08T23:54:20 (UTC)" in done.stderr
    spoken = ("2026-11-20T04:58:55", "2026-11-20T05:58:55+01:00")
    first, second = (coldframe("backtest", RECORDED, "--to", text, "--json").stdout for text in spoken)
    assert first == second != ""
