"""A run on paper keeps a journal, and the verbs about journals tell what happened in it."""

from __future__ import annotations

import csv
import datetime
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.scenes.support import CONFIGS, coldframe, document, run_until

#: A machine in another place.
ELSEWHERE = {"TZ": "XYZ-05:45ABC-06:45"}


@attrs.frozen
class Kept:
    """A journal, the summary and the log of its run, and between which times that was (nanoseconds)."""

    path: Path
    summary: dict[str, Any]
    log: str
    began_ns: int
    ended_ns: int


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    folder = tmp_path_factory.mktemp("kept")
    run = ("run", CONFIGS / "quickstart.toml", "--journal", folder / "run.db")
    began_ns = time.time_ns()
    summary, log = run_until(folder, *run, env=ELSEWHERE, said=["fill: mm-btc", "fill: mom-eth"])
    return Kept(folder / "run.db", summary, log, began_ns, time.time_ns())


def test_it_holds_what_the_summary_says(kept: Kept) -> None:
    path, summary = kept.path, kept.summary
    said = document(coldframe("journal", "verify", path, "--json"))
    assert (said["ok"], said["runs"], said["ended"], said["live"]) == (True, 1, True, 0)
    orders = document(coldframe("journal", "orders", path, "--json"))["orders"]
    assert len(orders) == summary["orders"]["sent"]
    fills = document(coldframe("journal", "fills", path, "--json"))["fills"]
    told = sum(strategy["fills"] for strategy in summary["strategies"].values())
    assert len(fills) == told > 0
    assert all(fill["fee"] is not None for fill in fills)


def test_c5_logs_speak_utc_and_the_journal_counts_from_the_epoch(kept: Kept) -> None:
    today = datetime.datetime.fromtimestamp(kept.began_ns // 10**9, datetime.UTC).date()
    for line in kept.log.splitlines():
        at = datetime.datetime.combine(today, datetime.time.fromisoformat(line.split(" ")[0]), datetime.UTC).timestamp()
        since = (at - kept.began_ns / 1e9) % 86_400
        assert since <= (kept.ended_ns - kept.began_ns) / 1e9 or since > 86_399, line
    rows = sqlite3.connect(kept.path).execute("SELECT at_ns FROM journal").fetchall()
    assert len(rows) > 10
    assert all(kept.began_ns <= at_ns <= kept.ended_ns for (at_ns,) in rows)
    there = coldframe("journal", "tail", kept.path, env=ELSEWHERE).stdout
    assert there == coldframe("journal", "tail", kept.path, env={"TZ": "UTC0"}).stdout


def test_lines_for_people(kept: Kept) -> None:
    path = kept.path
    assert "rows of 1 runs hold: the last run has ended, 0 orders live" in coldframe("journal", "verify", path).stdout
    assert coldframe("journal", "tail", path, "-n", "3").stdout.splitlines()[-1].split()[2] == "end"
    assert any("as maker" in line or "as taker" in line for line in coldframe("journal", "fills", path).stdout.splitlines())
    assert all(word in coldframe("journal", "orders", path).stdout for word in ("cf.mm-btc.", "GTX"))


@pytest.mark.parametrize("what", ["rows", "orders", "fills"])
def test_it_is_given_away_as_csv_and_json(kept: Kept, what: str) -> None:
    path = kept.path
    table = list(csv.DictReader(coldframe("journal", "export", path, "--what", what).stdout.splitlines()))
    held = json.loads(coldframe("journal", "export", path, "--what", what, "--as", "json").stdout)[what]
    assert len(table) == len(held) > 0
    assert list(table[0]) == list(held[0])


def test_a_changed_row_is_named(kept: Kept, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes(kept.path.read_bytes())
    db = sqlite3.connect(copy)
    db.execute("UPDATE journal SET body = replace(body, 'BUY', 'SELL') WHERE seq = 20")
    db.execute("UPDATE journal SET ref = 'x' WHERE seq = 21")
    db.commit()
    db.close()
    done = coldframe("journal", "verify", copy)
    assert done.returncode == 78
    assert done.stderr.startswith(f"coldframe: {copy}: row 2")
    assert "cannot be believed: its hash is another one" in done.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [("none.db", "there is no such journal"), ("quick.toml", "keeps no journal")],
)
def test_a_journal_that_is_not_there_gets_one_line(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "quick.toml").write_text((CONFIGS / "quickstart.toml").read_text())
    done = coldframe("journal", "verify", tmp_path / name)
    assert done.returncode == 78
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_p7_a_folder_that_cannot_be_written_gets_one_line(tmp_path: Path) -> None:
    """P7."""
    (tmp_path / "file").write_text("")
    done = coldframe("run", CONFIGS / "quickstart.toml", "--for", "3s", "--journal", tmp_path / "file" / "run.db")
    assert done.returncode == 78
    assert "the journal cannot be written here" in done.stderr.splitlines()[-1]
