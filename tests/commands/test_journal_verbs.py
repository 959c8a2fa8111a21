"""The verbs about journals tell what happened in a run, to people, to programs and to spreadsheets."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path
from typing import Any

import attrs
import pytest

from coldframe.trio_io.journalfile import JournalFile
from tests.commands.here import CONFIGS, coldframe
from tests.simulation.pump import Pump


@attrs.frozen
class Kept:
    """A journal, and the run on virtual time whose journal it is."""

    path: Path
    pump: Pump


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    path = tmp_path_factory.mktemp("kept") / "run.db"
    pump = Pump.of_config(CONFIGS / "quickstart.toml")
    pump.until(lambda: bool(pump.told("fill: mm-btc") and pump.told("fill: mom-eth")), 600)
    pump.stop()
    file = JournalFile(path)
    file.write([(row.at_ns, row.kind, row.ref, row.body) for row in pump.rows])
    file.close()
    return Kept(path, pump)


def document(*args: object) -> dict[str, Any]:
    """The document that a verb prints."""
    done = coldframe(*args, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_it_holds_what_the_run_came_to(kept: Kept) -> None:
    said = document("journal", "verify", kept.path)
    assert (said["ok"], said["runs"], said["ended"], said["live"]) == (True, 1, True, 0)
    orders = document("journal", "orders", kept.path)["orders"]
    assert len(orders) == sum(runtime.orders for runtime in kept.pump.engine.runtimes.all) > 0
    fills = document("journal", "fills", kept.path)["fills"]
    assert len(fills) == sum(account.fills for account in kept.pump.engine.accounts.values()) > 0
    assert all(fill["fee"] is not None for fill in fills)


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
    assert "is damaged: its hash is another one" in done.stderr


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
    (tmp_path / "file").write_text("")
    done = coldframe("run", CONFIGS / "quickstart.toml", "--for", "3s", "--journal", tmp_path / "file" / "run.db")
    assert done.returncode == 78
    assert "the journal cannot be written here" in done.stderr.splitlines()[-1]
