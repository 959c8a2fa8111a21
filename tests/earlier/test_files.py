"""Files of earlier versions open in this one, and are read as what they were (README.md beside this file lists them)."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from coldframe.cli import main
from coldframe.config.load import load
from coldframe.core.state.journal_codec import RestoredState, fold, order_body
from coldframe.data.recordings import read_recording
from coldframe.enums import AlgoStatus, OrderStatus
from coldframe.exchange_server.account_file import FileAccountStore
from coldframe.model.halting import Halt, HaltLevel
from coldframe.model.journal import Row, RowKind
from coldframe.model.orders import OrderState
from coldframe.trio_io.halt_file import HaltFile
from coldframe.trio_io.journal_history import read_rows
from coldframe.trio_io.journalfile import JournalFile

FILES: Final = Path(__file__).parent / "v0_1"
RECORDINGS: Final = {"market.jsonl.gz": 224, "market.jsonl.zst": 221}

#: How each order of `killed.db` stands in its last row, and what it is.
KILLED: Final = {
    "1": ("FILLED", OrderState.FILLED),
    "2": ("CANCELED", OrderState.CANCELED),
    "3": ("EXPIRED", OrderState.EXPIRED),
    "4": ("REJECTED", OrderState.REJECTED),
    "5": ("NEVER_ACCEPTED", OrderState.NEVER_ACCEPTED),
    "6": ("REJECTED", OrderState.REJECTED),
    "7": ("OPEN", OrderState.ACCEPTED),
    "8": ("WAITING", OrderState.UNTRIGGERED),
    "9": ("PARTIAL", OrderState.PARTIALLY_FILLED),
    "a": ("OPERATOR", OrderState.NEEDS_OPERATOR),
    "b": ("OPEN", OrderState.ACCEPTED),
    "c": ("UNKNOWN", OrderState.UNKNOWN),
    "d": ("SENT", OrderState.SUBMITTED),
    "e": ("PREPARED", OrderState.PENDING_SUBMIT),
}
#: What became of them in the run after it.
ENDED: Final = {
    **{key: state for key, (_, state) in KILLED.items()},
    **dict.fromkeys("79ab", OrderState.CANCELED),
    **dict.fromkeys("cde", OrderState.UNKNOWN),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files as a bot finds them: it may write beside them."""
    made = tmp_path / "files"
    shutil.copytree(FILES, made)
    return made


def last_bodies(rows: list[Row]) -> dict[str, Any]:
    return {row.ref.rpartition(".")[2]: row.body for row in rows if row.kind == RowKind.ORDER}


def states(past: RestoredState) -> dict[str, OrderState]:
    return {name.rpartition(".")[2]: order.state for name, order in past.orders.items()}


# -- the journal --------------------------------------------------------------------------------------------------------


def test_orders_of_a_killed_bot_are_read_in_their_states(folder: Path) -> None:
    rows = list(read_rows(folder / "killed.db"))
    past = fold(rows)
    assert {key: body["state"] for key, body in last_bodies(rows).items()} == {key: word for key, (word, _) in KILLED.items()}
    assert states(past) == {key: state for key, (_, state) in KILLED.items()}
    assert not past.ended
    assert len(past.live) == 8


def test_an_order_is_written_as_it_was_read(folder: Path) -> None:
    rows = list(read_rows(folder / "killed.db"))
    orders = fold(rows).orders
    written = {name.rpartition(".")[2]: json.loads(json.dumps(order_body(order))) for name, order in orders.items()}
    assert written == last_bodies(rows)


@pytest.mark.parametrize("name", ["killed.db", "ended.db"])
def test_positions_fees_and_suspensions_are_read(folder: Path, name: str) -> None:
    file = JournalFile(folder / name)
    past = fold(file.state_rows())
    file.close()
    assert past.account == "paper-sample"
    assert past.held() == {
        ("mm", "BTCUSDT"): Decimal("0.010"),
        ("mm", "ETHUSDT"): Decimal("0.200"),
        ("", "BTCUSDT"): Decimal("0.003"),
    }
    assert past.accounts["mm"].fees == {"USDT": Decimal("0.42000100")}
    assert past.trade_cursors == {"BTCUSDT": 170000000002, "ETHUSDT": 170000000001}
    assert list(past.suspensions.symbols) == ["SOLUSDT"]


def test_a_checkpoint_is_read_and_agrees_with_its_rows(folder: Path) -> None:
    past = fold(read_rows(folder / "ended.db"))
    assert past.ended
    assert past.runs == 2
    assert past.epoch_ms == 1_700_000_047_105
    assert states(past) == ENDED


def test_verbs_about_journals_read_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, runs in (("killed.db", 1), ("ended.db", 2)):
        assert main(["journal", "verify", "--json", str(folder / name)]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["ok"], said["runs"], said["orders"]) == (True, runs, 14)
    assert main(["journal", "orders", str(folder / "killed.db")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 14


def test_refusals_are_read_that_have_a_row_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Today's rows count them (`RowKind.REFUSED`)."""
    journal = Path(shutil.copy(FILES.with_name("refusals") / "refused.db", tmp_path))
    verdicts = Counter(str(row.body["verdict"]) for row in read_rows(journal) if row.kind == RowKind.INTENT)
    assert (verdicts["OPEN_ORDERS"], verdicts["MALFORMED"], verdicts["ACCEPTED"]) == (20, 13, 2)
    assert fold(read_rows(journal)).ended
    assert main(["journal", "verify", str(journal)]) == 0
    capsys.readouterr()
    assert main(["journal", "tail", "-n", "96", str(journal)]) == 0
    assert capsys.readouterr().out.count("ORDER_NOTIONAL") == 2
    assert main(["journal", "export", "--what", "rows", "--as", "json", str(journal)]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert sum(row["body"].get("verdict") == "UNKNOWN_ORDER" for row in rows) == 13


# -- halts, recordings, accounts ----------------------------------------------------------------------------------------


def test_halts_of_a_halt_file_hold(folder: Path) -> None:
    content = HaltFile(folder / "halt.json").read()
    assert content.revision == "r2"
    assert content.resumed == ("mom",)
    assert content.halts == (
        Halt(HaltLevel.PAUSE, "mm", "news at eight", 1_700_000_000_000),
        Halt(HaltLevel.FLATTEN, None, "weekend", 1_700_000_100_000),
    )


@pytest.mark.parametrize(("name", "count"), RECORDINGS.items())
def test_a_recording_is_read_to_its_end(name: str, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    reading = read_recording(FILES / name)
    assert len(list(reading)) == count
    assert reading.tear is None
    assert main(["tape", "verify", "--json", str(FILES / name)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["mismatches"] == said["gaps"] == 0
    assert said["comparisons"] > 100


@pytest.mark.scene
@pytest.mark.parametrize("name", RECORDINGS)
def test_a_bot_runs_on_a_recording(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(folder / "recorded.toml"), "--tape", str(folder / name), "--speed", "max", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ended"] == "recording_end"
    assert said["events"]["received"] > 200


def test_accounts_of_the_embedded_exchange_are_read(folder: Path) -> None:
    store = FileAccountStore(folder)
    books = store.books["main"]
    store.close()
    assert books.account.wallet == Decimal("9999.48999870")
    held = {key: position.quantity for key, position in books.account.positions.items()}
    assert held == {"BTCUSDT/BOTH": Decimal("0.013"), "ETHUSDT/BOTH": Decimal("0.2")}
    kept = {order.client_id.rpartition(".")[2]: order.status for order in books.open.values()}
    assert kept == {"7": OrderStatus.NEW, "9": OrderStatus.PARTIALLY_FILLED, "a": OrderStatus.NEW, "b": OrderStatus.NEW}
    assert [algo.status for algo in books.algos.values()] == [AlgoStatus.NEW, AlgoStatus.TRIGGERED]
    assert len(books.trades) == len(books.incomes) == 3


# -- configurations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["quickstart", "hostile", "live.example", "recorded", "taken"])
def test_a_configuration_passes_the_check(name: str, folder: Path) -> None:
    assert main(["check", str(folder / f"{name}.toml")]) == 0


def test_every_key_of_a_configuration_is_known(folder: Path) -> None:
    loaded = load(folder / "whole.toml")
    assert not loaded.findings
    assert loaded.config.orders.external == "adopt"
    assert loaded.config.venue.embedded.recording == str(folder / "tapes/one.jsonl.gz")
    assert load(folder / "taken.toml").config.orders.external == "adopt"
